"""`make durability`: every journey in every way, killed at every instant on both databases; an installation and its
undoing on both sides of every COMMIT as well; then worse.

Worse is: a second kill during the recovery from the first; an operator's cancel in the very moment of the kill; and, on
PostgreSQL, a worker that is only frozen, is taken for dead, and goes on when the others have finished its work.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from tests.durability.lane import Lane
from tests.durability.stories import ABANDONED, INSTALLED, OTHERS, STORIES, TROUBLES
from tests.durability.story import Played, Story
from tests.durability.sweep import (
    KINDS,
    Death,
    Lanes,
    in_pairs,
    in_rows,
    in_the_middle,
    in_turns,
    keep_lanes,
    once_each,
    play_clean,
    survive_all,
)
from tests.support.postgres import PostgresServer

pytestmark = [
    pytest.mark.durability_sweep,
    pytest.mark.timeout(3600),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lanes(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> AsyncIterator[Lanes]:
    async with keep_lanes(tmp_path_factory.mktemp("sweep"), postgres) as kept:
        yield kept


async def survive_each(lanes: Sequence[Lane], deaths: list[Death], *cleans: Played) -> None:
    assert await survive_all(lanes, deaths, *cleans) == set(deaths)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_killed_at_every_instant_and_on_both_sides_of_every_commit(lanes: Lanes, name: str, kind: str) -> None:
    [lane] = await lanes.of(kind, commits=True)
    clean, instants = await play_clean(lane, STORIES[name])
    assert any(instant.is_commit for instant in instants)
    deaths = in_rows(clean, instants, (kind,))
    assert {at for death in deaths for at in death.covers} == set(instants)
    await survive_each([lane], deaths, clean)


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_killed_again_while_it_recovers_on_the_databases_in_turns(lanes: Lanes, name: str) -> None:
    both = await lanes.of(*KINDS)
    clean, instants = await play_clean(both[0], STORIES[name])
    await survive_each(both, in_pairs(clean, once_each(instants)), clean)


async def test_killed_and_cancelled_in_the_same_moment_on_the_databases_in_turns(lanes: Lanes) -> None:
    both = await lanes.of(*KINDS)
    _, instants = await play_clean(both[0], INSTALLED)
    await survive_each(both, in_turns(ABANDONED, once_each(instants)))


@pytest.mark.parametrize("name", ["installed", "cancelled"])
async def test_frozen_taken_for_dead_and_thawed_when_all_is_done(lanes: Lanes, name: str) -> None:
    [lane] = await lanes.of("postgresql")
    clean, instants = await play_clean(lane, STORIES[name])
    await survive_each([lane], in_rows(clean, in_the_middle(instants), ("postgresql",), frozen=True), clean)


async def test_frozen_and_cancelled_in_the_same_moment(lanes: Lanes) -> None:
    [lane] = await lanes.of("postgresql")
    _, instants = await play_clean(lane, INSTALLED)
    deaths = [Death("postgresql", ABANDONED, (instant,), frozen=True) for instant in in_the_middle(instants)]
    await survive_each([lane], deaths)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("story", [*OTHERS, *TROUBLES], ids=lambda story: story.name)
async def test_every_other_way_of_every_journey_killed_at_every_instant(lanes: Lanes, story: Story, kind: str) -> None:
    [lane] = await lanes.of(kind)
    clean, instants = await play_clean(lane, story)
    deaths = in_rows(clean, once_each(instants), (kind,))
    assert {at for death in deaths for at in death.covers} == set(once_each(instants))
    await survive_each([lane], deaths, clean)
