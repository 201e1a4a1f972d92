"""Bills of services: begun with an activation, taken back with it, stopped.

One running bill per service, by constraint. What was sold and waits for its line is taken up by its activation.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.bills.subscriptions import LONGEST_REASON, locked_subscription, term_from
from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.errors import ServiceBilledAlready, SubscriptionStopped
from provisioning.commercial.tables import Customer, Subscription
from provisioning.days import UTC_DAYS, day_of
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import SubscriptionState
from workflows.services import ActivatedService


class StoppedBilling(TypedDict):
    """A bill that runs no more: since when it ran, until when, and why it ended."""

    service_id: int | None
    customer_id: int
    subscription_id: int
    state: Literal["cancelled"]
    billing_started_at: datetime | None
    billing_stopped_at: datetime
    reason: str


class WithdrawnActivation(TypedDict):
    subscription_id: int
    customer_id: int
    state: SubscriptionState


class Activations:
    """Starts and stops bills, for ``BillingService``. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo = UTC_DAYS) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone

    async def activate(
        self, *, customer_id: int, service_id: int, plan: str | None, request_id: str | None
    ) -> ActivatedService:
        """See ``BillingService.activate_service``."""
        faults = Faults("The activation")
        faults.number("customer_id", customer_id)
        faults.number("service_id", service_id)
        wanted = (customer_id, service_id, faults.optional_line("plan", plan))
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        await self._take_turns(customer_id)
        if (running := await self._running(wanted, request)) is not None:
            return running
        try:
            async with self._db.begin_nested():
                row = await self._begin(wanted, request)
                await self._db.flush()  # the constraints must speak here, and the id is the answer
        except IntegrityError as exc:
            if (running := await self._running(wanted, request)) is not None:
                return running
            raise ChangeRaced from exc
        return _activated(row)

    async def withdraw(self, *, subscription_id: int, reason: str) -> WithdrawnActivation:
        """See ``BillingService.withdraw_activation``."""
        faults = Faults("The withdrawal of an activation")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        if row.state == "active" and row.offer_id is not None and row.plan is not None and row.renewed_at is None:
            row.state, row.service_id, row.billing_started_at = "pending_installation", None, None
            row.starts_on = row.ends_on = row.anchor_day = row.activation_request_id = None
            await self._db.flush()  # a later question in this transaction must find it waiting
        elif row.state == "active":
            await self.stop(subscription_id=subscription_id, reason=why)
        return WithdrawnActivation(subscription_id=row.id, customer_id=row.customer_id, state=row.state)

    async def stop(self, *, subscription_id: int, reason: str) -> StoppedBilling:
        """See ``BillingService.stop_billing``."""
        faults = Faults("The stop of billing")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        if row.state != "cancelled":
            row.state = "cancelled"
            row.billing_stopped_at = self._now()
            row.stop_reason = why
            await self._db.flush()  # a later question in this transaction must find it stopped
        return _stopped(row)

    async def _take_turns(self, customer_id: int) -> None:
        """One activation of a customer at a time, or two of one service would hold two of their sales for a moment, and
        a third that comes meanwhile would find none.

        Raises: CustomerUnknown.
        """
        await require_customer(self._db, self._tenant_id, customer_id)
        mine = select(Customer.id).where(Customer.tenant_id == self._tenant_id, Customer.id == customer_id)
        await self._db.execute(mine.with_for_update(key_share=True))  # rows that refer to the customer may still come

    async def _begin(self, wanted: tuple[int, int, str | None], request: str | None) -> Subscription:
        customer_id, service_id, plan = wanted
        row = await self._waiting(customer_id, plan)
        if row is None:
            row = Subscription(tenant_id=self._tenant_id, customer_id=customer_id, plan=plan, request_id=request)
            self._db.add(row)
        else:
            row.activation_request_id = request
            for name, value in term_from(day_of(self._now(), self._zone), row.term_months).items():
                setattr(row, name, value)
        row.service_id, row.state, row.billing_started_at = service_id, "active", self._now()
        return row

    async def _waiting(self, customer_id: int, plan: str | None) -> Subscription | None:
        """What this customer bought of this plan and waits for a line, the oldest first."""
        waiting = await self._db.scalars(
            select(Subscription.id)
            .where(
                Subscription.tenant_id == self._tenant_id,
                Subscription.customer_id == customer_id,
                Subscription.plan == plan,
                Subscription.state == "pending_installation",
            )
            .order_by(Subscription.id)
        )
        for subscription_id in waiting.all():
            row = await locked_subscription(self._db, self._tenant_id, subscription_id)
            if row.state == "pending_installation":  # it may have been cancelled while its lock was waited for
                return row
        return None

    async def _running(self, wanted: tuple[int, int, str | None], request_id: str | None) -> ActivatedService | None:
        """The bill that this wish already has, if any."""
        customer_id, service_id, plan = wanted
        mine = select(Subscription).where(Subscription.tenant_id == self._tenant_id)
        if request_id is not None:
            by_request = or_(Subscription.request_id == request_id, Subscription.activation_request_id == request_id)
            row = await self._db.scalar(mine.where(by_request).execution_options(populate_existing=True))
            if row is not None and row.state != "pending_installation":
                if (row.customer_id, row.service_id, row.plan) != wanted:
                    raise RequestConflict(request_id, f"subscription {row.id}")
                if row.state != "active":
                    raise SubscriptionStopped(row.id, row.service_id, row.billing_stopped_at, row.stop_reason)
                return _activated(row)
        row = await self._db.scalar(mine.where(Subscription.service_id == service_id, Subscription.state == "active"))
        if row is None:
            return None
        if row.customer_id != customer_id or plan not in (None, row.plan):
            raise ServiceBilledAlready(service_id, row.id, row.customer_id, row.plan)
        return _activated(row)


def _activated(row: Subscription) -> ActivatedService:
    assert row.service_id is not None and row.billing_started_at is not None, "an activation has both"
    return ActivatedService(
        service_id=row.service_id,
        customer_id=row.customer_id,
        subscription_id=row.id,
        state="active",
        billing_started_at=row.billing_started_at,
    )


def _stopped(row: Subscription) -> StoppedBilling:
    assert row.billing_stopped_at is not None, "a cancelled subscription has its moment, by constraint"
    return StoppedBilling(
        service_id=row.service_id,
        customer_id=row.customer_id,
        subscription_id=row.id,
        state="cancelled",
        billing_started_at=row.billing_started_at,
        billing_stopped_at=row.billing_stopped_at,
        reason=row.stop_reason or "",
    )
