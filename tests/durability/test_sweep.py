"""`make durability`: every journey in every way, killed at every instant on both databases; an installation and its
undoing on both sides of every COMMIT as well; then worse.

Worse is: a second kill during the recovery from the first; an operator's cancel in the very moment of the kill; and, on
PostgreSQL, a worker that is only frozen, is taken for dead, and goes on when the others have finished its work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from tests.durability.lane import Lane
from tests.durability.stories import ABANDONED, INSTALLED, OTHERS, STORIES, TROUBLES
from tests.durability.story import Played, Story
from tests.durability.sweep import (
    KINDS,
    Death,
    in_pairs,
    in_rows,
    in_the_middle,
    in_turns,
    once_each,
    open_lanes,
    play_clean,
    survive_all,
)
from tests.support.postgres import PostgresServer
from tests.support.worker_server import WorkerServer, open_worker_server

pytestmark = [
    pytest.mark.durability_sweep,
    pytest.mark.timeout(3600),
    pytest.mark.asyncio(loop_scope="module"),
]

LANES = 2
HOUSEHOLDS_OF_A_LANE = 30
"""For the ways that are short: each takes time to be imported."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server() -> AsyncIterator[WorkerServer]:
    async with open_worker_server() as opened:
        yield opened


@pytest_asyncio.fixture(params=KINDS, loop_scope="module")
async def lanes(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer, server: WorkerServer
) -> AsyncIterator[list[Lane]]:
    kinds = (request.param,)
    async with open_lanes(tmp_path, postgres, of_each=LANES, kinds=kinds, commits=True, server=server) as opened:
        yield opened


@pytest_asyncio.fixture(params=KINDS, loop_scope="module")
async def lane(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer, server: WorkerServer
) -> AsyncIterator[Lane]:
    kinds, households = (request.param,), HOUSEHOLDS_OF_A_LANE
    async with open_lanes(tmp_path, postgres, of_each=1, kinds=kinds, households=households, server=server) as [opened]:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def lanes_of_both(tmp_path: Path, postgres: PostgresServer, server: WorkerServer) -> AsyncIterator[list[Lane]]:
    async with open_lanes(tmp_path, postgres, of_each=1, server=server) as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def postgresql_lanes(tmp_path: Path, postgres: PostgresServer, server: WorkerServer) -> AsyncIterator[list[Lane]]:
    async with open_lanes(tmp_path, postgres, of_each=LANES, kinds=("postgresql",), server=server) as opened:
        yield opened


async def survive_each(lanes: Sequence[Lane], deaths: list[Death], *cleans: Played) -> None:
    assert await survive_all(lanes, deaths, *cleans) == set(deaths)


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_killed_at_every_instant_and_on_both_sides_of_every_commit(lanes: list[Lane], name: str) -> None:
    clean, instants = await play_clean(lanes[0], STORIES[name])
    assert any(instant.is_commit for instant in instants)
    deaths = in_rows(clean, instants, (lanes[0].kind,))
    assert {at for death in deaths for at in death.covers} == set(instants)
    await survive_each(lanes, deaths, clean)


@pytest.mark.parametrize("story", [*OTHERS, *TROUBLES], ids=lambda story: story.name)
async def test_every_other_way_of_every_journey_killed_at_every_instant(lane: Lane, story: Story) -> None:
    clean, instants = await play_clean(lane, story)
    deaths = in_rows(clean, once_each(instants), (lane.kind,))
    assert {at for death in deaths for at in death.covers} == set(once_each(instants))
    await survive_each([lane], deaths, clean)


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_killed_again_while_it_recovers_on_the_databases_in_turns(lanes_of_both: list[Lane], name: str) -> None:
    clean, instants = await play_clean(lanes_of_both[0], STORIES[name])
    await survive_each(lanes_of_both, in_pairs(clean, once_each(instants)), clean)


async def test_killed_and_cancelled_in_the_same_moment_on_the_databases_in_turns(lanes_of_both: list[Lane]) -> None:
    _, instants = await play_clean(lanes_of_both[0], INSTALLED)
    await survive_each(lanes_of_both, in_turns(ABANDONED, once_each(instants)))


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_frozen_taken_for_dead_and_thawed_when_all_is_done(postgresql_lanes: list[Lane], name: str) -> None:
    clean, instants = await play_clean(postgresql_lanes[0], STORIES[name])
    await survive_each(postgresql_lanes, in_rows(clean, in_the_middle(instants), ("postgresql",), frozen=True), clean)


async def test_frozen_and_cancelled_in_the_same_moment(postgresql_lanes: list[Lane]) -> None:
    _, instants = await play_clean(postgresql_lanes[0], INSTALLED)
    deaths = [Death("postgresql", ABANDONED, (instant,), frozen=True) for instant in in_the_middle(instants)]
    await survive_each(postgresql_lanes, deaths)
