"""Everything that is held, kept or cooling, in the columns that an import of ours reads; one row after the other.

What cools off in a part that is drained or excluded has no row in the tables either, but its history knows of it. What
has rested is nobody's, and has no row here. A line that holds nothing of its own (its address comes from the BNG's
pool, its VLAN is shared) has none either.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import AnySelect
from ipam.bulk import AT_ONCE, in_parts
from ipam.estate.cooling import cooling_in
from ipam.estate.rows import EstateRows
from ipam.tables import ASSIGNED, IN_QUARANTINE, RESERVED, AddressPlan, Allocation, AllocationEvent, Location, Service
from ipam.upkeep.pool_units import KnownPool, all_pools, find_pool


async def export(
    db: AsyncSession, tenant_id: str, *, pool: str | None, at: datetime
) -> AsyncGenerator[list[str], None]:
    """A row of cells for each unit, by VRF, pool and unit, while they are read.

    Raises:
        NameUnknown, RequestInvalid: as for a pool by its name.
    """
    pools = [await find_pool(db, tenant_id, pool)] if pool else await all_pools(db, tenant_id)
    for each in sorted(pools, key=lambda one: (one.vrf or "", one.name)):
        async for some in _units_of(db, each, at):
            cooling = [row for row in some if row.state == "quarantine"]
            givers = await _givers(db, each.pool_id, cooling) if cooling else {}
            for row in some:
                yield _cells(each, row, givers.get(row.unit) or _holder(row))


class LastHolder(NamedTuple):
    """Who has a unit or had it last; and since when, or until when."""

    customer_id: int | None
    username: str | None
    location: str | None
    plan: str | None
    at: datetime


class Rowless(NamedTuple):
    """What cools off without a row, as if it had one."""

    unit: int
    subject: str
    available_at: datetime
    sticky_until: datetime | None
    state: str = "quarantine"
    note: str | None = None


async def _units_of(db: AsyncSession, pool: KnownPool, at: datetime) -> AsyncGenerator[list[Any], None]:
    """Some of the pool at a time, by unit: those with a row, and between them those that cool off without one."""
    cooling = await cooling_in(EstateRows(db, pool.tenant_id), pool.pool_id, [(0, pool.span - 1)], at)
    rowless = [Rowless(each.unit, each.subject, each.until, each.sticky_until) for each in cooling]
    last, told = -1, 0
    while page := (await db.execute(_page(pool.pool_id, last, at))).all():
        last = page[-1].unit
        before = bisect_left(rowless, last, key=lambda each: each.unit)
        both: list[Any] = [*page, *rowless[told:before]]
        for some in in_parts(sorted(both, key=lambda each: each.unit)):
            yield [*some]
        told = before
    for rest in in_parts(rowless[told:]):
        yield [*rest]


_WHO = (Service.customer_id, Service.username, Location.name.label("location"), AddressPlan.name.label("plan"))


def _page(pool_id: int, last: int, at: datetime) -> AnySelect:
    cooling = and_(IN_QUARANTINE, Allocation.available_at > at)
    statement: AnySelect = select(
        Allocation.unit,
        Allocation.state,
        Allocation.subject,
        Allocation.assigned_at,
        Allocation.available_at,
        Allocation.sticky_until,
        Allocation.note,
        *_WHO,
    )
    return (
        statement.select_from(Allocation)
        .outerjoin(Service, Service.service_id == Allocation.service_id)
        .outerjoin(Location, Location.id == Service.location_id)
        .outerjoin(AddressPlan, AddressPlan.id == Service.plan_id)
        .where(Allocation.pool_id == pool_id, Allocation.unit > last, or_(ASSIGNED, RESERVED, cooling))
        .order_by(Allocation.unit)
        .limit(AT_ONCE)
    )


def _holder(row: Any) -> LastHolder:
    return LastHolder(row.customer_id, row.username, row.location, row.plan, row.assigned_at)


async def _givers(db: AsyncSession, pool_id: int, cooling: Sequence[Any]) -> dict[int, LastHolder]:
    """By unit, who gave it back last. Where that was, its subject says: the service may be elsewhere by now."""
    units, subjects = [row.unit for row in cooling], {row.unit: row.subject for row in cooling}
    last = (
        select(func.max(AllocationEvent.id))
        .where(AllocationEvent.pool_id == pool_id, AllocationEvent.unit.in_(units), AllocationEvent.what == "released")
        .group_by(AllocationEvent.unit)
    )
    released: AnySelect = select(AllocationEvent.unit, AllocationEvent.at, *_WHO)
    rows = await db.execute(
        released.join(Service, Service.service_id == AllocationEvent.service_id)
        .join(Location, Location.id == Service.location_id)
        .join(AddressPlan, AddressPlan.id == Service.plan_id)
        .where(AllocationEvent.id.in_(last))
    )
    places = {subject: int(subject.partition("@")[2]) for subject in subjects.values()}
    named = await db.execute(select(Location.id, Location.name).where(Location.id.in_(set(places.values()))))
    names = {location_id: name for location_id, name in named}
    return {
        row.unit: LastHolder(row.customer_id, row.username, names[places[subjects[row.unit]]], row.plan, row.at)
        for row in rows
    }


def _cells(pool: KnownPool, row: Any, holder: LastHolder) -> list[str]:
    """In the order of ``shapes.IMPORT_COLUMNS``."""
    return [
        pool.vrf or "",
        pool.name,
        pool.kind,
        pool.value(row.unit),
        row.state,
        _text(holder.customer_id),
        _text(holder.username),
        _text(holder.location),
        _text(holder.plan),
        _time(holder.at),
        _time(row.available_at),
        _time(row.sticky_until),
        _text(row.note),
    ]


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _time(moment: datetime | None) -> str:
    return "" if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
