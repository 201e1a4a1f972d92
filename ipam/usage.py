"""How full the pools are, counted when asked: a counter kept during allocations would queue all writers up."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import PoolUsage
from ipam.drained_units import nobodys_by_pool
from ipam.tables import Allocation, Pool, Prefix, Svlan, UtcDateTime, VlanGroup


async def read(db: AsyncSession, tenant_id: str) -> list[PoolUsage]:
    """All pools that are ours to hand out, by name."""
    counted = await db.execute(
        select(
            Allocation.pool_id,
            Allocation.state,
            func.count(),
            func.min(Allocation.available_at, type_=UtcDateTime),
        )
        .where(Allocation.tenant_id == tenant_id)
        .group_by(Allocation.pool_id, Allocation.state)
    )
    numbers = {(pool_id, state): (count, soonest) for pool_id, state, count, soonest in counted}
    pools = await db.execute(
        select(Pool.id, Pool.name, Pool.kind, Pool.size, Prefix.network, VlanGroup.name.label("vlan_group"), Svlan.vid)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(Svlan, Svlan.id == Pool.svlan_id)
        .outerjoin(VlanGroup, VlanGroup.id == Svlan.group_id)
        .where(Pool.tenant_id == tenant_id, Pool.framed_pool.is_(None))
        .order_by(Pool.name)
    )
    draining = await nobodys_by_pool(db, tenant_id)
    usage: list[PoolUsage] = []
    for pool in pools:
        quarantined, soonest = numbers.get((pool.id, "quarantine"), (0, None))
        assigned, reserved = (numbers.get((pool.id, state), (0, None))[0] for state in ("assigned", "reserved"))
        nobodys = draining.get(pool.id, 0)
        used = assigned + quarantined + reserved + nobodys
        usage.append(
            PoolUsage(
                pool=pool.name,
                kind=pool.kind,
                network=pool.network or f"{pool.vlan_group}/{pool.vid}",
                size=pool.size,
                assigned=assigned,
                quarantined=quarantined,
                reserved=reserved,
                draining=nobodys,
                free=pool.size - used,
                used_percent=round(100 * used / pool.size, 1) if pool.size else 100.0,
                next_available_at=soonest,
            )
        )
    return usage
