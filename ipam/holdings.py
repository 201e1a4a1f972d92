"""The services and what each holds, as the tables have it."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Row, bindparam, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.places import (
    PLACE_COLUMNS,
    PLAN_COLUMNS,
    AnySelect,
    Place,
    Plan,
    hold_places,
    lead_to,
    place_from,
    plan_from,
    with_place,
)
from ipam.answers import AllocatedResources, Held, describe, value_of
from ipam.errors import ServiceIncomplete, ServiceUnknown
from ipam.kinds import Kind
from ipam.tables import ASSIGNED, IN_A_DRAIN, AddressPlan, Allocation, Location, Pool, Prefix, Service, Svlan

LARGEST_SERVICE = 2**31 - 1
"""Services are counted in 32 bits: PostgreSQL fails at comparing them with more."""


@dataclass(frozen=True)
class Line:
    """A service with the names it was made from."""

    place: Place
    plan: Plan
    service_id: int
    customer_id: int
    username: str
    state: str
    released_at: datetime | None
    svlan_vid: int | None
    framed_pool: str | None
    static_request: str | None

    @property
    def released(self) -> bool:
        return self.state == "released"


async def find_line(
    db: AsyncSession, tenant_id: str, *which: ColumnElement[bool], to_change: bool = False
) -> Line | None:
    """The one service that ``which`` says; ``to_change`` keeps others from changing it meanwhile."""
    if to_change:
        await _lock(db, Service.tenant_id == tenant_id, *which)
    row = (await db.execute(_lines(tenant_id).where(*which))).first()
    return None if row is None else _line(row)


async def lines_to_change(db: AsyncSession, tenant_id: str, service_ids: Collection[int]) -> list[Line]:
    """These services in the order of their numbers, which nobody else changes meanwhile."""
    these = Service.service_id.in_(service_ids)
    await _lock(db, Service.tenant_id == tenant_id, these)
    return [_line(row) for row in await db.execute(_lines(tenant_id).where(these).order_by(Service.service_id))]


async def _lock(db: AsyncSession, *which: ColumnElement[bool]) -> None:
    """By a statement of its own: one that has had to wait for a row holds its newest version against what it had read
    of other tables before, and so misses who was moved meanwhile, or takes it to be where it was. SQLite has one writer
    anyway."""
    if db.get_bind().dialect.name == "postgresql":
        rows = select(Service.service_id).where(*which).order_by(Service.service_id)
        await db.execute(rows.with_for_update(key_share=True))


class LockedService(NamedTuple):
    """Whose a service is, and since when it holds nothing."""

    customer_id: int
    username: str
    released_at: datetime | None


_TO_RELEASE = (
    select(Service.customer_id, Service.username, Service.released_at)
    .where(Service.tenant_id == bindparam("tenant_id"), Service.service_id == bindparam("service_id"))
    .with_for_update(key_share=True)
)


async def lock_service(db: AsyncSession, tenant_id: str, service_id: int) -> LockedService:
    """A service which nobody else changes meanwhile. Nothing is read but its row, so that what had to be waited for is
    what is told.

    Raises:
        ServiceUnknown: there never was such a service.
    """
    row = None
    if 1 <= service_id <= LARGEST_SERVICE:
        row = (await db.execute(_TO_RELEASE, {"tenant_id": tenant_id, "service_id": service_id})).first()
    if row is None:
        raise ServiceUnknown(service_id)
    return LockedService(*row)


async def find_service(db: AsyncSession, tenant_id: str, service_id: int, *, to_change: bool = False) -> Line:
    """
    Raises:
        ServiceUnknown: there never was such a service.
    """
    line = None
    if 1 <= service_id <= LARGEST_SERVICE:
        line = await find_line(db, tenant_id, Service.service_id == service_id, to_change=to_change)
    if line is None:
        raise ServiceUnknown(service_id)
    return line


async def hold_service(db: AsyncSession, tenant_id: str, service_id: int, *going_to: str) -> Line:
    """A service which nobody else changes meanwhile, after its premise and those where it may be going: the order of
    all who lock any of these, so that nobody waits in a circle.

    Raises:
        ServiceUnknown: there never was such a service.
    """
    while True:
        seen = await find_service(db, tenant_id, service_id)
        if db.get_bind().dialect.name != "postgresql":
            return seen
        connection = await db.connection()
        async with connection.begin_nested() as held:
            premises = await hold_places(db, tenant_id, *going_to, seen.place.location)
            if await lead_to(db, tenant_id, premises, *going_to):
                line = await find_service(db, tenant_id, service_id, to_change=True)
                if line.place.location_id == seen.place.location_id:
                    return line
            await held.rollback()  # lets go of all, before the premise that it has gone to, or is to, is waited for


async def live_lines(db: AsyncSession, tenant_id: str) -> list[Line]:
    """All services that hold something, or should."""
    rows = await db.execute(_lines(tenant_id).where(Service.state == "active").order_by(Service.service_id))
    return [_line(row) for row in rows]


def _lines(tenant_id: str) -> AnySelect:
    return with_place(
        select(
            *PLACE_COLUMNS,
            *PLAN_COLUMNS,
            Service.service_id,
            Service.customer_id,
            Service.username,
            Service.state,
            Service.released_at,
            Svlan.vid,
            Pool.framed_pool,
            Service.static_request,
        )
        .select_from(Service)
        .join(Location, Location.id == Service.location_id)
        .join(AddressPlan, AddressPlan.id == Service.plan_id)
        .outerjoin(Svlan, Svlan.id == Service.svlan_id)
        .outerjoin(Pool, Pool.id == Service.framed_pool_id)
    ).where(Service.tenant_id == tenant_id)


def _line(row: Row[Any]) -> Line:
    return Line(place_from(row), plan_from(row), *row[len(PLACE_COLUMNS) + len(PLAN_COLUMNS) :])


async def held_by(db: AsyncSession, line: Line) -> list[Held]:
    """Everything that the service holds now."""
    rows = await db.execute(_assigned().where(Allocation.service_id == line.service_id))
    return [*(_held(*row[1:]) for row in rows), *_named(line)]


def _assigned() -> AnySelect:
    return (
        select(
            Allocation.service_id,
            Pool.kind,
            Allocation.unit,
            Prefix.first_address,
            Pool.unit_length,
            Prefix.length,
            Prefix.gateway,
            Svlan.vid,
        )
        .select_from(Allocation)
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(Svlan, Svlan.id == Pool.svlan_id)
        .where(ASSIGNED)
    )


@dataclass(frozen=True)
class HeldUnit:
    """One unit that a service holds, and where it is written."""

    allocation_id: int
    pool_id: int
    pool: str
    kind: Kind
    unit: int
    value: str
    is_drained: bool
    """It lies in a part of its pool that is being emptied."""


async def units_of(db: AsyncSession, service_id: int) -> list[HeldUnit]:
    """What the service holds of pools, in the order of their names."""
    return (await units_of_each(db, [service_id]))[service_id]


async def units_of_each(db: AsyncSession, service_ids: Collection[int]) -> dict[int, list[HeldUnit]]:
    """The same of each of these services."""
    drained = exists().where(IN_A_DRAIN)
    rows = await db.execute(
        select(
            Allocation.service_id,
            Allocation.id,
            Pool.id,
            Pool.name,
            Pool.kind,
            Allocation.unit,
            Prefix.first_address,
            Pool.unit_length,
            drained,
        )
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(Allocation.service_id.in_(service_ids), ASSIGNED)
        .order_by(Pool.name, Allocation.unit)
    )
    held: dict[int, list[HeldUnit]] = {service_id: [] for service_id in service_ids}
    for service_id, row_id, pool_id, name, kind, unit, base, length, is_drained in rows:
        value = value_of(base, length, unit)
        held[cast(int, service_id)].append(
            HeldUnit(row_id, pool_id, name, cast(Kind, kind), unit, value, bool(is_drained))
        )
    return held


def _named(line: Line) -> list[Held]:
    """What the service's own row names: things that are shared, so that nobody takes a unit of them."""
    held = []
    if line.svlan_vid is not None:
        held.append(Held("svlan", svlan_vid=line.svlan_vid))
    if line.framed_pool is not None:
        held.append(Held("framed_pool", framed_pool=line.framed_pool))
    return held


def _held(kind: str, unit: int, *rest: Any) -> Held:
    base, unit_length, prefix_length, gateway, svlan_vid = rest
    return Held(cast(Kind, kind), unit, base, unit_length, prefix_length, gateway, svlan_vid)


async def resources_of(db: AsyncSession, line: Line) -> AllocatedResources:
    """The contract's answer for a service that exists."""
    return _described(line, await held_by(db, line))


async def resources_of_all(db: AsyncSession, tenant_id: str) -> list[AllocatedResources]:
    """The contract's answer for every live service, in two questions.

    One that lacks a part of its set has no answer and is left out; ``invariants.incomplete`` finds it.
    """
    held: dict[int, list[Held]] = {}
    for service_id, *rest in await db.execute(_assigned().where(Allocation.tenant_id == tenant_id)):
        held.setdefault(service_id, []).append(_held(*rest))
    found: list[AllocatedResources] = []
    for line in await live_lines(db, tenant_id):
        with suppress(ServiceIncomplete):
            found.append(_described(line, [*held.get(line.service_id, ()), *_named(line)]))
    return found


def _described(line: Line, held: list[Held]) -> AllocatedResources:
    return describe(service_id=line.service_id, username=line.username, place=line.place, plan=line.plan, held=held)


def subject_of(customer_id: int, location_id: int | str) -> str:
    """Who comes back to the same premise is the same subject, whatever the number of the new service."""
    return f"{customer_id}@{location_id}"


async def count_live(db: AsyncSession, *which: ColumnElement[bool]) -> int:
    """How many live services there are that ``which`` says."""
    return await db.scalar(select(func.count()).select_from(Service).where(Service.state == "active", *which)) or 0
