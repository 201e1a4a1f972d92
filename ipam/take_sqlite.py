"""Taking units on SQLite: the transaction is the only writer, so what the candidates say is exact."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.candidates import Candidate, Holder
from ipam.tables import Allocation, AllocationEvent, FreeRange, table_of

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
_RANGE = table_of(FreeRange)


async def take(db: AsyncSession, pools: Sequence[Candidate], holder: Holder) -> dict[int, int]:
    """One unit of each pool, by pool id."""
    fresh = [pool for pool in pools if pool.own_id is None and pool.range_seq is not None]
    again = [pool.own_id or pool.oldest_id for pool in pools if pool not in fresh]
    units = {pool.pool_id: pool.next_unit for pool in fresh if pool.next_unit is not None}
    if fresh:
        await _advance(db, fresh)
        await db.execute(
            insert(_ALLOCATION),
            [
                {
                    "tenant_id": holder.tenant_id,
                    "pool_id": pool_id,
                    "unit": unit,
                    "state": "assigned",
                    "service_id": holder.service_id,
                    "subject": holder.subject,
                    "assigned_at": holder.at,
                }
                for pool_id, unit in units.items()
            ],
        )
    if again:
        reused = await db.execute(
            update(_ALLOCATION)
            .where(_ALLOCATION.c.id.in_(again))
            .values(
                state="assigned",
                service_id=holder.service_id,
                subject=holder.subject,
                assigned_at=holder.at,
                available_at=None,
            )
            .returning(_ALLOCATION.c.pool_id, _ALLOCATION.c.unit)
        )
        units |= {row.pool_id: row.unit for row in reused}
    await db.execute(
        insert(_EVENT),
        [
            {
                "tenant_id": holder.tenant_id,
                "pool_id": pool_id,
                "unit": unit,
                "service_id": holder.service_id,
                "what": "assigned",
                "at": holder.at,
            }
            for pool_id, unit in units.items()
        ],
    )
    return units


async def _advance(db: AsyncSession, fresh: Sequence[Candidate]) -> None:
    """Move the fronts of the free ranges; one that runs dry goes."""
    key = tuple_(_RANGE.c.pool_id, _RANGE.c.seq)
    dry = [(pool.pool_id, pool.range_seq) for pool in fresh if pool.next_unit == pool.last_unit]
    left = [(pool.pool_id, pool.range_seq) for pool in fresh if pool.next_unit != pool.last_unit]
    if left:
        await db.execute(update(_RANGE).where(key.in_(left)).values(next_unit=_RANGE.c.next_unit + 1))
    if dry:
        await db.execute(delete(_RANGE).where(key.in_(dry)))
