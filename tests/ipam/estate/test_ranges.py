"""Free ranges that are locked are those that are told as locked."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete, insert, select

from ipam.allocation import carving
from ipam.estate.ranges import lock_with
from ipam.estate.rows import EstateRows
from ipam.tables import FreeRange, Pool
from tests.ipam.conftest import Network, one_pool
from tests.support.postgres import until_it_waits_for_us

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)  # SQLite has one writer


async def test_a_range_that_has_the_number_of_one_that_is_gone_is_not_taken_for_it(
    empty: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    await empty.apply(one_pool("192.0.2.0/27", quarantine_seconds=0))
    monkeypatch.setattr(carving, "LONGEST_STEP", 1)
    async with empty.database.begin() as db:
        pool_id = await db.scalar(select(Pool.id).where(Pool.name == "cgnat")) or 0
        await db.execute(delete(FreeRange))
        three = [
            {"tenant_id": empty.tenant_id, "pool_id": pool_id, "seq": seq, "next_unit": first, "last_unit": last}
            for seq, (first, last) in enumerate([(1, 5), (6, 20), (21, 21)])
        ]
        await db.execute(insert(FreeRange), three)

    async def what_is_told_and_what_others_can_still_lock() -> tuple[set[int], set[int]]:
        async with empty.database.begin() as db:
            told = await lock_with(EstateRows(db, empty.tenant_id), pool_id, [(2, 2), (15, 15), (21, 21)])
            async with empty.database.begin() as other:
                left = await other.scalars(select(FreeRange.seq).with_for_update(skip_locked=True))
                return {each.seq for each in told}, set(left)

    async with empty.database.begin() as db:
        await db.execute(select(FreeRange).where(FreeRange.seq == 0).with_for_update())
        task = asyncio.create_task(what_is_told_and_what_others_can_still_lock())
        await until_it_waits_for_us(db, task)
        await empty.allocate(1, ip_address="192.0.2.21")  # its range is gone
        await empty.allocate(2, ip_address="192.0.2.10")  # and this one is split, so that another has its number
    told, left = await task

    assert told
    assert not told & left
