"""Taking units on SQLite: the transaction is the only writer, so what the candidates say is exact."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.candidates import Candidate, Holder
from ipam.tables import Allocation, AllocationEvent, FreeRange, table_of

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
_RANGE = table_of(FreeRange)
# Row by row: SQLite would look through the ranges of all pools for a list of pairs.
_THE_RANGE = and_(_RANGE.c.pool_id == bindparam("of_pool"), _RANGE.c.seq == bindparam("at_seq"))
_MOVE = update(_RANGE).where(_THE_RANGE).values(next_unit=_RANGE.c.next_unit + 1)
_DROP = delete(_RANGE).where(_THE_RANGE)


async def take(db: AsyncSession, pools: Sequence[Candidate], holder: Holder) -> dict[int, int]:
    """One unit of each pool, by pool id."""
    fresh = [pool for pool in pools if pool.reused_id is None]
    again = [pool.reused_id for pool in pools if pool.reused_id is not None]
    units = {pool.pool_id: pool.next_unit for pool in fresh if pool.next_unit is not None}
    held = {"state": "assigned", "service_id": holder.service_id, "subject": holder.subject, "assigned_at": holder.at}
    if fresh:
        await _advance(db, fresh)
        rows = [{"tenant_id": holder.tenant_id, "pool_id": pool, "unit": unit, **held} for pool, unit in units.items()]
        await db.execute(insert(_ALLOCATION), rows)
    if again:
        reused = await db.execute(
            update(_ALLOCATION)
            .where(_ALLOCATION.c.id.in_(again))
            .values(available_at=None, sticky_until=None, **held)
            .returning(_ALLOCATION.c.pool_id, _ALLOCATION.c.unit)
        )
        units |= {row.pool_id: row.unit for row in reused}
    what = {"service_id": holder.service_id, "what": "assigned", "at": holder.at}
    rows = [{"tenant_id": holder.tenant_id, "pool_id": pool, "unit": unit, **what} for pool, unit in units.items()]
    await db.execute(insert(_EVENT), rows)
    return units


async def _advance(db: AsyncSession, fresh: Sequence[Candidate]) -> None:
    """Move the fronts of the free ranges; one that runs dry goes."""
    dry = [_key(pool) for pool in fresh if pool.next_unit == pool.last_unit]
    left = [_key(pool) for pool in fresh if pool.next_unit != pool.last_unit]
    if left:
        await db.execute(_MOVE, left)
    if dry:
        await db.execute(_DROP, dry)


def _key(pool: Candidate) -> dict[str, int | None]:
    return {"of_pool": pool.pool_id, "at_seq": pool.range_seq}
