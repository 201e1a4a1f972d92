"""Services that keep what doesn't serve them any more: of a pool, or a shared S-VLAN, that was bound elsewhere."""

from __future__ import annotations

from sqlalchemy import ColumnElement, exists, or_, select

from ipam.estate.rows import EstateRows
from ipam.tables import ASSIGNED, BOUND_THERE, AccessNode, Allocation, Location, PoolBinding, Service


async def unserved_by(rows: EstateRows, *, pool_id: int | None = None, svlan_id: int | None = None) -> list[int]:
    """The live services that have something of it where it isn't bound, or on a plan that it isn't bound for."""
    is_served = exists().where(
        PoolBinding.svlan_id == svlan_id if pool_id is None else PoolBinding.pool_id == pool_id,
        or_(PoolBinding.plan_id.is_(None), PoolBinding.plan_id == Service.plan_id),
        BOUND_THERE,
    )
    found = (
        select(Service.service_id)
        .join(Location, Location.id == Service.location_id)
        .join(AccessNode, AccessNode.id == Location.node_id)
        .where(Service.tenant_id == rows.tenant_id, Service.state == "active", _has_of(pool_id, svlan_id), ~is_served)
        .order_by(Service.service_id)
    )
    return list(await rows.db.scalars(found))


def _has_of(pool_id: int | None, svlan_id: int | None) -> ColumnElement[bool]:
    if pool_id is None:
        return Service.svlan_id == svlan_id
    holders = select(Allocation.service_id).where(Allocation.pool_id == pool_id, ASSIGNED)
    return or_(Service.framed_pool_id == pool_id, Service.service_id.in_(holders))
