"""Who had what when: read from the events of each unit, which are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import BITS, from_bytes, parse_address, to_bytes
from ipam.allocation.places import AnySelect
from ipam.answers import ServiceAt, value_of
from ipam.errors import RequestInvalid
from ipam.tables import AllocationEvent, FormerPrefix, Location, Pool, Prefix, Service, ServiceMove, Vrf
from ipam.upkeep.answers import UnitEvent

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
    now = await _pools(db, Prefix, stored, Prefix.tenant_id == tenant_id, Pool.prefix_id == Prefix.id)
    then = await _pools(
        db,
        FormerPrefix,
        stored,
        FormerPrefix.tenant_id == tenant_id,
        FormerPrefix.pool_id == Pool.id,
        FormerPrefix.until > at,
    )
    found = {name: pool for name, pool in (now | then).items() if vrf in (None, name)}
    if len(found) > 1:
        raise RequestInvalid("address", f"{address} exists in the VRFs {', '.join(found)}: say which one")
    for pool_id, pool, base, unit_length in found.values():
        unit = (number - from_bytes(base)[1]) >> (BITS[family] - unit_length)
        return Numbered(pool_id, pool, base, unit_length, unit)
    return None


async def _pools(
    db: AsyncSession, prefix: type[Prefix | FormerPrefix], stored: bytes, *which: ColumnElement[bool]
) -> dict[str, tuple[int, str, bytes, int]]:
    """By VRF, in the order of their names: the pool whose prefix the address lies (or lay) in."""
    rows = await db.execute(
        select(Vrf.name, Pool.id, Pool.name, prefix.first_address, Pool.unit_length)
        .join(prefix, prefix.vrf_id == Vrf.id)
        .join(Pool, which[1])
        .where(prefix.first_address <= stored, prefix.last_address >= stored, which[0], *which[2:])
        .order_by(Vrf.name)
    )
    return {vrf: (pool_id, pool, base, unit_length or 0) for vrf, pool_id, pool, base, unit_length in rows}


async def holder_at(db: AsyncSession, unit: Numbered, at: datetime) -> ServiceAt | None:
    """Which service had the unit then."""
    events = select(AllocationEvent).where(AllocationEvent.pool_id == unit.pool_id, AllocationEvent.unit == unit.unit)
    backwards = events.order_by(AllocationEvent.id.desc()).limit(1)
    last = await db.scalar(backwards.where(AllocationEvent.at <= at))
    if last is None or last.service_id is None or last.what not in HOLDING:
        return None
    given = await db.scalar(backwards.where(AllocationEvent.id <= last.id, AllocationEvent.what == "assigned"))
    after = events.where(AllocationEvent.id > last.id, AllocationEvent.what == "released")
    back = await db.scalar(after.order_by(AllocationEvent.id).limit(1))
    service = (await db.execute(_service_with_place(at).where(Service.service_id == last.service_id))).one()
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


def _service_with_place(at: datetime) -> AnySelect:
    """Where the service was then: where its next move took it away from, or where it still is."""
    here, there = aliased(Location), aliased(Location)
    then = (
        select(there.name)
        .join(ServiceMove, ServiceMove.from_location_id == there.id)
        .where(ServiceMove.service_id == Service.service_id, ServiceMove.at > at)
        .order_by(ServiceMove.id)
        .limit(1)
        .correlate(Service)
        .scalar_subquery()
    )
    return select(Service.customer_id, Service.username, here.name.label("now"), then.label("then")).join(
        here, here.id == Service.location_id
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
