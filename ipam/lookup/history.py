"""Who had what when: read from the events of each unit, which are only ever added."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from shlex import quote
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    CompoundSelect,
    Integer,
    LargeBinary,
    String,
    and_,
    bindparam,
    func,
    literal_column,
    null,
    select,
    union_all,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.addresses import Network, from_bytes, spelt, to_bytes
from ipam.allocation.places import AnySelect
from ipam.answers import ServiceAt, value_of
from ipam.commands import command_about
from ipam.errors import NameUnknown, RequestInvalid
from ipam.estate.spec import DEFAULT_VRF
from ipam.lookup.asked import looked_for
from ipam.request_faults import RequestFaults
from ipam.tables import (
    IN_THE_NETWORK,
    AllocationEvent,
    FormerPrefix,
    Location,
    Pool,
    Prefix,
    Service,
    ServiceMove,
    UtcDateTime,
    Vrf,
)
from ipam.upkeep.answers import UnitEvent

_FIRST, _LAST = bindparam("first", type_=LargeBinary), bindparam("last", type_=LargeBinary)
_TENANT_ID = bindparam("tenant_id", type_=String)
_AT = bindparam("at", type_=UtcDateTime)

_BEFORE_ALL = datetime(1970, 1, 1, tzinfo=UTC)

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


def _pools_around(
    prefix: type[Prefix | FormerPrefix], of_pool: ColumnElement[bool], until: Any, former_id: Any
) -> AnySelect:
    """The pools whose prefix ``first`` to ``last`` lie (or lay) in, with the name of their VRF."""
    return (
        select(
            Vrf.name.label("vrf"),
            Pool.id,
            Pool.name,
            prefix.first_address,
            Pool.unit_length,
            until.label("until"),
            former_id.label("former_id"),
        )
        .join(prefix, prefix.vrf_id == Vrf.id)
        .join(Pool, of_pool)
        .where(prefix.first_address <= _FIRST, prefix.last_address >= _LAST, prefix.tenant_id == _TENANT_ID)
    )


async def service_at(
    db: AsyncSession, *, tenant_id: str, address: str, at: datetime, vrf: str | None
) -> ServiceAt | None:
    """Who had the address or prefix, or a prefix around it, at that time.

    Raises:
        As ``unit_at``.
    """
    unit = await unit_at(db, tenant_id=tenant_id, address=address, at=at, vrf=vrf)
    return None if unit is None else await holder_at(db, unit, at)


async def unit_at(
    db: AsyncSession, *, tenant_id: str, address: str, at: datetime, vrf: str | None, field: str = "address"
) -> Numbered | None:
    """The unit that an address or prefix was, or lay in, at that time; None: no pool had it.

    Raises:
        RequestInvalid: neither, or one that several VRFs have, or a prefix that is more than one unit.
        NameUnknown: there is no such VRF.
    """
    network = await checked(db, tenant_id, address, vrf, field)
    first, last = (to_bytes(network.family, bound) for bound in (network.first, network.last))
    asked = {"tenant_id": tenant_id, "first": first, "last": last, "at": at}
    found = {  # of each VRF the last one
        name: (pool_id, pool, base, unit_length or 0)
        for name, pool_id, pool, base, unit_length, _until, _former_id in await db.execute(_POOLS, asked)
        if vrf in (None, name)
    }
    if len(found) > 1:
        raise RequestInvalid(field, f"{spelt(network)} exists in the VRFs {', '.join(found)}: say which one")
    for pool_id, pool, base, unit_length in found.values():
        if unit_length <= network.length:
            unit = (network.first - from_bytes(base)[1]) >> (network.bits - unit_length)
            return Numbered(pool_id, pool, base, unit_length, unit)
        raise RequestInvalid(field, f"{network} is more than pool {pool} hands out at once; ask for one /{unit_length}")
    if network.length < network.bits:
        raise RequestInvalid(field, f"{network} lies in no pool; ask for an address, or for what a pool hands out")
    return None


async def checked(db: AsyncSession, tenant_id: str, text: str, vrf: str | None, field: str = "address") -> Network:
    """The address or prefix that is asked for in that VRF.

    Raises:
        RequestInvalid: neither; with the VRF, if that isn't known either.
        NameUnknown: there is no such VRF.
    """
    faults = RequestFaults()
    network = await faults.look(field, _looked_for(db, tenant_id, text, field))
    await faults.look("vrf", must_be_known(db, tenant_id, vrf))
    faults.refuse_if_any()
    assert network is not None, "what is none has left a fault"
    return network


async def _looked_for(db: AsyncSession, tenant_id: str, text: str, field: str) -> Network:
    """
    Raises:
        RequestInvalid: it is no address or prefix, but may be the name of a pool.
    """
    try:
        return looked_for(text, field)
    except RequestInvalid as fault:
        named = select(Pool.kind).where(Pool.tenant_id == tenant_id, Pool.name == text, IN_THE_NETWORK)
        if await db.scalar(named) is None:
            raise
        usage, became = command_about("usage", text), f"firstlight addresses history VALUE --pool {quote(text)}"
        instead = f"`{usage}` says how full it is, `{became}` what became of"
        why = f"can't be looked up: {text} is the name of a pool. {instead} something of it"
        raise RequestInvalid(field, why) from fault


async def must_be_known(db: AsyncSession, tenant_id: str, vrf: str | None) -> None:
    """A misspelt one would have nothing and nobody in it.

    Raises:
        NameUnknown: there is no such VRF.
    """
    if vrf is None or vrf == DEFAULT_VRF:
        return
    if await db.scalar(select(Vrf.id).where(Vrf.tenant_id == tenant_id, Vrf.name == vrf)) is None:
        raise NameUnknown("VRF", vrf)


def _holder() -> AnySelect:
    """Which service had the unit ``pool_id``/``unit`` at ``at``, from when to when, and where it was: where its next
    move took it away from, or where it still is."""
    here, there, events = aliased(Location), aliased(Location), AllocationEvent
    of_unit = (
        events.pool_id == bindparam("pool_id", type_=Integer),
        events.unit == bindparam("unit", type_=BigInteger),
    )
    last = (
        select(events.id, events.what, events.service_id, events.at)
        .where(*of_unit, events.at <= _AT)
        .order_by(events.id.desc())
        .limit(1)
        .subquery("last")
    )
    times = select(events.at).where(*of_unit).limit(1).correlate(last)
    given = times.where(events.id <= last.c.id, events.what == "assigned").order_by(events.id.desc())
    back = times.where(events.id > last.c.id, events.what == "released").order_by(events.id)
    then = (
        select(there.name)
        .join(ServiceMove, ServiceMove.from_location_id == there.id)
        .where(ServiceMove.service_id == Service.service_id, ServiceMove.at > _AT)
        .order_by(ServiceMove.id)
        .limit(1)
        .correlate(Service)
    )
    return (
        select(
            Service.service_id,
            Service.customer_id,
            Service.username,
            func.coalesce(then.scalar_subquery(), here.name).label("location"),
            func.coalesce(given.scalar_subquery(), last.c.at).label("since"),
            back.scalar_subquery().label("until"),
        )
        .select_from(last)
        .join(Service, Service.service_id == last.c.service_id)
        .join(here, here.id == Service.location_id)
        .where(last.c.what.in_(HOLDING))
    )


# Made once: to make them costs more than to have them answered.
_POOLS: CompoundSelect[*tuple[Any, ...]] = union_all(
    _pools_around(
        Prefix,
        and_(Pool.prefix_id == Prefix.id, IN_THE_NETWORK),
        sql_cast(null(), UtcDateTime),
        sql_cast(null(), Integer),
    ),
    _pools_around(FormerPrefix, FormerPrefix.pool_id == Pool.id, FormerPrefix.until, FormerPrefix.id).where(
        FormerPrefix.until > _AT
    ),
).order_by(literal_column("until").desc().nulls_first(), literal_column("former_id").desc(), literal_column("vrf"))
"""Those of now, then the former ones: in each VRF the one that ended first after that time, which stood there, last."""
_HOLDER = _holder()


async def holder_at(db: AsyncSession, unit: Numbered, at: datetime) -> ServiceAt | None:
    """Which service had the unit then."""
    found = await db.execute(_HOLDER, {"pool_id": unit.pool_id, "unit": unit.unit, "at": at})
    service = found.one_or_none()
    if service is None:
        return None
    return ServiceAt(
        service_id=service.service_id,
        customer_id=service.customer_id,
        username=service.username,
        location=service.location,
        pool=unit.pool,
        value=unit.value,
        since=service.since,
        until=service.until,
    )


async def events_ever(db: AsyncSession, tenant_id: str, asked: Network, vrf: str | None) -> list[UnitEvent]:
    """All that has become of an address, or of a prefix that a pool handed out whole: in the pool that has it now, and
    in those that had it before they were shrunk or retired. The oldest first.

    Raises:
        RequestInvalid: it was in several VRFs, and ``vrf`` doesn't say which.
    """
    first, last = (to_bytes(asked.family, bound) for bound in (asked.first, asked.last))
    ever = {"tenant_id": tenant_id, "first": first, "last": last, "at": _BEFORE_ALL}
    units: dict[int, Numbered] = {}
    vrfs = set[str]()
    for name, pool_id, pool, base, unit_length, _until, _former_id in await db.execute(_POOLS, ever):
        if vrf in (None, name) and unit_length is not None and unit_length <= asked.length:
            unit = (asked.first - from_bytes(base)[1]) >> (asked.bits - unit_length)
            units.setdefault(pool_id, Numbered(pool_id, pool, base, unit_length, unit))
            vrfs.add(name)
    if len(vrfs) > 1:
        raise RequestInvalid("vrf", f"is needed: {spelt(asked)} was in the VRFs {', '.join(sorted(vrfs))}")
    events = [event for unit in units.values() for event in await events_of(db, unit)]
    return sorted(events, key=lambda event: event["at"])


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
