"""`kill -9` of the worker at every instant of an installation changes nothing about the end.

The instants are those that a run without a death went through, so a new step is killed in without a word here. SQLite
and PostgreSQL take turns; `make durability` takes every instant of every journey on both, and every COMMIT.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio

from tests.durability.lane import Lane
from tests.durability.stories import INSTALLED
from tests.durability.sweep import (
    Death,
    in_rows,
    once_each,
    open_lanes,
    play_clean,
    sound,
    survive_all,
)
from tests.support.postgres import PostgresServer
from tests.support.worker_process import Instant

pytestmark = pytest.mark.asyncio(loop_scope="module")

LANES_OF_EACH_KIND = 1
HOUSEHOLDS_OF_A_LANE = 60
FROZEN_AT = (Instant("hand_over_line.effect"), Instant("provision_device.in_tx"))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(tmp_path_factory: pytest.TempPathFactory, postgres: PostgresServer) -> AsyncIterator[list[Lane]]:
    """Opening a lane costs as much as some installations in it, so all tests share them."""
    of_each, households = LANES_OF_EACH_KIND, HOUSEHOLDS_OF_A_LANE
    folder = tmp_path_factory.mktemp("lanes")
    async with open_lanes(folder, postgres, of_each=of_each, households=households, commits=True) as lanes:
        yield lanes


@pytest.fixture
def lanes(opened: list[Lane]) -> list[Lane]:
    return sound(opened)


def around_mails(instant: Instant) -> bool:
    """Both sides of each COMMIT of a delivery: the server has taken the mail, and that is not written down yet."""
    return instant.point.startswith("commit(deliver_")


@pytest.mark.scenario("D9")
@pytest.mark.timeout(900)
async def test_a_worker_killed_at_any_instant_leaves_nothing_undone_or_done_twice(lanes: list[Lane]) -> None:
    clean, every = await play_clean(lanes[0], INSTALLED)
    instants = [*once_each(every), *filter(around_mails, every)]
    assert any(map(around_mails, instants))
    deaths = in_rows(clean, instants)
    assert {at for death in deaths for at in death.covers} == set(instants)
    assert await survive_all(lanes, deaths, clean) == set(deaths)


@pytest.mark.timeout(300)
async def test_a_worker_that_was_only_frozen_is_fenced_out_when_it_thaws(lanes: Sequence[Lane]) -> None:
    """Another takes its segments over, even out of an open transaction; what it still does then counts for nothing."""
    [lane] = [lane for lane in lanes if lane.kind == "postgresql"]
    clean = await lane.play(INSTALLED)
    death = Death("postgresql", INSTALLED, FROZEN_AT, frozen=True)
    assert await survive_all([lane], [death], clean) == {death}
