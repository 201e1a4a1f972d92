"""Who had what when: read from the events of each unit, which are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import BigInteger, ColumnElement, Integer, LargeBinary, String, and_, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import BITS, from_bytes, parse_address, to_bytes
from ipam.allocation.places import AnySelect
from ipam.answers import ServiceAt, value_of
from ipam.errors import RequestInvalid
from ipam.network_tables import IN_THE_NETWORK
from ipam.tables import AllocationEvent, FormerPrefix, Location, Pool, Prefix, Service, ServiceMove, UtcDateTime, Vrf
from ipam.upkeep.answers import UnitEvent

_STORED, _TENANT_ID = bindparam("stored", type_=LargeBinary), bindparam("tenant_id", type_=String)
_AT, _EVENT_ID = bindparam("at", type_=UtcDateTime), bindparam("event_id", type_=Integer)

HOLDING = ("assigned", "moved")
"""After these a service has the unit."""


@dataclass(frozen=True)
class Numbered:
    """A unit of a pool by its number."""

    pool_id: int
    pool: str
    base: bytes | None
    unit_length: int | None
    unit: int

    @property
    def value(self) -> str:
        return value_of(self.base, self.unit_length, self.unit)


def _pools_around(prefix: type[Prefix | FormerPrefix], of_pool: ColumnElement[bool]) -> AnySelect:
    """The pools whose prefix the address ``stored`` lies (or lay) in, in the order of their VRFs' names."""
    return (
        select(Vrf.name, Pool.id, Pool.name, prefix.first_address, Pool.unit_length)
        .join(prefix, prefix.vrf_id == Vrf.id)
        .join(Pool, of_pool)
        .where(prefix.first_address <= _STORED, prefix.last_address >= _STORED, prefix.tenant_id == _TENANT_ID)
        .order_by(Vrf.name)
    )


async def service_at(
    db: AsyncSession, *, tenant_id: str, address: str, at: datetime, vrf: str | None
) -> ServiceAt | None:
    """Who had the address, or a prefix around it, at that time.

    Raises:
        RequestInvalid: no address, or one that several VRFs have.
    """
    unit = await unit_at(db, tenant_id=tenant_id, address=address, at=at, vrf=vrf)
    return None if unit is None else await holder_at(db, unit, at)


async def unit_at(db: AsyncSession, *, tenant_id: str, address: str, at: datetime, vrf: str | None) -> Numbered | None:
    """The unit that an address was, or lay in, at that time; None: no pool had it.

    Raises:
        RequestInvalid: no address, or one that several VRFs have.
    """
    try:
        family, number = parse_address(address)
    except ValueError as exc:
        raise RequestInvalid("address", f"can't be looked up: {exc}") from exc
    stored = to_bytes(family, number)
    asked = {"tenant_id": tenant_id, "stored": stored, "at": at}
    found = {  # of each VRF the last one
        name: (pool_id, pool, base, unit_length or 0)
        for statement in (_POOLS_NOW, _POOLS_THEN)
        for name, pool_id, pool, base, unit_length in await db.execute(statement, asked)
        if vrf in (None, name)
    }
    if len(found) > 1:
        raise RequestInvalid("address", f"{address} exists in the VRFs {', '.join(found)}: say which one")
    for pool_id, pool, base, unit_length in found.values():
        unit = (number - from_bytes(base)[1]) >> (BITS[family] - unit_length)
        return Numbered(pool_id, pool, base, unit_length, unit)
    return None


def _service_with_place() -> AnySelect:
    """Where the service ``service_id`` was at ``at``: where its next move took it away from, or where it still is."""
    here, there = aliased(Location), aliased(Location)
    then = (
        select(there.name)
        .join(ServiceMove, ServiceMove.from_location_id == there.id)
        .where(ServiceMove.service_id == Service.service_id, ServiceMove.at > _AT)
        .order_by(ServiceMove.id)
        .limit(1)
        .correlate(Service)
        .scalar_subquery()
    )
    return (
        select(Service.customer_id, Service.username, here.name.label("now"), then.label("then"))
        .join(here, here.id == Service.location_id)
        .where(Service.service_id == bindparam("service_id", type_=Integer))
    )


# Made once: to make them costs more than to have them answered.
_POOLS_NOW = _pools_around(Prefix, and_(Pool.prefix_id == Prefix.id, IN_THE_NETWORK))
_POOLS_THEN = (
    _pools_around(FormerPrefix, FormerPrefix.pool_id == Pool.id)
    .where(FormerPrefix.until > _AT)
    .order_by(FormerPrefix.until.desc(), FormerPrefix.id.desc())
)
"""In each VRF the one that ended first after that time comes last: it is the one that stood there."""
_EVENTS = select(AllocationEvent).where(
    AllocationEvent.pool_id == bindparam("pool_id", type_=Integer),
    AllocationEvent.unit == bindparam("unit", type_=BigInteger),
)
_BACKWARDS = _EVENTS.order_by(AllocationEvent.id.desc()).limit(1)
_LAST = _BACKWARDS.where(AllocationEvent.at <= _AT)
_GIVEN = _BACKWARDS.where(AllocationEvent.id <= _EVENT_ID, AllocationEvent.what == "assigned")
_BACK = (
    _EVENTS.where(AllocationEvent.id > _EVENT_ID, AllocationEvent.what == "released")
    .order_by(AllocationEvent.id)
    .limit(1)
)
_SERVICE = _service_with_place()


async def holder_at(db: AsyncSession, unit: Numbered, at: datetime) -> ServiceAt | None:
    """Which service had the unit then."""
    asked = {"pool_id": unit.pool_id, "unit": unit.unit, "at": at}
    last = await db.scalar(_LAST, asked)
    if last is None or last.service_id is None or last.what not in HOLDING:
        return None
    given = await db.scalar(_GIVEN, {**asked, "event_id": last.id})
    back = await db.scalar(_BACK, {**asked, "event_id": last.id})
    service = (await db.execute(_SERVICE, {"service_id": last.service_id, "at": at})).one()
    return ServiceAt(
        service_id=last.service_id,
        customer_id=service.customer_id,
        username=service.username,
        location=service.then or service.now,
        pool=unit.pool,
        value=unit.value,
        since=(given or last).at,
        until=back.at if back else None,
    )


async def events_of(db: AsyncSession, unit: Numbered) -> list[UnitEvent]:
    """All that has become of a unit, oldest first."""
    rows = await db.execute(
        select(
            AllocationEvent.at,
            AllocationEvent.what,
            AllocationEvent.service_id,
            Service.customer_id,
            Service.username,
            AllocationEvent.available_at,
            AllocationEvent.note,
        )
        .outerjoin(Service, Service.service_id == AllocationEvent.service_id)
        .where(AllocationEvent.pool_id == unit.pool_id, AllocationEvent.unit == unit.unit)
        .order_by(AllocationEvent.id)
    )
    return [cast(UnitEvent, {**row, "pool": unit.pool, "value": unit.value}) for row in rows.mappings()]
