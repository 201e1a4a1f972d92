"""What must always be true of what the row of a used unit says besides who has it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Text, and_, case, cast, func, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.answers import value_of
from ipam.holdings import subject_of
from ipam.invariants import SEE, Violation
from ipam.kinds import ROUTED
from ipam.moments import at_second
from ipam.tables import ASSIGNED, IN_QUARANTINE, RESERVED, Allocation, AllocationEvent, Pool, Prefix, Service
from ipam.upkeep.history_invariants import CLOCKS_DIFFER_BY
from ipam.upkeep.reserving import NOBODY


async def rows_off_their_holders(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """A used unit's row says whose it is, since when, what it is kept for, and that it is its service's first, as its
    service and its history do.

    Of what cools off the customer alone is asked: the service may have moved since.
    """
    event, its = aliased(AllocationEvent), _last_of_each_sort(tenant_id)
    entry = case((ASSIGNED, its.c.given), (RESERVED, its.c.kept), else_=its.c.given_back)
    whose = cast(Service.customer_id, Text) + "@"
    is_nobodys = and_(RESERVED, Allocation.subject != NOBODY)
    is_said = event.service_id == Allocation.service_id  # else that is what is off
    is_anothers = or_(
        and_(ASSIGNED, is_said, Allocation.subject != whose + cast(Service.location_id, Text)),
        and_(IN_QUARANTINE, func.substr(Allocation.subject, 1, func.length(whose)) != whose),
    )
    rows = await db.execute(
        select(
            Pool.name,
            Pool.kind,
            Prefix.first_address,
            Pool.unit_length,
            Allocation.unit,
            Allocation.state,
            Allocation.service_id,
            Allocation.subject,
            Allocation.assigned_at,
            Allocation.note,
            Allocation.ordinal,
            event.at,
            event.note.label("said"),
            event.service_id.label("of_service"),
            Service.customer_id,
            Service.location_id,
        )
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(its, and_(its.c.pool_id == Allocation.pool_id, its.c.unit == Allocation.unit))
        .outerjoin(event, event.id == entry)
        .outerjoin(Service, Service.service_id == func.coalesce(Allocation.service_id, event.service_id))
        .where(
            Allocation.tenant_id == tenant_id,
            or_(
                is_anothers,
                is_nobodys,
                and_(ASSIGNED, is_said, event.at != Allocation.assigned_at),
                and_(RESERVED, event.note != Allocation.note),
                and_(Allocation.ordinal != 1, not_(and_(ASSIGNED, Pool.kind.in_(ROUTED)))),
            ),
        )
        .order_by(Pool.name, Allocation.unit)
    )
    return [
        Violation(f"{value_of(row.first_address, row.unit_length, row.unit)} of pool {row.name}", what, row.service_id)
        for row in rows
        for what in _faults(row)
    ]


def _last_of_each_sort(tenant_id: str) -> Any:
    """By unit: the entry of its history by which it was given last, given back last, and reserved last."""
    event = AllocationEvent
    last = {
        name: func.max(case((event.what == what, event.id))).label(name)
        for name, what in (("given", "assigned"), ("given_back", "released"), ("kept", "reserved"))
    }
    return (
        select(event.pool_id, event.unit, *last.values())
        .where(event.tenant_id == tenant_id, event.what.in_(("assigned", "released", "reserved")))
        .group_by(event.pool_id, event.unit)
        .subquery()
    )


def _faults(row: Any) -> Iterator[str]:
    if row.state == "reserved":
        if row.subject != NOBODY:
            yield f"is reserved, but {row.subject} (customer@premise) has the first claim on it; {SEE}"
        if row.said is not None and row.said != row.note:
            yield f"is reserved ({row.note}), but its history says that it is for something else ({row.said}); {SEE}"
    elif row.customer_id is not None:
        is_its = row.subject == subject_of(row.customer_id, row.location_id)
        if row.state == "quarantine":
            is_its = row.subject.startswith(subject_of(row.customer_id, ""))
        if not is_its:
            had = "is had" if row.state == "assigned" else "was given back"
            yield (
                f"{had} by service {row.service_id or row.of_service} of customer {row.customer_id}, but {row.subject}"
                f" (customer@premise) is to get it again; {SEE}"
            )
    given_at = row.at if row.state == "assigned" and row.of_service == row.service_id else None
    if given_at is not None and abs(given_at - row.assigned_at) > CLOCKS_DIFFER_BY:
        yield (
            f"is service {row.service_id}'s since {at_second(row.assigned_at)}, but its history says since"
            f" {at_second(given_at)}; {SEE}"
        )
    if row.ordinal != 1 and not (row.state == "assigned" and row.kind in ROUTED):
        yield (
            f"is counted as number {row.ordinal} of its service, which may have one alone: the database would let it"
            f" have another; {SEE}"
        )
