"""How full the pools are, counted when asked: a counter kept during allocations would queue all writers up.

What was never used lies in a few ranges, what is in quarantine or reserved in indices of its own. The rest of a pool is
assigned, or being drained, since ranges, exclusions and used units are the whole of it
(``invariants.badly_partitioned``): so nothing is counted that grows with the customers.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Select,
    String,
    bindparam,
    cast,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import PoolUsage
from ipam.tables import (
    IN_QUARANTINE,
    IN_THE_NETWORK,
    RESERVED,
    Allocation,
    FreeRange,
    Pool,
    Prefix,
    Svlan,
    UtcDateTime,
    VlanGroup,
    Vrf,
)
from ipam.upkeep.drained_units import nobodys_by_pool

NONE = (0, None)

# Made once: to make them costs more than to have them answered.
_TENANT_ID, _AT = bindparam("tenant_id", type_=String), bindparam("at", type_=UtcDateTime)
_POOLS = (
    select(
        Pool.id,
        Pool.name,
        Pool.kind,
        Prefix.role,
        Pool.size,
        Prefix.network,
        Vrf.name.label("vrf"),
        VlanGroup.name.label("vlan_group"),
        Svlan.vid,
    )
    .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
    .outerjoin(Vrf, Vrf.id == Prefix.vrf_id)
    .outerjoin(Svlan, Svlan.id == Pool.svlan_id)
    .outerjoin(VlanGroup, VlanGroup.id == Svlan.group_id)
    .where(Pool.tenant_id == _TENANT_ID, Pool.framed_pool.is_(None), IN_THE_NETWORK)
    .order_by(Pool.name)
)


def _counted(what: str, state: ColumnElement[bool]) -> Select[str, int, int, datetime | None]:
    """By pool the units in that state, and when the first of them is available again."""
    return (
        select(_named(what), Pool.id, func.count(), func.min(Allocation.available_at, type_=UtcDateTime))
        .join(Allocation, Allocation.pool_id == Pool.id)
        .where(Pool.tenant_id == _TENANT_ID, state)
        .group_by(Pool.id)
    )


def _named(what: str) -> ColumnElement[str]:
    return literal_column(f"'{what}'", String)


_NEVER_USED = (
    select(
        _named("never used"),
        FreeRange.pool_id,
        cast(func.sum(FreeRange.last_unit - FreeRange.next_unit + 1), BigInteger),
        null(),
    )
    .where(FreeRange.tenant_id == _TENANT_ID)
    .group_by(FreeRange.pool_id)
)
_UNASSIGNED: CompoundSelect[str, int, int, datetime | None] = union_all(
    _counted("rested", IN_QUARANTINE & (Allocation.available_at <= _AT)),
    _counted("cooling", IN_QUARANTINE & (Allocation.available_at > _AT)),
    _counted("kept", RESERVED),
    _NEVER_USED,
)
"""One question, since each costs more on its way than in the database."""


async def read(db: AsyncSession, tenant_id: str, *, at: datetime) -> list[PoolUsage]:
    """All pools that are ours to hand out, by name. What has rested by then is as free as what was never used."""
    asked = {"tenant_id": tenant_id, "at": at}
    unassigned: dict[tuple[str, int], tuple[int, datetime | None]] = {
        (what, pool_id): (units, soonest) for what, pool_id, units, soonest in await db.execute(_UNASSIGNED, asked)
    }
    pools = await db.execute(_POOLS, asked)
    draining = await nobodys_by_pool(db, tenant_id)
    usage: list[PoolUsage] = []
    for pool in pools:
        quarantined, soonest = unassigned.get(("cooling", pool.id), NONE)
        reserved, _ = unassigned.get(("kept", pool.id), NONE)
        free = sum(unassigned.get((what, pool.id), NONE)[0] for what in ("never used", "rested"))
        used, nobodys = pool.size - free, draining.get(pool.id, 0)
        usage.append(
            PoolUsage(
                pool_id=pool.id,
                pool=pool.name,
                kind=pool.kind,
                role=pool.role,
                network=pool.network or f"{pool.vlan_group}/{pool.vid}",
                vrf=pool.vrf,
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
