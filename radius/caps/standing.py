"""How a subscriber stands with its data cap: from what has happened in the billing month and what is used of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.caps.periods import CapPeriod
from radius.caps.tables import CapEventKind, DataCapEvent
from radius.plans.plans import find_plan
from radius.tables import Plan, Subscriber

WARNING_PERCENT = 80

CapLevel = Literal["none", "warned", "reached"]


@dataclass(frozen=True)
class CapStanding:
    """``level`` is what was noted last of what it may use now; ``allowance_octets`` None: as much as it likes.
    ``known_octets`` is what it is known to have used at least."""

    allowance_octets: int | None
    level: CapLevel
    known_octets: int


def standing(plan: Plan, events: Sequence[DataCapEvent]) -> CapStanding:
    """Of a subscriber of this plan; ``events`` are those of the billing month, the earliest first."""
    lifts = [event.extra_octets for event in events if event.kind == "lifted"]
    allowance = plan.data_cap_octets
    if allowance is not None:
        allowance = None if None in lifts else allowance + sum(each or 0 for each in lifts)
    level: CapLevel = "none"
    if events and events[-1].kind in ("warned", "reached"):
        last = events[-1]
        if (last.plan_id, last.counts, last.allowance_octets) == (plan.id, plan.data_cap_counts, allowance):
            level = "warned" if last.kind == "warned" else "reached"
    # of one direction less is used than of both
    known = (each.used_octets or 0 for each in events if each.counts in ("download", plan.data_cap_counts))
    return CapStanding(allowance, level, max(known, default=0))


def level_of(used_octets: int, allowance_octets: int | None) -> CapLevel:
    """How far so much use has come."""
    if allowance_octets is None or used_octets * 100 < allowance_octets * WARNING_PERCENT:
        return "none"
    return "warned" if used_octets < allowance_octets else "reached"


async def served_at_cap(db: AsyncSession, plan: Plan, level: CapLevel) -> int | None:
    """The plan that serves a subscriber in place of its own; None: its own does."""
    if level != "reached" or plan.at_cap == "tell" or plan.cap_plan is None:
        return None
    return (await find_plan(db, plan.tenant_id, plan.cap_plan)).id


def of_period(events: Sequence[DataCapEvent], period: CapPeriod) -> list[DataCapEvent]:
    """Those of exactly this billing month: where a billing day has become known since, two go on at one time."""
    return [event for event in events if event.period_begins == period.begins]


async def events_of(db: AsyncSession, subscriber: Subscriber, *, now: datetime) -> list[DataCapEvent]:
    """Those of the billing month that goes on now, the earliest first."""
    return (await events_of_each(db, subscriber.tenant_id, [subscriber.id], now=now))[subscriber.id]


async def events_of_each(
    db: AsyncSession, tenant_id: str, subscriber_ids: Collection[int], *, now: datetime
) -> dict[int, list[DataCapEvent]]:
    """The same of several subscribers."""
    theirs = select(DataCapEvent).where(
        DataCapEvent.tenant_id == tenant_id,
        DataCapEvent.subscriber_id.in_(subscriber_ids),
        DataCapEvent.period_ends > now,
    )
    events: dict[int, list[DataCapEvent]] = {number: [] for number in subscriber_ids}
    for event in await db.scalars(theirs.order_by(DataCapEvent.ordinal)):
        events[event.subscriber_id].append(event)
    return events


async def note(
    db: AsyncSession,
    subscriber: Subscriber,
    plan: Plan,
    kind: CapEventKind,
    period: CapPeriod,
    *,
    allowance_octets: int | None,
    now: datetime,
    used_octets: int | None = None,
    extra_octets: int | None = None,
) -> DataCapEvent:
    """One more event of a locked subscriber."""
    mine = (DataCapEvent.tenant_id == subscriber.tenant_id, DataCapEvent.subscriber_id == subscriber.id)
    last = await db.scalar(select(func.max(DataCapEvent.ordinal)).where(*mine))
    event = DataCapEvent(
        tenant_id=subscriber.tenant_id,
        subscriber_id=subscriber.id,
        ordinal=(last or 0) + 1,
        kind=kind,
        plan_id=plan.id,
        counts=plan.data_cap_counts,
        allowance_octets=allowance_octets,
        used_octets=used_octets,
        extra_octets=extra_octets,
        period_begins=period.begins,
        period_ends=period.ends,
        occurred_at=now,
    )
    db.add(event)
    await db.flush()  # the next one in this transaction counts on from it
    return event
