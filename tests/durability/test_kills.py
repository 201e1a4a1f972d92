"""`kill -9` of the worker at every instant of every journey, and of its undoing, changes nothing about the end.

The instants are those that a run without a death went through, so a new step is killed in without a word here. SQLite
and PostgreSQL take turns; `make durability` takes every instant, and every COMMIT, on both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from tests.durability.lane import Lane
from tests.durability.stories import CANCELLED, COMMERCE, INSTALLED, TERMINATED
from tests.durability.story import Story
from tests.durability.sweep import KINDS, Death, open_lanes, play_clean, survive_all
from tests.support.postgres import PostgresServer
from tests.support.worker_process import Instant

LANES_OF_EACH_KIND = 2
HOUSEHOLDS_OF_A_LANE = 40


@pytest.fixture
async def lanes(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[list[Lane]]:
    async with open_lanes(tmp_path, postgres, of_each=LANES_OF_EACH_KIND, households=HOUSEHOLDS_OF_A_LANE) as opened:
        yield opened


@pytest.mark.timeout(900)
@pytest.mark.parametrize("stories", [[INSTALLED], [CANCELLED], COMMERCE], ids=["installed", "cancelled", "commerce"])
async def test_a_worker_killed_at_any_instant_leaves_nothing_undone_or_done_twice(
    lanes: list[Lane], stories: Sequence[Story]
) -> None:
    cleans, deaths = [], []
    for story in stories:
        clean, instants = await play_clean(lanes[0], story)
        cleans.append(clean)
        deaths += [Death(KINDS[number % 2], story, (instant,)) for number, instant in enumerate(instants)]
    assert await survive_all(lanes, deaths, *cleans) == set(deaths)


LEAVING = ("end_service.in_tx", "disconnect_sessions.effect", "request_resets.effect", "release_resources.committed")


@pytest.mark.timeout(300)
async def test_a_worker_killed_while_somebody_leaves_ends_all_of_the_service_once(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """At some instants, where each side may have done its part unheard; `make durability` takes every one."""
    async with open_lanes(tmp_path, postgres, of_each=1, households=HOUSEHOLDS_OF_A_LANE) as lanes:
        clean, instants = await play_clean(lanes[0], TERMINATED)
        chosen = [instant for instant in instants if instant.point in LEAVING]
        assert [instant.point for instant in chosen] == list(LEAVING)
        deaths = [Death(KINDS[number % 2], TERMINATED, (instant,)) for number, instant in enumerate(chosen)]
        assert await survive_all(lanes, deaths, clean) == set(deaths)


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
