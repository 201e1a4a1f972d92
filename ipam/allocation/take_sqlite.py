"""Taking units on SQLite: the transaction is the only writer, so what the candidates say is exact."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, bindparam, delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from ipam.allocation.candidates import Candidate, Holder
from ipam.tables import Allocation, AllocationEvent, FreeRange, table_of

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
_RANGE = table_of(FreeRange)
# Row by row: SQLite would look through the ranges of all pools for a list of pairs.
_THE_RANGE = and_(_RANGE.c.pool_id == bindparam("of_pool"), _RANGE.c.seq == bindparam("at_seq"))
_MOVE = update(_RANGE).where(_THE_RANGE).values(next_unit=_RANGE.c.next_unit + 1)
_DROP = delete(_RANGE).where(_THE_RANGE)


_ADD = insert(_ALLOCATION)
_AGAIN = (
    update(_ALLOCATION)
    .where(_ALLOCATION.c.id.in_(bindparam("again", expanding=True)))
    .values(
        available_at=None,
        sticky_until=None,
        state="assigned",
        service_id=bindparam("holder_id"),
        subject=bindparam("holder"),
        assigned_at=bindparam("since"),
    )
    .returning(_ALLOCATION.c.pool_id, _ALLOCATION.c.unit)
)
_NOTE = insert(_EVENT)


async def take(db: AsyncSession, pools: Sequence[Candidate], holder: Holder) -> dict[int, int]:
    """One unit of each pool, by pool id."""
    connection = await db.connection()
    fresh = [pool for pool in pools if pool.reused_id is None]
    again = [pool.reused_id for pool in pools if pool.reused_id is not None]
    units = {pool.pool_id: pool.next_unit for pool in fresh if pool.next_unit is not None}
    mine = {"tenant_id": holder.tenant_id, "service_id": holder.service_id}
    if fresh:
        await _advance(connection, fresh)
        held = {**mine, "state": "assigned", "subject": holder.subject, "assigned_at": holder.at}
        await connection.execute(_ADD, [{"pool_id": pool, "unit": unit, **held} for pool, unit in units.items()])
    if again:
        given = {"holder_id": holder.service_id, "holder": holder.subject, "since": holder.at}
        units |= {pool: unit for pool, unit in await connection.execute(_AGAIN, {"again": again, **given})}
    told = {**mine, "what": "assigned", "at": holder.at}
    await connection.execute(_NOTE, [{"pool_id": pool, "unit": unit, **told} for pool, unit in units.items()])
    return units


async def _advance(connection: AsyncConnection, fresh: Sequence[Candidate]) -> None:
    """Move the fronts of the free ranges; one that runs dry goes."""
    dry = [_key(pool) for pool in fresh if pool.next_unit == pool.last_unit]
    left = [_key(pool) for pool in fresh if pool.next_unit != pool.last_unit]
    if left:
        await connection.execute(_MOVE, left)
    if dry:
        await connection.execute(_DROP, dry)


def _key(pool: Candidate) -> dict[str, int | None]:
    return {"of_pool": pool.pool_id, "at_seq": pool.range_seq}
