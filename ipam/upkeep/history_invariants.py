"""What must always be true of the order in which things have become of addresses, prefixes and C-VLANs."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import value_of
from ipam.invariants import Violation
from ipam.inventory.new_services import REQUESTS
from ipam.kinds import ROUTED
from ipam.lookup.history import HOLDING
from ipam.tables import AllocationEvent, Pool, Prefix, Service, UtcDateTime

CLOCKS_DIFFER_BY = timedelta(hours=1)
"""So far times may run backwards: whoever waits for a unit has read the clock before, maybe on another machine."""
MOST_OF_A_SORT = 100
"""So many findings of a sort are told: whoever forges a table forges all of it."""
_REMEDY = (
    "nothing of ours writes history so: compare it with a backup (docs/running.md) before you tell anybody who had it"
)
_ENDS = ("released", "moved")
"""What becomes of a unit that the service has."""


async def histories_out_of_order(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """What has become of a unit stands in an order in which it can have: it is given back, or kept by a service that
    moves, by whoever was given it, nothing else becomes of it meanwhile, and times don't run backwards. No service has
    had two of a kind at one time, but of routed prefixes."""
    events = _events(tenant_id)
    return [
        *await _out_of_turn(db, events),
        *await _backwards(db, events),
        *await _two_of_a_kind(db, events),
    ]


def _events(tenant_id: str) -> Subquery:
    """Each with what has become of the same unit before."""
    event = AllocationEvent
    of_unit: dict[str, Any] = {"partition_by": (event.pool_id, event.unit), "order_by": event.id}
    return (
        select(
            *(event.id, event.pool_id, event.unit, event.service_id, event.what, event.at),
            func.coalesce(func.lag(event.what).over(**of_unit), "").label("before_what"),
            func.coalesce(func.lag(event.service_id).over(**of_unit), 0).label("before_service_id"),
            func.lag(event.at, type_=UtcDateTime()).over(**of_unit).label("before_at"),
        )
        .where(event.tenant_id == tenant_id)
        .subquery()
    )


async def _out_of_turn(db: AsyncSession, events: Subquery) -> list[Violation]:
    """A file of allocations tells of what cools off that it was given back, and not when it was given."""
    was_held = events.c.before_what.in_(HOLDING)
    was_brought = and_(
        events.c.what == "released", not_(was_held), func.coalesce(Service.request_id, "").like(f"{REQUESTS}%")
    )
    without_beginning = and_(events.c.what.in_(_ENDS), not_(_by_its_holder(events)), not_(was_brought))
    without_end = and_(events.c.what.not_in(_ENDS), was_held)
    rows = await db.execute(
        _told(events)
        .outerjoin(Service, Service.service_id == events.c.service_id)
        .where(or_(without_beginning, without_end))
        .order_by(events.c.id)
        .limit(MOST_OF_A_SORT)
    )
    return [Violation(_whose(row), f"{_turn(row)}; {_REMEDY}", row.service_id) for row in rows]


def _by_its_holder(events: Subquery) -> ColumnElement[bool]:
    return and_(events.c.before_what.in_(HOLDING), events.c.before_service_id == events.c.service_id)


def _turn(row: Any) -> str:
    what = {
        "assigned": f"was given to service {row.service_id}",
        "released": f"was given back by service {row.service_id}",
        "moved": f"was kept by service {row.service_id} when it moved",
        "reserved": "was reserved",
        "unreserved": "was no longer reserved",
        "lifted": "was taken out of quarantine",
    }[row.what]
    holder = f"service {row.before_service_id}" if row.before_what in HOLDING else "nobody"
    return f"{what} at {_time(row.at)} by its history, which says that {holder} had it until then"


async def _backwards(db: AsyncSession, events: Subquery) -> list[Violation]:
    """By how much they do is looked at here: each database has words of its own for it."""
    rows = await db.execute(_told(events).where(events.c.before_at > events.c.at).order_by(events.c.id))
    found = [row for row in rows if row.before_at - row.at > CLOCKS_DIFFER_BY]
    return [
        Violation(
            _whose(row),
            f"has an entry of {_time(row.at)} in its history ({row.what}) after one of {_time(row.before_at)};"
            f" {_REMEDY}",
            row.service_id,
        )
        for row in found[:MOST_OF_A_SORT]
    ]


async def _two_of_a_kind(db: AsyncSession, events: Subquery) -> list[Violation]:
    step = case((events.c.what == "assigned", 1), (_by_its_holder(events), -1), else_=0)
    had = (
        select(
            *(events.c.id, events.c.pool_id, events.c.unit, events.c.service_id, events.c.what, events.c.at),
            func.sum(step).over(partition_by=(events.c.service_id, Pool.kind), order_by=events.c.id).label("number"),
        )
        .join(Pool, Pool.id == events.c.pool_id)
        .where(events.c.what.in_(("assigned", "released")), Pool.kind.not_in(ROUTED))
        .subquery()
    )
    doubled = _told(had).where(had.c.what == "assigned", had.c.number > 1)
    rows = await db.execute(doubled.order_by(had.c.id).limit(MOST_OF_A_SORT))
    return [
        Violation(
            _whose(row),
            f"was given to service {row.service_id} at {_time(row.at)} by its history, while that had another of its"
            f" kind; {_REMEDY}",
            row.service_id,
        )
        for row in rows
    ]


def _told(events: Subquery) -> Any:
    return (
        select(events, Pool.name, Prefix.first_address, Pool.unit_length)
        .join(Pool, Pool.id == events.c.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
    )


def _whose(row: Any) -> str:
    return f"{value_of(row.first_address, row.unit_length, row.unit)} of pool {row.name}"


def _time(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
