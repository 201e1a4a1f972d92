"""What must always be true of the order in which things have become of addresses, prefixes and C-VLANs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Subquery, and_, case, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import value_of
from ipam.invariants import Violation
from ipam.inventory.new_services import REQUESTS
from ipam.kinds import ROUTED
from ipam.lookup.history import HOLDING
from ipam.moments import at_second
from ipam.tables import AllocationEvent, Pool, Prefix, Service, UtcDateTime

CLOCKS_DIFFER_BY = timedelta(hours=1)
"""So far times may run backwards: whoever waits for a unit has read the clock before, maybe on another machine."""
MOST_LOOKED_AT = 10_000
MOST_TOLD = 100
"""Of all that is out of order: whoever forges a table may forge all of it."""
_REMEDY = (
    "nothing of ours writes history so, unless a machine's clock was set back by more than an hour: compare it with a"
    " backup (docs/running.md) before you tell anybody who had it"
)
_ENDS = ("released", "moved")
"""What becomes of a unit that the service has."""


async def histories_out_of_order(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """What has become of a unit stands in an order in which it can have: it is given back, or kept by a service that
    moves, by whoever was given it, nothing else becomes of it meanwhile, and times don't run backwards. No service was
    given a second one of a kind before it had given back the first, but of routed prefixes."""
    events = _events(tenant_id)
    rows = await db.execute(
        select(events, Prefix.first_address, _out_of_turn(events).label("out_of_turn"))
        .outerjoin(Prefix, Prefix.id == events.c.prefix_id)
        .outerjoin(Service, Service.service_id == events.c.service_id)
        .where(or_(_out_of_turn(events), events.c.before_at > events.c.at, _is_second(events)))
        .order_by(events.c.id)
        .limit(MOST_LOOKED_AT)
    )
    told = ((row, what) for row in rows for what in _faults(row))
    return [
        Violation(
            f"{value_of(row.first_address, row.unit_length, row.unit)} of pool {row.name}",
            f"{what}; {_REMEDY}",
            row.service_id,
        )
        for row, what in islice(told, MOST_TOLD)
    ]


def _events(tenant_id: str) -> Subquery:
    """Each with what has become before of the same unit, and by what its service was given or gave back something of
    the same kind before."""
    event = AllocationEvent
    of_unit: dict[str, Any] = {"partition_by": (event.pool_id, event.unit), "order_by": event.id}
    gives = case((event.what.in_(("assigned", "released")), 1), else_=0)
    of_kind: dict[str, Any] = {"partition_by": (event.service_id, Pool.kind, gives), "order_by": event.id}
    return (
        select(
            *(event.id, event.pool_id, event.unit, event.service_id, event.what, event.at),
            *(Pool.name, Pool.kind, Pool.unit_length, Pool.prefix_id),
            func.coalesce(func.lag(event.what).over(**of_unit), "").label("before_what"),
            func.coalesce(func.lag(event.service_id).over(**of_unit), 0).label("before_service_id"),
            func.lag(event.at, type_=UtcDateTime()).over(**of_unit).label("before_at"),
            func.coalesce(func.lag(event.what).over(**of_kind), "").label("before_of_kind"),
        )
        .join(Pool, Pool.id == event.pool_id)
        .where(event.tenant_id == tenant_id)
        .subquery()
    )


def _out_of_turn(events: Subquery) -> ColumnElement[bool]:
    """A file of allocations tells of what cools off that it was given back, and not when it was given."""
    was_held = events.c.before_what.in_(HOLDING)
    by_its_holder = and_(was_held, events.c.before_service_id == events.c.service_id)
    was_brought = and_(
        events.c.what == "released", not_(was_held), func.coalesce(Service.request_id, "").like(f"{REQUESTS}%")
    )
    without_beginning = and_(events.c.what.in_(_ENDS), not_(by_its_holder), not_(was_brought))
    without_end = and_(events.c.what.not_in(_ENDS), was_held)
    return or_(without_beginning, without_end)


def _is_second(events: Subquery) -> ColumnElement[bool]:
    both_given = and_(events.c.what == "assigned", events.c.before_of_kind == "assigned")
    return and_(both_given, events.c.kind.not_in(ROUTED))


def _faults(row: Any) -> Iterator[str]:
    """By how much times run backwards is looked at here: each database has words of its own for it."""
    if row.out_of_turn:
        what = {
            "assigned": f"was given to service {row.service_id}",
            "released": f"was given back by service {row.service_id}",
            "moved": f"was kept by service {row.service_id} when it moved",
            "reserved": "was reserved",
            "unreserved": "was no longer reserved",
            "lifted": "was taken out of quarantine",
        }[row.what]
        holder = f"service {row.before_service_id}" if row.before_what in HOLDING else "nobody"
        yield f"{what} at {at_second(row.at)} by its history, which says that {holder} had it until then"
    if row.before_at is not None and row.before_at - row.at > CLOCKS_DIFFER_BY:
        yield f"has an entry of {at_second(row.at)} in its history ({row.what}) after one of {at_second(row.before_at)}"
    if row.what == row.before_of_kind == "assigned" and row.kind not in ROUTED:
        whose = f"was given to service {row.service_id} at {at_second(row.at)} by its history"
        yield f"{whose}, while that had another of its kind"
