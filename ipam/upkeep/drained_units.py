"""Units in drained or excluded parts of pools: those that somebody still has, and those that nobody gets."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.carving import excluded_because
from ipam.tables import IN_A_DRAIN, Allocation, AllocationEvent, Drain, Exclusion
from ipam.units import Interval, count, subtract


async def drained_since(db: AsyncSession, pool_id: int, units: Interval) -> tuple[str, datetime] | None:
    """The note of the first drain that one of the units lies in, and when it began; None: none of them lies in any."""
    first, last = units
    touching = (Drain.pool_id == pool_id, Drain.first_unit <= last, Drain.last_unit >= first)
    drains = select(Drain.note, Drain.began_at).where(*touching).order_by(Drain.first_unit).limit(1)
    found = (await db.execute(drains)).first()
    return None if found is None else (found.note, found.began_at)


async def why_drained(db: AsyncSession, pool_id: int, units: Interval) -> str | None:
    """The note of the first drain that one of the units lies in; None: none of them lies in any."""
    drained = await drained_since(db, pool_id, units)
    return drained and drained[0]


async def why_excluded(db: AsyncSession, pool_id: int, units: Interval) -> str | None:
    """Why the first of these units that was let go by hand and lies in an excluded part is excluded, with the note of
    who did that; None: there is no such unit. What nobody ever had, as a network's own address, is none."""
    first, last = units
    event = AllocationEvent
    let_go = exists().where(
        event.pool_id == pool_id,
        event.unit.between(first, last),
        event.unit.between(Exclusion.first_unit, Exclusion.last_unit),
        event.what.in_(("lifted", "unreserved")),
    )
    touching = (Exclusion.pool_id == pool_id, Exclusion.first_unit <= last, Exclusion.last_unit >= first)
    reasons = select(Exclusion.reason, Exclusion.note).where(*touching, let_go).order_by(Exclusion.first_unit).limit(1)
    found = (await db.execute(reasons)).first()
    return None if found is None else excluded_because(found.reason, found.note)


async def nobodys_by_pool(db: AsyncSession, tenant_id: str) -> dict[int, int]:
    """By pool, how many units of it are neither free nor excluded nor anybody's, but drained."""
    drained: dict[int, list[Interval]] = defaultdict(list)
    spans = select(Drain.pool_id, Drain.first_unit, Drain.last_unit).where(Drain.tenant_id == tenant_id)
    for pool_id, first, last in await db.execute(spans):
        drained[pool_id].append((first, last))
    if not drained:
        return {}
    excluded: dict[int, list[Interval]] = defaultdict(list)
    out = select(Exclusion.pool_id, Exclusion.first_unit, Exclusion.last_unit).where(Exclusion.pool_id.in_(drained))
    for pool_id, first, last in await db.execute(out):
        excluded[pool_id].append((first, last))
    held = select(Allocation.pool_id, func.count()).join(Drain, IN_A_DRAIN).where(Drain.tenant_id == tenant_id)
    somebodys = {pool_id: number for pool_id, number in await db.execute(held.group_by(Allocation.pool_id))}
    return {
        pool_id: count(subtract(spans, excluded[pool_id])) - somebodys.get(pool_id, 0)
        for pool_id, spans in drained.items()
    }
