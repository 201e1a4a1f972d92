"""What must always be true of the calendar's bookings. An empty answer is the good one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from provisioning.field.fitting import Fitting
from provisioning.field.tables import LIVE_STATES, Technician, Visit, VisitBooking


@dataclass(frozen=True)
class VisitedTwice:
    """One order, two calls at one door."""

    order_id: int | None
    visit_id: int
    other_visit_id: int

    @property
    def subject(self) -> str:
        return f"order {self.order_id}"

    @property
    def sentence(self) -> str:
        return f"Order {self.order_id} has visits {self.visit_id} and {self.other_visit_id} to come instead of one."


@dataclass(frozen=True)
class VisitForNobody:
    """A technician is kept, and nobody needs them."""

    visit_id: int
    technician_id: int
    state: str

    @property
    def subject(self) -> str:
        return f"visit {self.visit_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Visit {self.visit_id} keeps technician {self.technician_id} ({self.state}), but neither an order nor an"
            " installation needs it any more."
        )


@dataclass(frozen=True)
class VisitOutOfHours:
    """A technician is sent when they don't work, and nobody has said why."""

    visit_id: int
    technician_name: str
    why: str

    @property
    def subject(self) -> str:
        return f"visit {self.visit_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Visit {self.visit_id}: technician {self.technician_name} {self.why}, and nobody has said why it is then."
        )


async def visits_out_of_hours(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[VisitOutOfHours]:
    """Visits to come, or going on, outside the working hours, with no override on record.

    Those of technicians whose week and leave nobody has told lie within.
    """
    rows = (await db.scalars(select(Technician).where(Technician.tenant_id == tenant_id))).all()
    people = {each.id: each for each in rows}
    rosters = await Fitting(db, tenant_id=tenant_id).rosters(rows)
    told = [number for number, roster in rosters.items() if roster.week is not None or roster.leave]
    found = await db.scalars(
        select(Visit)
        .where(
            Visit.tenant_id == tenant_id,
            Visit.technician_id.in_(told),
            Visit.state.in_(LIVE_STATES),
            Visit.override_reason.is_(None),
            Visit.ends_at > now,
        )
        .order_by(Visit.id)
    )
    outside = []
    for visit in found:
        why = rosters[visit.technician_id].refusal(visit.starts_at, visit.ends_at)
        if why is not None:
            outside.append(VisitOutOfHours(visit.id, people[visit.technician_id].name, why))
    return outside


async def orders_visited_twice(db: AsyncSession, *, tenant_id: str) -> list[VisitedTwice]:
    """Pairs of visits to come of one order."""
    other = aliased(Visit)
    same_order = (other.tenant_id == Visit.tenant_id) & (other.customer_id == Visit.customer_id)
    found = await db.execute(
        select(Visit.order_id, Visit.id, other.id)
        .join(other, same_order & (other.order_id == Visit.order_id) & (other.id > Visit.id))
        .where(
            Visit.tenant_id == tenant_id,
            Visit.order_id.is_not(None),
            Visit.state.in_(LIVE_STATES),
            other.state.in_(LIVE_STATES),
        )
        .order_by(Visit.id, other.id)
    )
    return [VisitedTwice(*row) for row in found]


async def visits_nobody_needs(db: AsyncSession, *, tenant_id: str) -> list[VisitForNobody]:
    """Visits to come, or under way, that everybody has released."""
    needed = exists().where(VisitBooking.visit_id == Visit.id, VisitBooking.released_at.is_(None))
    found = await db.execute(
        select(Visit.id, Visit.technician_id, Visit.state)
        .where(Visit.tenant_id == tenant_id, Visit.state.in_(LIVE_STATES), ~needed)
        .order_by(Visit.id)
    )
    return [VisitForNobody(*row) for row in found]
