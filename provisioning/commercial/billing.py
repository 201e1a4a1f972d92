"""billing_service: which services are billed, to whom, since when, what was sold for which term, and its payments.

One running bill per service, by constraint. Subscriptions, renewals and payments stand in modules of their own; here
they are one service, as the contract names it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo

from sqlalchemy import or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customer import require_customer
from provisioning.commercial.endings import end_bill
from provisioning.commercial.errors import ServiceBilledAlready, SubscriptionStopped
from provisioning.commercial.facts import SalesFacts
from provisioning.commercial.payments.cards import CardsOnFile
from provisioning.commercial.payments.requests import PaymentRequests
from provisioning.commercial.renewals import Renewals
from provisioning.commercial.sales_records import SalesRecords
from provisioning.commercial.subscriptions import (
    CancelledSubscription,
    Subscriptions,
    locked_subscription,
    term_from,
)
from provisioning.commercial.tables import Customer, Subscription
from provisioning.days import UTC_DAYS, day_of
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import (
    CreatedSubscription,
    EndedBilling,
    ExtendedSubscription,
    PaymentOutcome,
    RenewalEligibility,
    RequestedPayment,
    SubscriptionState,
)
from workflows.services import ActivatedService

LONGEST_REASON = 500


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


class BillingService:
    """Starts and stops bills, sells and extends terms, asks for payments. Writes only ``db``; the caller commits.

    ``sales`` knows what was offered, quoted and ordered; None: as their tables say. ``cards`` None: no gateway takes
    cards here. ``zone``: the ISP's, whose days terms are counted in.
    """

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Clock,
        sales: SalesFacts | None = None,
        cards: CardsOnFile | None = None,
        zone: ZoneInfo = UTC_DAYS,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        facts = sales or SalesRecords(db, tenant_id=tenant_id)
        self._subscriptions = Subscriptions(db, tenant_id=tenant_id, now=now, sales=facts, zone=zone)
        self._renewals = Renewals(db, tenant_id=tenant_id, now=now, sales=facts, zone=zone)
        self._payments = PaymentRequests(db, tenant_id=tenant_id, now=now, sales=facts, cards=cards)

    async def activate_service(
        self, *, customer_id: int, service_id: int, plan: str | None = None, request_id: str | None = None
    ) -> ActivatedService:
        """Start billing this service to this customer, now. Activating what is active is the same activation.

        A subscription of this customer and plan that waits for its installation becomes the service's bill, the oldest
        first, and its term begins today; so nobody who bought is billed twice.

        Raises: InvalidRequest (all faults), CustomerUnknown, ServiceBilledAlready (to another customer or on another
        plan), SubscriptionStopped (this request's bill was stopped since), RequestConflict, ChangeRaced.
        """
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

    async def withdraw_activation(self, *, subscription_id: int, reason: str) -> WithdrawnActivation:
        """Undo of ``activate_service``: a bill that was sold waits for its installation again; any other one stops.

        Raises: InvalidRequest, SubscriptionUnknown.
        """
        faults = Faults("The withdrawal of an activation")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        if row.state == "active" and row.offer_id is not None and row.plan is not None and row.renewed_at is None:
            row.state, row.service_id, row.billing_started_at = "pending_installation", None, None
            row.starts_on = row.ends_on = row.anchor_day = row.activation_request_id = None
            await self._db.flush()  # a later question in this transaction must find it waiting
        elif row.state == "active":
            await self.stop_billing(subscription_id=subscription_id, reason=why)
        return WithdrawnActivation(subscription_id=row.id, customer_id=row.customer_id, state=row.state)

    async def stop_billing(self, *, subscription_id: int, reason: str) -> StoppedBilling:
        """Take a bill back before its first invoice: it is cancelled from now, and stays as history.

        Stopping what is stopped changes nothing: the first stop and its reason stand.

        Raises: InvalidRequest, SubscriptionUnknown.
        """
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

    async def end_billing(self, *, service_id: int, ended_at: datetime, reason: str) -> EndedBilling | None:
        """End a service's running bill as of ``ended_at``, which is over; None if none runs (any more).

        It stays as history. A bill never ends before it began: one that began later ends as it begins.

        Raises: InvalidRequest (all faults).
        """
        return await end_bill(
            self._db, self._tenant_id, service_id=service_id, ended_at=ended_at, reason=reason, now=self._now()
        )

    # -- subscriptions -------------------------------------------------------------------------------------------------

    async def create_subscription(
        self,
        *,
        customer_id: int,
        plan_id: int,
        tenant_id: str,
        price_minor: int | None = None,
        request_id: str | None = None,
    ) -> CreatedSubscription:
        """Sell the offer ``plan_id`` to a customer, for its term and at its price, or at the one that was agreed
        (``price_minor``, in the offer's currency).

        A hosted product is *active* from today. An offer with a network plan is *pending_installation*, unbilled
        and without dates, until ``activate_service`` of this customer and plan. The same request is the same
        subscription, and takes up again what was cancelled; without one, each call sells another.

        Raises: TenantMismatch, InvalidRequest (all faults), CustomerUnknown, RequestConflict, ChangeRaced.
        """
        return await self._subscriptions.create(
            customer_id=customer_id,
            plan_id=plan_id,
            tenant_id=tenant_id,
            price_minor=price_minor,
            request_id=request_id,
        )

    async def cancel_subscription(self, *, subscription_id: int, reason: str) -> CancelledSubscription:
        """Undo of ``create_subscription``; cancelling twice is the same cancellation.

        Raises: InvalidRequest, SubscriptionUnknown, SubscriptionInstalled (its service must end first).
        """
        return await self._subscriptions.cancel(subscription_id=subscription_id, reason=reason)

    async def check_renewal_eligibility(self, *, customer_id: int, subscription_id: int) -> RenewalEligibility:
        """Whether this subscription can be renewed now; what speaks against it is an answer, not an error.

        Raises: InvalidRequest, SubscriptionUnknown (also for somebody else's).
        """
        return await self._renewals.check(customer_id=customer_id, subscription_id=subscription_id)

    async def extend_subscription(
        self, *, subscription_id: int, extension_period: int, request_id: str | None = None
    ) -> ExtendedSubscription:
        """Make a term ``extension_period`` calendar months longer, from its end on and on the day it began on.

        The same request extends once.

        Raises: InvalidRequest, SubscriptionUnknown, SubscriptionNotExtendable, RequestConflict, ChangeRaced.
        """
        return await self._renewals.extend(
            subscription_id=subscription_id, extension_period=extension_period, request_id=request_id
        )

    async def withdraw_extension(self, *, extension_id: int, reason: str) -> ExtendedSubscription:
        """Undo of ``extend_subscription``; withdrawing twice is the same withdrawal.

        Raises: InvalidRequest, ExtensionUnknown, ExtensionNotLast.
        """
        return await self._renewals.withdraw(extension_id=extension_id, reason=reason)

    # -- payments ------------------------------------------------------------------------------------------------------

    async def process_payment(
        self, *, order_id: int, amount: Decimal, payment_method: str, request_id: str | None = None
    ) -> RequestedPayment:
        """Ask for a pre-paid order's payment: state *requested*, no money moves before ``PaymentCapture.capture``.

        ``payment_method`` is invoice, cash, bank, or card (the customer's card on file). An order has one live payment:
        asked again in the same way, that one is the answer. Declined or taken back, it is asked for anew.

        Raises: InvalidRequest (all faults; an amount that isn't the order's total is one), NothingToPay, PaymentStands,
        RequestConflict, CustomerUnknown, ChangeRaced.
        """
        return await self._payments.of_order(
            order_id=order_id, amount=amount, payment_method=payment_method, request_id=request_id
        )

    async def process_renewal_payment(
        self, *, customer_id: int, quote_id: int, request_id: str | None = None
    ) -> RequestedPayment:
        """Ask for the payment of an accepted renewal quote: by the customer's card on file, else by invoice.

        Raises: InvalidRequest (all faults), NothingToPay, RequestConflict, CustomerUnknown, ChangeRaced.
        """
        return await self._payments.of_renewal(customer_id=customer_id, quote_id=quote_id, request_id=request_id)

    async def void_payment(self, *, payment_id: int, reason: str) -> PaymentOutcome:
        """Undo of ``process_payment``: nothing is asked for any more. One that is over stays as it is.

        Raises: InvalidRequest, PaymentUnknown, PaymentWithGateway (``PaymentCapture.refund`` must take it back first).
        """
        return await self._payments.void(payment_id=payment_id, reason=reason)

    # -- bills ---------------------------------------------------------------------------------------------------------

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
