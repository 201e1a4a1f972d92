"""`kill -9` of the worker at every instant of every journey, and of its undoing, changes nothing about the end.

The instants are those that a run without a death went through, so a new step is killed in without a word here. SQLite
and PostgreSQL take turns; `make durability` takes every instant, and every COMMIT.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.durability.lane import Lane
from tests.durability.stories import COMMERCE, INSTALLED, STORIES, TERMINATED
from tests.durability.sweep import Death, at_effects, in_rows, open_lanes, play_clean, survive_all
from tests.support.postgres import PostgresServer
from tests.support.worker_process import Instant

LANES_OF_EACH_KIND = 2
HOUSEHOLDS_OF_A_LANE = 40


@pytest.fixture
async def lanes(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[list[Lane]]:
    of_each, households = LANES_OF_EACH_KIND, HOUSEHOLDS_OF_A_LANE
    async with open_lanes(tmp_path, postgres, of_each=of_each, households=households, commits=True) as opened:
        yield opened


def around_mails(instant: Instant) -> bool:
    """Both sides of each COMMIT of a delivery: the server has taken the mail, and that is not written down yet."""
    return instant.point.startswith("commit(deliver_")


@pytest.mark.scenario("D9")
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_a_worker_killed_at_any_instant_leaves_nothing_undone_or_done_twice(lanes: list[Lane], name: str) -> None:
    clean, every = await play_clean(lanes[0], STORIES[name])
    instants = [instant for instant in every if not instant.is_commit or around_mails(instant)]
    assert any(map(around_mails, instants)) or name == "cancelled"  # whose mail is refused
    deaths = in_rows(clean.story, instants)
    assert await survive_all(lanes, deaths, clean) == set(deaths)
    assert {at for death in deaths for at in death.at} == set(instants)


@pytest.mark.timeout(600)
async def test_a_worker_killed_when_the_other_side_has_acted_does_nothing_twice_in_any_journey(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Of the other journeys these are the instants that matter most; `make durability` takes every one."""
    async with open_lanes(tmp_path, postgres, of_each=1, households=HOUSEHOLDS_OF_A_LANE) as lanes:
        cleans, deaths = [], []
        for story in (*COMMERCE, TERMINATED):
            clean, instants = await play_clean(lanes[0], story)
            cleans.append(clean)
            deaths += in_rows(story, at_effects(instants))
        assert {death.story.journey.name for death in deaths} == {
            story.journey.name for story in (*COMMERCE, TERMINATED)
        }
        assert await survive_all(lanes, deaths, *cleans) == set(deaths)


FROZEN_AT = (Instant("hand_over_line.effect"), Instant("provision_device.in_tx"))


@pytest.mark.timeout(300)
async def test_a_worker_that_was_only_frozen_is_fenced_out_when_it_thaws(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """Another takes its segments over, even out of an open transaction; what it still does then counts for nothing."""
    opened = open_lanes(tmp_path, postgres, of_each=1, kinds=("postgresql",), households=HOUSEHOLDS_OF_A_LANE)
    async with opened as lanes:
        clean = await lanes[0].play(INSTALLED)
        deaths = [Death("postgresql", INSTALLED, (instant,), frozen=True) for instant in FROZEN_AT]
        assert await survive_all(lanes, deaths, clean) == set(deaths)
