"""Subscriptions: what was sold for a price and a term, whether it needs a line or not."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.bills.terms import months_later
from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.errors import SubscriptionInstalled, SubscriptionNotExtendable, SubscriptionUnknown
from provisioning.commercial.facts import OfferFacts, SalesFacts
from provisioning.commercial.money import read_minor
from provisioning.commercial.tables import Subscription
from provisioning.days import UTC_DAYS, day_of
from provisioning.errors import ChangeRaced, RequestConflict, TenantMismatch
from provisioning.intake import Clock, Faults
from workflows.answers import CreatedSubscription, SubscriptionState

LONGEST_REASON = 500


@dataclass(frozen=True)
class RenewalTerms:
    """What a renewal of a subscription is quoted from. ``price_minor`` is due per billing period of the offer."""

    customer_id: int
    offer_id: int
    price_minor: int
    currency: str
    ends_on: date
    term_months: int


@dataclass(frozen=True)
class SubscriptionView:
    """One subscription, as an operator reads it."""

    subscription_id: int
    customer_id: int
    service_id: int | None
    offer_id: int | None
    plan: str | None
    title: str | None
    state: SubscriptionState
    price_minor: int | None
    currency: str | None
    term_months: int | None
    starts_on: date | None
    ends_on: date | None
    renewed_at: datetime | None
    billing_started_at: datetime | None
    billing_stopped_at: datetime | None
    stop_reason: str | None
    to_end_on: date | None
    to_end_because: str | None


class CancelledSubscription(TypedDict):
    subscription_id: int
    customer_id: int
    state: SubscriptionState
    cancelled_at: datetime
    reason: str


class Subscriptions:
    """Creates and cancels subscriptions. Writes only ``db``; the caller commits."""

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Clock, sales: SalesFacts, zone: ZoneInfo = UTC_DAYS
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._sales = sales
        self._zone = zone

    async def create(
        self, *, customer_id: int, plan_id: int, tenant_id: str, price_minor: int | None, request_id: str | None
    ) -> CreatedSubscription:
        """See ``BillingService.create_subscription``."""
        if tenant_id != self._tenant_id:
            raise TenantMismatch(tenant_id, self._tenant_id)
        faults = Faults("The subscription")
        known = faults.number("customer_id", customer_id), faults.number("plan_id", plan_id)
        request = faults.request_id(request_id)
        if price_minor is not None:
            read_minor(faults, "price_minor", price_minor)
        offer = await self._sales.offer(plan_id) if known[1] else None
        if known[1] and offer is None:
            faults.add("plan_id", f"names no offer: {plan_id}")
        if known[0] and await self._sales.customer_withdrawn(customer_id):
            faults.add("customer_id", f"is customer {customer_id}, who has been withdrawn")
        faults.refuse_if_any()
        assert offer is not None, "an unknown offer has left a fault"
        if price_minor is not None:
            offer = replace(offer, price_minor=price_minor)
        await require_customer(self._db, self._tenant_id, customer_id)
        if request is not None and (made := await self._made(customer_id, offer, request)) is not None:
            return made
        row = Subscription(tenant_id=self._tenant_id, customer_id=customer_id, request_id=request, **self._begun(offer))
        try:
            async with self._db.begin_nested():
                self._db.add(row)
                await self._db.flush()  # the unique request decides here which of two is the first
        except IntegrityError as exc:
            if request is not None and (made := await self._made(customer_id, offer, request)) is not None:
                return made
            raise ChangeRaced from exc
        return _created(row)

    async def cancel(self, *, subscription_id: int, reason: str) -> CancelledSubscription:
        """See ``BillingService.cancel_subscription``."""
        faults = Faults("The cancellation of a subscription")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        if row.state != "cancelled":
            if row.service_id is not None:
                raise SubscriptionInstalled(row.id, row.service_id)
            row.state, row.billing_stopped_at, row.stop_reason = "cancelled", self._now(), why
            await self._db.flush()  # a later question in this transaction must find it cancelled
        assert row.billing_stopped_at is not None, "a cancelled subscription has its moment, by constraint"
        return CancelledSubscription(
            subscription_id=row.id,
            customer_id=row.customer_id,
            state=row.state,
            cancelled_at=row.billing_stopped_at,
            reason=row.stop_reason or "",
        )

    async def _made(self, customer_id: int, offer: OfferFacts, request: str) -> CreatedSubscription | None:
        """What this request has made. Once taken back, it is taken up again, from today and at the price of now."""
        row = await self._db.scalar(
            select(Subscription)
            .where(Subscription.tenant_id == self._tenant_id, Subscription.request_id == request)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        if (row.customer_id, row.offer_id) != (customer_id, offer.offer_id):
            raise RequestConflict(request, f"subscription {row.id}")
        if row.state == "cancelled" and row.service_id is None:
            for name, value in self._begun(offer).items():
                setattr(row, name, value)
            row.billing_stopped_at = row.stop_reason = row.to_end_on = row.to_end_because = None
            await self._db.flush()  # a later question in this transaction must find it
        return _created(row)

    def _begun(self, offer: OfferFacts) -> dict[str, Any]:
        """A hosted product runs from today; what needs a line waits for it."""
        facts: dict[str, Any] = {
            "offer_id": offer.offer_id,
            "plan": offer.plan,
            "title": offer.title,
            "price_minor": offer.price_minor,
            "currency": offer.currency,
            "term_months": offer.term_months,
        }
        if offer.plan is not None:
            return facts | {"state": "pending_installation"}
        return facts | {
            "state": "active",
            "billing_started_at": self._now(),
            **term_from(day_of(self._now(), self._zone), offer.term_months),
        }


def term_from(day: date, term_months: int | None) -> dict[str, Any]:
    """The columns of a term that begins on this day."""
    ends_on = None if term_months is None else months_later(day, term_months, anchor_day=day.day)
    return {"starts_on": day, "ends_on": ends_on, "anchor_day": day.day}


def no_end(row: Subscription) -> str:
    """Why there is no end yet."""
    return "its term has not begun" if row.state == "pending_installation" else "it runs until further notice"


async def locked_subscription(db: AsyncSession, tenant_id: str, subscription_id: int) -> Subscription:
    """The row, locked until the transaction ends.

    Raises: SubscriptionUnknown.
    """
    row = await db.scalar(
        select(Subscription)
        .where(Subscription.tenant_id == tenant_id, Subscription.id == subscription_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise SubscriptionUnknown(subscription_id)
    return row


async def renewal_terms(db: AsyncSession, tenant_id: str, subscription_id: int) -> RenewalTerms:
    """What a renewal is quoted from.

    Raises: SubscriptionUnknown, SubscriptionNotExtendable if it is cancelled, or has no offer or no end.
    """
    row = await _subscription(db, tenant_id, subscription_id)
    if row.state == "cancelled":
        raise SubscriptionNotExtendable(row.id, "it is cancelled")
    if row.offer_id is None:
        raise SubscriptionNotExtendable(row.id, "it bills an installation, without an offer and its price")
    if row.ends_on is None:
        raise SubscriptionNotExtendable(row.id, no_end(row))
    assert row.price_minor is not None and row.currency is not None and row.term_months is not None, "by constraint"
    return RenewalTerms(row.customer_id, row.offer_id, row.price_minor, row.currency, row.ends_on, row.term_months)


async def list_subscriptions(
    db: AsyncSession,
    *,
    tenant_id: str,
    customer_id: int | None = None,
    state: str | None = None,
    ends_by: date | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[SubscriptionView]:
    """The newest subscriptions first, a page at a time (``before_id``)."""
    query = select(Subscription).where(Subscription.tenant_id == tenant_id)
    if customer_id is not None:
        query = query.where(Subscription.customer_id == customer_id)
    if state is not None:
        query = query.where(Subscription.state == state)
    if ends_by is not None:
        query = query.where(Subscription.state == "active", Subscription.ends_on <= ends_by)
    if before_id is not None:
        query = query.where(Subscription.id < before_id)
    return [_view(row) for row in await db.scalars(query.order_by(Subscription.id.desc()).limit(limit))]


async def show_subscription(
    db: AsyncSession, subscription_id: int, *, tenant_id: str, hold: bool = False
) -> SubscriptionView:
    """``hold``: nobody changes it until the transaction ends. Raises: SubscriptionUnknown."""
    if hold:
        return _view(await locked_subscription(db, tenant_id, subscription_id))
    return _view(await _subscription(db, tenant_id, subscription_id))


async def _subscription(db: AsyncSession, tenant_id: str, subscription_id: int) -> Subscription:
    row = await db.scalar(
        select(Subscription).where(Subscription.tenant_id == tenant_id, Subscription.id == subscription_id)
    )
    if row is None:
        raise SubscriptionUnknown(subscription_id)
    return row


def _created(row: Subscription) -> CreatedSubscription:
    assert row.offer_id is not None and row.title is not None, "what was sold is an offer"
    assert row.price_minor is not None and row.currency is not None, "an offer has its price, by constraint"
    return CreatedSubscription(
        subscription_id=row.id,
        customer_id=row.customer_id,
        plan_id=row.offer_id,
        plan=row.plan or row.title,
        state=row.state,
        term_months=row.term_months,
        starts_on=row.starts_on,
        ends_on=row.ends_on,
        price_minor=row.price_minor,
        currency=row.currency,
    )


def _view(row: Subscription) -> SubscriptionView:
    return SubscriptionView(
        subscription_id=row.id,
        **{name: getattr(row, name) for name in SubscriptionView.__dataclass_fields__ if name != "subscription_id"},
    )
