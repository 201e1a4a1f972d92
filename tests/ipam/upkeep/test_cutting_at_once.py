"""Two who change what of a pool may be handed out at the same moment: one comes after the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import EstateInUse
from ipam.tables import FreeRange, NetworkVersion, Pool
from tests.ipam.conftest import Network, one_pool
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.both_databases
ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
"""SQLite has one writer: there the second one can't begin before the first has ended."""
KEPT, UPPER, WHOLE = "192.0.2.1", "192.0.2.8/29", 14


async def with_one_kept(network: Network, how: str) -> None:
    """A pool of which one address is reserved, and its upper half excluded or drained."""
    await network.apply(one_pool("192.0.2.0/28"))
    await network.keep("reserve", pool="cgnat", value=KEPT, note="for the museum")
    await network.keep("exclude" if how == "include" else "drain", pool="cgnat", span=UPPER, note="for a test")


async def behind(db: AsyncSession, act: Coroutine[Any, Any, bool]) -> asyncio.Task[bool]:
    """It has come to where it waits for what this transaction has locked."""
    task = asyncio.create_task(act)
    await until_it_waits_for_us(db, task)
    return task


async def all_is_free_again(network: Network) -> None:
    usage = await network.usage("cgnat")
    assert (usage["size"], usage["free"], usage["reserved"], usage["draining"]) == (WHOLE, WHOLE, 0, 0)
    assert await network.violations() == []


@ON_POSTGRESQL
@pytest.mark.parametrize("how", ["include", "undrain"])
@pytest.mark.parametrize("first", ["unreserve", "the other"])
async def test_a_part_is_let_in_while_something_is_unreserved(
    empty: Network, how: str, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipam.allocation.carving.LONGEST_STEP", 1)  # both want the same number for their range
    await with_one_kept(empty, how)
    acts = {"unreserve": {"value": KEPT, "note": "closed"}, how: {"span": UPPER, "note": "it is over"}}
    now, then = acts if first == "unreserve" else reversed(acts)

    async with empty.database.begin() as db:
        assert await getattr(empty.upkeep(db), now)(pool="cgnat", **acts[now]) is True
        after = await behind(db, empty.keep(then, pool="cgnat", **acts[then]))

    assert await after is True
    await all_is_free_again(empty)


@ON_POSTGRESQL
@pytest.mark.parametrize("how", ["include", "undrain"])
async def test_who_was_refused_something_before_is_alone_all_the_same(
    empty: Network, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ipam.allocation.carving.LONGEST_STEP", 1)
    await with_one_kept(empty, how)

    async with empty.database.begin() as db:
        upkeep = empty.upkeep(db)
        with pytest.raises(EstateInUse, match="reserved"):
            await upkeep.exclude(pool="cgnat", span=KEPT, note="x")
        assert await upkeep.unreserve(pool="cgnat", value=KEPT, note="closed") is True
        after = await behind(db, empty.keep(how, pool="cgnat", span=UPPER))

    assert await after is True
    await all_is_free_again(empty)


async def numbers(network: Network) -> list[int]:
    async with network.database.begin() as db:
        ranges = select(FreeRange.seq).join(Pool, Pool.id == FreeRange.pool_id).where(Pool.name == "cgnat")
        return list(await db.scalars(ranges.order_by(FreeRange.seq)))


async def test_free_ranges_have_the_lowest_numbers_however_often_a_part_goes_and_comes_back(empty: Network) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    whole = len(await numbers(empty))
    for span in (UPPER, "192.0.2.0/29", "192.0.2.0/28") * 2:
        await empty.keep("drain", pool="cgnat", span=span, note="for a test")
        await empty.keep("undrain", pool="cgnat", span=span)
        await empty.keep("exclude", pool="cgnat", span=span, note="for a test")
        await empty.keep("include", pool="cgnat", span=span)

    left = await numbers(empty)
    assert left == list(range(len(left)))
    assert len(left) >= whole
    await all_is_free_again(empty)


@ON_POSTGRESQL
async def test_where_to_look_for_free_ranges_is_worked_out_anew_when_a_part_is_drained_or_no_longer(
    empty: Network,
) -> None:
    await empty.apply(one_pool("192.0.2.0/28"))
    versions = []
    version = select(NetworkVersion.version).where(NetworkVersion.tenant_id == empty.tenant_id)
    for verb, said in (("drain", {"note": "for a test"}), ("undrain", {}), ("undrain", {})):
        await empty.keep(verb, pool="cgnat", **said)
        async with empty.database.begin() as db:
            versions.append(await db.scalar(version))

    assert versions == [2, 3, 3]
