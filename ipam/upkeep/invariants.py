"""What must always be true of what has become of addresses and of computed C-VLANs."""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, exists, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.allocation.cvlan_formula import parse_formula
from ipam.answers import value_of
from ipam.invariants import SEE, Violation
from ipam.lookup.history import HOLDING
from ipam.moments import at_second
from ipam.tables import (
    ASSIGNED,
    IN_QUARANTINE,
    RESERVED,
    AccessPort,
    Allocation,
    AllocationEvent,
    Location,
    Pool,
    Prefix,
    Service,
    ServiceMove,
    Svlan,
)

_ENDS_IN = {"quarantine": ("released", "lifted"), "reserved": ("reserved",)}
"""The last event of a unit in each state but that of ``HOLDING``."""


async def off_its_history(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """What a unit's history says last is what its row says, also until when it is in quarantine, and a service is where
    it was moved to last."""
    return [
        *await _rows_off_their_history(db, tenant_id),
        *await _histories_without_rows(db, tenant_id),
        *await _services_off_their_moves(db, tenant_id),
        *await _of_what_is_not_there(db, tenant_id),
    ]


async def _rows_off_their_history(db: AsyncSession, tenant_id: str) -> list[Violation]:
    # All at once: asked unit by unit, a plan that was made while the table was small reads all of it for each.
    last = (
        select(AllocationEvent.pool_id, AllocationEvent.unit, func.max(AllocationEvent.id).label("id"))
        .where(AllocationEvent.tenant_id == tenant_id)
        .group_by(AllocationEvent.pool_id, AllocationEvent.unit)
        .subquery()
    )
    until = AllocationEvent.available_at
    agrees = or_(
        and_(
            IN_QUARANTINE,
            AllocationEvent.what.in_(_ENDS_IN["quarantine"]),
            or_(until.is_(None), until == Allocation.available_at),
        ),
        and_(RESERVED, AllocationEvent.what.in_(_ENDS_IN["reserved"])),
        and_(ASSIGNED, AllocationEvent.what.in_(HOLDING), AllocationEvent.service_id == Allocation.service_id),
    )
    rows = await db.execute(
        select(
            *_UNIT,
            Allocation.unit,
            Allocation.state,
            Allocation.service_id,
            Allocation.available_at,
            AllocationEvent.what,
            AllocationEvent.service_id.label("of_service"),
            until.label("until"),
        )
        .select_from(Allocation)
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(last, and_(last.c.pool_id == Allocation.pool_id, last.c.unit == Allocation.unit))
        .outerjoin(AllocationEvent, AllocationEvent.id == last.c.id)
        .where(Allocation.tenant_id == tenant_id, or_(AllocationEvent.id.is_(None), not_(agrees)))
        .order_by(Pool.name, Allocation.unit)
    )
    return [
        Violation(
            f"{value_of(row.first_address, row.unit_length, row.unit)} of pool {row.name}",
            _other_than_said(row),
            row.service_id,
        )
        for row in rows
    ]


def _other_than_said(row: Any) -> str:
    if row.state == "quarantine" and row.what in _ENDS_IN["quarantine"]:
        stands, said = (f"until {at_second(moment)}" for moment in (row.available_at, row.until))
        return f"is in quarantine {stands}, but its history says {said}; {SEE}"
    return f"is {_words(row.state, row.service_id)}, but its history says {_words(row.what, row.of_service)}; {SEE}"


async def _histories_without_rows(db: AsyncSession, tenant_id: str) -> list[Violation]:
    later = aliased(AllocationEvent)
    rows = await db.execute(
        select(*_UNIT, AllocationEvent.unit, AllocationEvent.service_id)
        .select_from(AllocationEvent)
        .join(Pool, Pool.id == AllocationEvent.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(
            AllocationEvent.tenant_id == tenant_id,
            AllocationEvent.what.in_(HOLDING),
            ~exists().where(
                later.pool_id == AllocationEvent.pool_id,
                later.unit == AllocationEvent.unit,
                later.id > AllocationEvent.id,
            ),
            ~exists().where(Allocation.pool_id == AllocationEvent.pool_id, Allocation.unit == AllocationEvent.unit),
        )
        .order_by(Pool.name, AllocationEvent.unit)
    )
    return [
        Violation(
            f"{value_of(row.first_address, row.unit_length, row.unit)} of pool {row.name}",
            f"is nobody's, but its history says {_words('assigned', row.service_id)}; {SEE}",
            row.service_id,
        )
        for row in rows
    ]


async def _of_what_is_not_there(db: AsyncSession, tenant_id: str) -> list[Violation]:
    """History has no foreign keys (``AllocationEvent``)."""
    event = AllocationEvent
    no_pool = ~exists().where(Pool.id == event.pool_id)
    no_service = and_(event.service_id.is_not(None), ~exists().where(Service.service_id == event.service_id))
    rows = await db.execute(
        select(event.id, event.pool_id, event.service_id, no_pool.label("has_no_pool"))
        .where(event.tenant_id == tenant_id, or_(no_pool, no_service))
        .order_by(event.id)
    )
    return [
        Violation(
            f"entry {row.id} of the history of addresses",
            f"names pool {row.pool_id}, which isn't there" if row.has_no_pool else "names a service that isn't there",
            row.service_id,
        )
        for row in rows
    ]


async def _services_off_their_moves(db: AsyncSession, tenant_id: str) -> list[Violation]:
    last_id = (
        select(func.max(ServiceMove.id))
        .where(ServiceMove.service_id == Service.service_id)
        .correlate(Service)
        .scalar_subquery()
    )
    here, there = aliased(Location), aliased(Location)
    rows = await db.execute(
        select(Service.service_id, here.name.label("here"), there.name.label("there"))
        .join(ServiceMove, ServiceMove.id == last_id)
        .join(here, here.id == Service.location_id)
        .join(there, there.id == ServiceMove.to_location_id)
        .where(Service.tenant_id == tenant_id, Service.location_id != ServiceMove.to_location_id)
        .order_by(Service.service_id)
    )
    return [
        Violation(f"service {row.service_id}", f"is at {row.here}, but was moved to {row.there} last", row.service_id)
        for row in rows
    ]


async def given_too_early(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """Nothing goes to another customer before its quarantine is over, or was lifted."""
    of_unit: dict[str, Any] = {
        "partition_by": (AllocationEvent.pool_id, AllocationEvent.unit),
        "order_by": AllocationEvent.id,
    }
    before = {
        name: func.lag(getattr(AllocationEvent, name)).over(**of_unit).label(f"before_{name}")
        for name in ("what", "available_at", "service_id")
    }
    columns = (AllocationEvent.pool_id, AllocationEvent.unit, AllocationEvent.what, AllocationEvent.at)
    events = (
        select(*columns, AllocationEvent.service_id, *before.values())
        .where(AllocationEvent.tenant_id == tenant_id)
        .subquery()
    )
    taker, giver = aliased(Service), aliased(Service)
    rows = await db.execute(
        select(*_UNIT, events.c.unit, events.c.service_id, events.c.before_service_id)
        .select_from(events)
        .join(Pool, Pool.id == events.c.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .join(taker, taker.service_id == events.c.service_id)
        .join(giver, giver.service_id == events.c.before_service_id)
        .where(
            events.c.what == "assigned",
            events.c.before_what == "released",
            events.c.before_available_at > events.c.at,
            taker.customer_id != giver.customer_id,
        )
        .order_by(Pool.name, events.c.unit)
    )
    return [
        Violation(
            f"{value_of(row.first_address, row.unit_length, row.unit)} of pool {row.name}",
            f"went from service {row.before_service_id} to service {row.service_id} before its quarantine was over",
            row.service_id,
        )
        for row in rows
    ]


async def cvlans_not_as_computed(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """In an S-VLAN with a formula each line has the C-VLAN that follows from its port and ONU.

    But for lines that something was asked for by its number, which may be the C-VLAN.
    """
    rows = await db.execute(
        select(
            Allocation.unit,
            Allocation.service_id,
            Pool.name,
            Svlan.cvlan_formula,
            AccessPort.name.label("port"),
            Location.onu,
            Location.name.label("location"),
        )
        .join(Pool, Pool.id == Allocation.pool_id)
        .join(Svlan, Svlan.id == Pool.svlan_id)
        .join(Service, Service.service_id == Allocation.service_id)
        .join(Location, Location.id == Service.location_id)
        .outerjoin(AccessPort, AccessPort.id == Location.port_id)
        .where(
            Allocation.tenant_id == tenant_id,
            ASSIGNED,
            Svlan.cvlan_formula.is_not(None),
            Service.static_request.is_(None),
            ~exists().where(ServiceMove.service_id == Service.service_id, ServiceMove.static_request.is_not(None)),
        )
        .order_by(Allocation.service_id)
    )
    found: list[Violation] = []
    for row in rows:
        formula = parse_formula(row.cvlan_formula)
        unknown = formula.missing(port=row.port, onu=row.onu)
        if unknown or formula.vid(port=row.port, onu=row.onu) != row.unit:
            follows = "nothing" if unknown else str(formula.vid(port=row.port, onu=row.onu))
            what = f"has C-VLAN {row.unit} in {row.name}, but {row.cvlan_formula} at {row.location} is {follows}"
            found.append(Violation(f"service {row.service_id}", what, row.service_id))
    return found


_UNIT = (Pool.name, Prefix.first_address, Pool.unit_length)


def _words(what: str | None, service_id: int | None) -> str:
    if what in HOLDING:
        return f"held by service {service_id}"
    said = {"quarantine": "in quarantine", "released": "given back", "lifted": "out of quarantine"}
    return "nothing" if what is None else said.get(what, what)
