"""Giving back, and who had what when."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import bindparam, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import BITS, from_bytes, parse_address, to_bytes
from ipam.answers import ReleasedResources, ReleasedUnit, ServiceAt, value_of
from ipam.errors import RequestInvalid
from ipam.tables import (
    ASSIGNED,
    Allocation,
    AllocationEvent,
    Location,
    Pool,
    Prefix,
    Service,
    UtcDateTime,
    Vrf,
    table_of,
)

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
_SERVICE = table_of(Service)

_INTO_QUARANTINE = (
    update(_ALLOCATION)
    .where(_ALLOCATION.c.id == bindparam("allocation_id"))
    .values(state="quarantine", service_id=None, available_at=bindparam("until", type_=UtcDateTime))
)


async def release(db: AsyncSession, *, tenant_id: str, service_id: int, at: datetime) -> None:
    """Everything that the service holds goes into its pool's quarantine; the service's row must be locked."""
    held = await db.execute(
        select(Allocation.id, Allocation.pool_id, Allocation.unit, Pool.quarantine_seconds)
        .join(Pool, Pool.id == Allocation.pool_id)
        .where(Allocation.service_id == service_id, ASSIGNED)
    )
    ends = [(*row[:3], at + timedelta(seconds=row.quarantine_seconds)) for row in held]
    if ends:
        await db.execute(_INTO_QUARANTINE, [{"allocation_id": row[0], "until": row[3]} for row in ends])
        await db.execute(
            insert(_EVENT),
            [
                {
                    "tenant_id": tenant_id,
                    "pool_id": pool_id,
                    "unit": unit,
                    "service_id": service_id,
                    "what": "released",
                    "at": at,
                    "available_at": until,
                }
                for _, pool_id, unit, until in ends
            ],
        )
    await db.execute(
        update(_SERVICE).where(_SERVICE.c.service_id == service_id).values(state="released", released_at=at)
    )


async def released(db: AsyncSession, *, service_id: int, at: datetime) -> ReleasedResources:
    """What the service gave back when it was last released, from its history."""
    last_given = select(func.coalesce(func.max(AllocationEvent.id), 0)).where(
        AllocationEvent.service_id == service_id, AllocationEvent.what == "assigned"
    )
    since = aliased(AllocationEvent)
    rows = await db.execute(
        select(Pool.name, Prefix.first_address, Pool.unit_length, since.unit, since.available_at)
        .join(Pool, Pool.id == since.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(
            since.service_id == service_id,
            since.what == "released",
            since.id > last_given.scalar_subquery(),
        )
        .order_by(Pool.name, since.unit)
    )
    units = [
        ReleasedUnit(pool=name, value=value_of(base, unit_length, unit), available_at=available_at or at)
        for name, base, unit_length, unit, available_at in rows
    ]
    return ReleasedResources(service_id=service_id, released_at=at, released=units)


async def service_at(
    db: AsyncSession, *, tenant_id: str, address: str, at: datetime, vrf: str | None
) -> ServiceAt | None:
    """Who had the address, or a prefix around it, at that time.

    Raises:
        RequestInvalid: no address, or one that several VRFs have.
    """
    try:
        family, number = parse_address(address)
    except ValueError as exc:
        raise RequestInvalid("address", f"can't be looked up: {exc}") from exc
    stored = to_bytes(family, number)
    pools = (
        await db.execute(
            select(Vrf.name, Pool.id, Prefix.first_address, Pool.unit_length)
            .join(Prefix, Prefix.vrf_id == Vrf.id)
            .join(Pool, Pool.prefix_id == Prefix.id)
            .where(
                Vrf.tenant_id == tenant_id,
                Prefix.first_address <= stored,
                Prefix.last_address >= stored,
                *([Vrf.name == vrf] if vrf else []),
            )
            .order_by(Vrf.name)
        )
    ).all()
    if len(pools) > 1:
        names = ", ".join(row.name for row in pools)
        raise RequestInvalid("address", f"{address} exists in the VRFs {names}: say which one")
    if not pools:
        return None
    _, pool_id, base, unit_length = pools[0]
    unit = (number - from_bytes(base)[1]) >> (BITS[family] - (unit_length or 0))
    return await _holder_at(db, pool_id, unit, at)


async def _holder_at(db: AsyncSession, pool_id: int, unit: int, at: datetime) -> ServiceAt | None:
    of_unit = select(AllocationEvent.what, AllocationEvent.at, AllocationEvent.service_id, AllocationEvent.id).where(
        AllocationEvent.pool_id == pool_id, AllocationEvent.unit == unit
    )
    last = (
        await db.execute(of_unit.where(AllocationEvent.at <= at).order_by(AllocationEvent.id.desc()).limit(1))
    ).first()
    if last is None or last.what == "released":
        return None
    then = (await db.execute(of_unit.where(AllocationEvent.id > last.id).order_by(AllocationEvent.id).limit(1))).first()
    row = (
        await db.execute(
            select(
                Service.customer_id,
                Service.username,
                Location.name.label("location"),
                Pool.name.label("pool"),
                Prefix.first_address,
                Pool.unit_length,
            )
            .join(Location, Location.id == Service.location_id)
            .join(Pool, Pool.id == pool_id)
            .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
            .where(Service.service_id == last.service_id)
        )
    ).one()
    return ServiceAt(
        service_id=last.service_id,
        customer_id=row.customer_id,
        username=row.username,
        location=row.location,
        pool=row.pool,
        value=value_of(row.first_address, row.unit_length, unit),
        since=last.at,
        until=then.at if then else None,
    )
