"""The end of what was sold: a hosted subscription on a day that somebody wants, any one when its term is over.

A term that isn't renewed has ended with its last paid day, however late that is written down; a
line ends by its own journey, so here it is only found.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.expiry import RENEWAL
from provisioning.commercial.bills.subscriptions import (
    LONGEST_REASON,
    SubscriptionView,
    locked_subscription,
    no_end,
    show_subscription,
)
from provisioning.commercial.errors import SubscriptionInstalled
from provisioning.commercial.selling.sales_records import OPEN_STATES
from provisioning.commercial.selling.selling_tables import Quote
from provisioning.commercial.tables import Subscription
from provisioning.days import UTC_DAYS, begin_of, day_of
from provisioning.intake import Clock, Faults
from workflows import list_runs
from workflows.definitions.renewal import key_of_end

LONGEST_AHEAD = timedelta(days=3 * 365)


class SubscriptionEnds:
    """Ends hosted subscriptions. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo = UTC_DAYS) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone

    async def end(
        self, *, subscription_id: int, reason: str, ends_on: date | None = None, at_once: bool = False
    ) -> SubscriptionView:
        """Lets it end when this last day is over, or now. A later wish takes the place of an earlier one, and what is
        cancelled stays as it is.

        Raises: InvalidRequest (all faults), SubscriptionUnknown, SubscriptionInstalled (its service must end instead).
        """
        faults = Faults("The end of a subscription")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        self._refuse_days(faults, ends_on, at_once)
        faults.refuse_if_any()
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        if row.state != "cancelled":
            if row.service_id is not None:
                raise SubscriptionInstalled(row.id, row.service_id)
            if ends_on is None:
                row.state, row.billing_stopped_at, row.stop_reason = "cancelled", self._now(), why
            else:
                _refuse_day_of(row, ends_on)
                row.to_end_on, row.to_end_because = ends_on, why
            await self._db.flush()  # a later question in this transaction must find it so
        return await show_subscription(self._db, subscription_id, tenant_id=self._tenant_id)

    def _refuse_days(self, faults: Faults, ends_on: date | None, at_once: bool) -> None:
        today = day_of(self._now(), self._zone)
        if ends_on is None:
            if not at_once:
                faults.add("ends_on", "is needed, unless the subscription is to end at once")
        elif at_once:
            faults.add("ends_on", "can't be given for a subscription that is to end at once")
        elif ends_on < today:
            faults.add("ends_on", f"is over: today is {today}")
        elif ends_on > today + LONGEST_AHEAD:
            faults.add("ends_on", "lies more than three years ahead")


def _refuse_day_of(row: Subscription, ends_on: date) -> None:
    faults = Faults("The end of a subscription")
    if row.state == "pending_installation":
        faults.add("ends_on", f"can't be given: {no_end(row)}, so it can only end at once")
    elif row.ends_on is not None and ends_on >= row.ends_on:
        faults.add("ends_on", f"lies after the last day of its term, {last_day(row.ends_on)}")
    faults.refuse_if_any()


@dataclass(frozen=True)
class OverdueEnd:
    """A running subscription whose last day is over: its first day without, and why it ends."""

    row: Subscription
    first_day_without: date
    reason: str


async def overdue_subscriptions(db: AsyncSession, tenant_id: str, *, today: date) -> list[int]:
    """The running subscriptions that should be over: their numbers."""
    found = await db.scalars(
        select(Subscription.id)
        .where(Subscription.tenant_id == tenant_id, _is_over(today))
        .order_by(Subscription.ends_on, Subscription.id)
    )
    return list(found)


async def overdue_end(db: AsyncSession, tenant_id: str, subscription_id: int, *, today: date) -> OverdueEnd | None:
    """Locks it; None if it goes on after all, is being paid for, or if somebody else is at it."""
    row = await db.scalar(
        select(Subscription)
        .where(Subscription.tenant_id == tenant_id, Subscription.id == subscription_id, _is_over(today))
        .with_for_update(skip_locked=True)
        .execution_options(populate_existing=True)
    )
    if row is None:
        return None
    if row.to_end_on is not None and row.to_end_on < today:
        return OverdueEnd(row, row.to_end_on + timedelta(days=1), row.to_end_because or "")
    assert row.ends_on is not None, "or it would not be over"
    if await _is_being_paid(db, row):
        return None
    return OverdueEnd(row, row.ends_on, f"its term was over on {last_day(row.ends_on)} and not renewed")


async def end_without_line(db: AsyncSession, end: OverdueEnd, *, zone: ZoneInfo) -> None:
    """The bill stops with the last day, and stays as history. It never ends before it began."""
    row = end.row
    assert row.billing_started_at is not None, "an active subscription has its start, by constraint"
    row.billing_stopped_at = max(begin_of(end.first_day_without, zone), row.billing_started_at)
    row.state, row.stop_reason = "cancelled", end.reason
    await db.flush()  # a later question in this transaction must find it ended


def last_day(ends_on: date) -> date:
    """The last day that is paid for, as customers read it."""
    return ends_on - timedelta(days=1)


def accepted_renewal(row: type[Subscription]) -> ColumnElement[bool]:
    """Whether the renewal of this end was accepted."""
    return (
        select(Quote.id)
        .where(
            Quote.tenant_id == row.tenant_id,
            Quote.subscription_id == row.id,
            Quote.renews_from == row.ends_on,
            Quote.kind == "renewal",
            Quote.state == "accepted",
        )
        .exists()
    )


def _is_over(today: date) -> ColumnElement[bool]:
    """An offer to go on can be accepted until ``ends_on`` itself is over; a service is told once for each end."""
    untold = or_(Subscription.end_told_for.is_(None), Subscription.end_told_for != Subscription.ends_on)
    return and_(
        Subscription.state == "active",
        or_(and_(Subscription.ends_on < today, untold), Subscription.to_end_on < today),
    )


async def _is_being_paid(db: AsyncSession, row: Subscription) -> bool:
    """A renewal of this very end was accepted, and its run has not ended yet."""
    accepted = select(Subscription.id).where(Subscription.id == row.id, accepted_renewal(Subscription))
    if await db.scalar(accepted) is None:
        return False
    assert row.ends_on is not None, "or nothing would renew it"
    key = key_of_end(row.id, row.ends_on)
    runs = await list_runs(
        db, tenant_id=row.tenant_id, journey=RENEWAL, customer_id=row.customer_id, states=OPEN_STATES, limit=1000
    )
    return any(run.business_key == key or run.business_key.startswith(f"{key}/") for run in runs)
