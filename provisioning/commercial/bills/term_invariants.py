"""What must always be true of terms, asked of the database itself. An empty answer is the good one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.term_ends import accepted_renewal, last_day
from provisioning.commercial.bills.terms import months_later
from provisioning.commercial.selling.sales_records import open_terminations
from provisioning.commercial.tables import Subscription, SubscriptionExtension


@dataclass(frozen=True)
class TermNotAsPaid:
    """A term that ends on another day than was paid for."""

    subscription_id: int
    starts_on: date
    ends_on: date
    paid_months: int
    should_end_on: date

    @property
    def subject(self) -> str:
        return f"subscription {self.subscription_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Subscription {self.subscription_id} began on {self.starts_on} and {self.paid_months} months are paid for,"
            f" until {self.should_end_on}; but it says that it ends on {self.ends_on}."
        )


@dataclass(frozen=True)
class ActiveAfterItsEnd:
    """A subscription that goes on though nobody has paid for it."""

    subscription_id: int
    customer_id: int
    ends_on: date

    @property
    def subject(self) -> str:
        return f"subscription {self.subscription_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Subscription {self.subscription_id} of customer {self.customer_id} is active though its last day was"
            f" {last_day(self.ends_on)}: nobody renewed it, and nothing ends it."
        )


async def active_after_their_end(db: AsyncSession, tenant_id: str, *, ended_by: date) -> list[ActiveAfterItsEnd]:
    """Running subscriptions whose end came before ``ended_by``, unless their accepted renewal is being paid or their
    service is being ended."""
    rows = await db.scalars(
        select(Subscription)
        .where(
            Subscription.tenant_id == tenant_id,
            Subscription.state == "active",
            Subscription.ends_on < ended_by,
            ~accepted_renewal(Subscription),
        )
        .order_by(Subscription.id)
    )
    found = []
    for row in rows:
        if row.service_id is not None and await open_terminations(db, tenant_id, row.customer_id, row.service_id):
            continue
        assert row.ends_on is not None, "as was asked for"
        found.append(ActiveAfterItsEnd(row.id, row.customer_id, row.ends_on))
    return found


async def terms_not_as_paid(db: AsyncSession, tenant_id: str) -> list[TermNotAsPaid]:
    """Terms whose end isn't their start plus the months that were sold and those of the extensions in force."""
    extended = (
        select(SubscriptionExtension.subscription_id, func.sum(SubscriptionExtension.months).label("months"))
        .where(SubscriptionExtension.tenant_id == tenant_id, SubscriptionExtension.withdrawn_at.is_(None))
        .group_by(SubscriptionExtension.subscription_id)
        .subquery()
    )
    rows = await db.execute(
        select(Subscription, Subscription.term_months + func.coalesce(extended.c.months, 0))
        .outerjoin(extended, extended.c.subscription_id == Subscription.id)
        .where(Subscription.tenant_id == tenant_id, Subscription.ends_on.is_not(None))
        .order_by(Subscription.id)
    )
    found = []
    for row, months in rows:
        if row.starts_on is None or row.ends_on is None or row.anchor_day is None or months is None:
            continue  # a term without a start: the table itself refuses that
        due = months_later(row.starts_on, months, anchor_day=row.anchor_day)
        if row.ends_on != due:
            found.append(TermNotAsPaid(row.id, row.starts_on, row.ends_on, months, due))
    return found
