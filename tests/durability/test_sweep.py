"""`make durability`: every instant of an installation and both sides of every COMMIT, forward and undoing, on both
databases, and every instant of every other journey; then worse.

Worse is: a second kill during the recovery from the first; an operator's cancel in the very moment of the kill; and, on
PostgreSQL, a worker that is only frozen, is taken for dead, and goes on when the others have finished its work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.durability.lane import Lane
from tests.durability.stories import ABANDONED, COMMERCE, INSTALLED, STORIES, TERMINATED
from tests.durability.story import Played, Story
from tests.durability.sweep import KINDS, Death, in_rows, in_turns, once_each, open_lanes, play_clean, survive_all
from tests.support.postgres import PostgresServer
from tests.support.worker_process import ANY, Instant

pytestmark = [pytest.mark.durability_sweep, pytest.mark.timeout(3600)]

LANES = 2
RECOVERY_INSTANTS = 7
"""A second kill comes at one of the first seven instants of the recovery: in its claim, its step and its next step."""


@pytest.fixture(params=KINDS)
async def lanes(request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[list[Lane]]:
    async with open_lanes(tmp_path, postgres, of_each=LANES, kinds=(request.param,), commits=True) as opened:
        yield opened


@pytest.fixture
async def lanes_of_both(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[list[Lane]]:
    async with open_lanes(tmp_path, postgres, of_each=1) as opened:
        yield opened


@pytest.fixture
async def postgresql_lanes(tmp_path: Path, postgres: PostgresServer) -> AsyncIterator[list[Lane]]:
    async with open_lanes(tmp_path, postgres, of_each=LANES, kinds=("postgresql",)) as opened:
        yield opened


async def play_twice(lanes: Sequence[Lane], name: str) -> tuple[Played, list[Instant]]:
    """The story without a death, when the worker's own start is over, and every instant that it went through."""
    await lanes[0].play(INSTALLED)
    return await play_clean(lanes[0], STORIES[name])


async def survive_each(lanes: Sequence[Lane], deaths: list[Death], *cleans: Played) -> None:
    assert await survive_all(lanes, deaths, *cleans) == set(deaths)


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_killed_at_every_instant_and_on_both_sides_of_every_commit(lanes: list[Lane], name: str) -> None:
    clean, instants = await play_twice(lanes, name)
    assert any(instant.is_commit for instant in instants)
    await survive_each(lanes, in_rows(clean.story, instants, (lanes[0].kind,)), clean)


@pytest.mark.parametrize("story", [*COMMERCE, TERMINATED], ids=lambda story: story.name)
async def test_every_other_journey_killed_at_every_instant_on_the_databases_in_turns(
    lanes_of_both: list[Lane], story: Story
) -> None:
    clean, instants = await play_clean(lanes_of_both[0], story)
    await survive_each(lanes_of_both, in_rows(story, once_each(instants)), clean)


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_killed_again_while_it_recovers_on_the_databases_in_turns(lanes_of_both: list[Lane], name: str) -> None:
    clean, instants = await play_twice(lanes_of_both, name)
    named = once_each(instants)[:-RECOVERY_INSTANTS]
    deaths = [
        replace(death, at=(*death.at, Instant(ANY, number % RECOVERY_INSTANTS + 1)))
        for number, death in enumerate(in_turns(clean.story, named))
    ]
    await survive_each(lanes_of_both, deaths, clean)


async def test_killed_and_cancelled_in_the_same_moment_on_the_databases_in_turns(lanes_of_both: list[Lane]) -> None:
    _, instants = await play_twice(lanes_of_both, "installed")
    await survive_each(lanes_of_both, in_turns(ABANDONED, once_each(instants)))


@pytest.mark.parametrize("name", ["installed", "cancelled", "abandoned"])
async def test_frozen_taken_for_dead_and_thawed_when_all_is_done(postgresql_lanes: list[Lane], name: str) -> None:
    clean, instants = await play_twice(postgresql_lanes, "cancelled" if name == "cancelled" else "installed")
    deaths = [Death("postgresql", STORIES[name], (instant,), frozen=True) for instant in once_each(instants)]
    await survive_each(postgresql_lanes, deaths, *[clean] * (name != "abandoned"))
