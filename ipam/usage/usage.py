"""How full the pools are, counted when asked: a counter kept during allocations would queue all writers up.

What was never used lies in a few ranges, what is in quarantine or reserved in indices of its own. The rest of a pool is
assigned, or being drained, since ranges, exclusions and used units are the whole of it
(``invariants.badly_partitioned``): so nothing is counted that grows with the customers.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import PoolUsage
from ipam.tables import IN_QUARANTINE, RESERVED, Allocation, FreeRange, Pool, Prefix, Svlan, UtcDateTime, VlanGroup
from ipam.upkeep.drained_units import nobodys_by_pool


async def read(db: AsyncSession, tenant_id: str, *, at: datetime) -> list[PoolUsage]:
    """All pools that are ours to hand out, by name. What has rested by then is as free as what was never used."""
    never_used = {
        pool_id: int(units)
        for pool_id, units in await db.execute(
            select(FreeRange.pool_id, func.sum(FreeRange.last_unit - FreeRange.next_unit + 1))
            .where(FreeRange.tenant_id == tenant_id)
            .group_by(FreeRange.pool_id)
        )
    }
    rested = await _unassigned(db, tenant_id, IN_QUARANTINE & (Allocation.available_at <= at))
    cooling = await _unassigned(db, tenant_id, IN_QUARANTINE & (Allocation.available_at > at))
    kept = await _unassigned(db, tenant_id, RESERVED)
    pools = await db.execute(
        select(
            Pool.id,
            Pool.name,
            Pool.kind,
            Prefix.role,
            Pool.size,
            Prefix.network,
            VlanGroup.name.label("vlan_group"),
            Svlan.vid,
        )
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(Svlan, Svlan.id == Pool.svlan_id)
        .outerjoin(VlanGroup, VlanGroup.id == Svlan.group_id)
        .where(Pool.tenant_id == tenant_id, Pool.framed_pool.is_(None))
        .order_by(Pool.name)
    )
    draining = await nobodys_by_pool(db, tenant_id)
    usage: list[PoolUsage] = []
    for pool in pools:
        quarantined, soonest = cooling.get(pool.id, (0, None))
        reserved, _ = kept.get(pool.id, (0, None))
        free = never_used.get(pool.id, 0) + rested.get(pool.id, (0, None))[0]
        used, nobodys = pool.size - free, draining.get(pool.id, 0)
        usage.append(
            PoolUsage(
                pool=pool.name,
                kind=pool.kind,
                role=pool.role,
                network=pool.network or f"{pool.vlan_group}/{pool.vid}",
                size=pool.size,
                assigned=used - quarantined - reserved - nobodys,
                quarantined=quarantined,
                reserved=reserved,
                draining=nobodys,
                free=free,
                used_percent=round(100 * used / pool.size, 1) if pool.size else 100.0,
                next_available_at=soonest,
            )
        )
    return usage


async def _unassigned(
    db: AsyncSession, tenant_id: str, state: ColumnElement[bool]
) -> dict[int, tuple[int, datetime | None]]:
    """By pool the units in that state, and when the first of them is available again."""
    counted = await db.execute(
        select(Pool.id, func.count(), func.min(Allocation.available_at, type_=UtcDateTime))
        .join(Allocation, Allocation.pool_id == Pool.id)
        .where(Pool.tenant_id == tenant_id, state)
        .group_by(Pool.id)
    )
    return {pool_id: (count, soonest) for pool_id, count, soonest in counted}
