"""billing_service: which services are billed, to whom, since when, what was sold for which term, and its payments.

Activations, subscriptions, renewals and payments stand in modules of their own; here they are one service, as the
contract names it.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.activations import Activations, StoppedBilling, WithdrawnActivation
from provisioning.commercial.bills.endings import end_bill
from provisioning.commercial.bills.renewals import Renewals
from provisioning.commercial.bills.subscriptions import CancelledSubscription, Subscriptions
from provisioning.commercial.facts import SalesFacts
from provisioning.commercial.payments.cards import CardsOnFile
from provisioning.commercial.payments.requests import PaymentRequests
from provisioning.commercial.selling.sales_records import SalesRecords
from provisioning.days import UTC_DAYS
from provisioning.intake import Clock
from workflows.answers import (
    CreatedSubscription,
    EndedBilling,
    ExtendedSubscription,
    PaymentOutcome,
    RenewalEligibility,
    RequestedPayment,
)
from workflows.services import ActivatedService


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
        self._activations = Activations(db, tenant_id=tenant_id, now=now, zone=zone)
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
        return await self._activations.activate(
            customer_id=customer_id, service_id=service_id, plan=plan, request_id=request_id
        )

    async def withdraw_activation(self, *, subscription_id: int, reason: str) -> WithdrawnActivation:
        """Undo of ``activate_service``: a bill that was sold waits for its installation again; any other one stops.

        Raises: InvalidRequest, SubscriptionUnknown.
        """
        return await self._activations.withdraw(subscription_id=subscription_id, reason=reason)

    async def stop_billing(self, *, subscription_id: int, reason: str) -> StoppedBilling:
        """Take a bill back before its first invoice: it is cancelled from now, and stays as history.

        Stopping what is stopped changes nothing: the first stop and its reason stand.

        Raises: InvalidRequest, SubscriptionUnknown.
        """
        return await self._activations.stop(subscription_id=subscription_id, reason=reason)

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
