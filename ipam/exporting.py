"""Everything that is held, kept or cooling, in the columns that an import of ours reads; one row after the other.

What has rested is nobody's, and has no row. A line that holds nothing of its own (its address comes from the BNG's
pool, its VLAN is shared) has none either.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.import_reading import chunks
from ipam.places import AnySelect
from ipam.pool_units import KnownPool, all_pools, find_pool
from ipam.tables import ASSIGNED, IN_QUARANTINE, RESERVED, AddressPlan, Allocation, AllocationEvent, Location, Service

ROWS_AT_ONCE = 2000


async def export(db: AsyncSession, tenant_id: str, *, pool: str | None, at: datetime) -> AsyncIterator[list[str]]:
    """A row of cells for each unit, by VRF, pool and unit, while they are read.

    Raises:
        NameUnknown, RequestInvalid: as for a pool by its name.
    """
    pools = [await find_pool(db, tenant_id, pool)] if pool else await all_pools(db, tenant_id)
    for each in sorted(pools, key=lambda one: (one.vrf or "", one.name)):
        places = await _places_of_cooling(db, each, at)
        rows = await db.stream(_units(each.pool_id, at).execution_options(yield_per=ROWS_AT_ONCE))
        async for row in rows:
            yield _cells(each, row, places)


def _units(pool_id: int, at: datetime) -> AnySelect:
    last_id = (
        select(func.max(AllocationEvent.id))
        .where(
            AllocationEvent.pool_id == Allocation.pool_id,
            AllocationEvent.unit == Allocation.unit,
            AllocationEvent.what == "released",
        )
        .correlate(Allocation)
        .scalar_subquery()
    )
    cooling = and_(IN_QUARANTINE, Allocation.available_at > at)
    statement: AnySelect = select(
        Allocation.unit,
        Allocation.state,
        Allocation.subject,
        Allocation.assigned_at,
        Allocation.available_at,
        Allocation.sticky_until,
        Allocation.note,
        Service.customer_id,
        Service.username,
        Location.name.label("location"),
        AddressPlan.name.label("plan"),
        AllocationEvent.at.label("released_at"),
    )
    return (
        statement.select_from(Allocation)
        .outerjoin(AllocationEvent, and_(IN_QUARANTINE, AllocationEvent.id == last_id))
        .outerjoin(Service, Service.service_id == func.coalesce(Allocation.service_id, AllocationEvent.service_id))
        .outerjoin(Location, Location.id == Service.location_id)
        .outerjoin(AddressPlan, AddressPlan.id == Service.plan_id)
        .where(Allocation.pool_id == pool_id, or_(ASSIGNED, RESERVED, cooling))
        .order_by(Allocation.unit)
    )


async def _places_of_cooling(db: AsyncSession, pool: KnownPool, at: datetime) -> dict[str, str]:
    """Where the former holders were by then, by subject: their services may be elsewhere now."""
    cooling = select(Allocation.subject).distinct().where(Allocation.pool_id == pool.pool_id, IN_QUARANTINE)
    subjects = list(await db.scalars(cooling.where(Allocation.available_at > at)))
    places: dict[str, str] = {}
    for some in chunks(subjects):
        ids = {int(subject.partition("@")[2]): subject for subject in some}
        named = await db.execute(select(Location.id, Location.name).where(Location.id.in_(ids)))
        names = {location_id: name for location_id, name in named}
        places |= {subject: names[int(subject.partition("@")[2])] for subject in some}
    return places


def _cells(pool: KnownPool, row: Any, places: dict[str, str]) -> list[str]:
    """In the order of ``import_shapes.IMPORT_COLUMNS``."""
    return [
        pool.vrf or "",
        pool.name,
        pool.kind,
        pool.value(row.unit),
        row.state,
        _text(row.customer_id),
        _text(row.username),
        places.get(row.subject, "") if row.state == "quarantine" else _text(row.location),
        _text(row.plan),
        _time(row.released_at or row.assigned_at),
        _time(row.available_at),
        _time(row.sticky_until),
        _text(row.note),
    ]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
