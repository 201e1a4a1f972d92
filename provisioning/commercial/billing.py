"""billing_service: which services are billed, to whom, since when. One running bill per service, by constraint."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customer import require_customer
from provisioning.commercial.errors import ServiceBilledAlready, SubscriptionStopped, SubscriptionUnknown
from provisioning.commercial.tables import Subscription
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.services import ActivatedService

LONGEST_REASON = 500


class StoppedBilling(TypedDict):
    """A bill that runs no more: since when it ran, until when, and why it ended."""

    service_id: int
    customer_id: int
    subscription_id: int
    state: Literal["cancelled"]
    billing_started_at: datetime
    billing_stopped_at: datetime
    reason: str


class BillingService:
    """Starts and stops bills. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def activate_service(
        self, *, customer_id: int, service_id: int, plan: str | None = None, request_id: str | None = None
    ) -> ActivatedService:
        """Start billing this service to this customer, now. Activating what is active is the same activation.

        Raises: InvalidRequest (all faults), CustomerUnknown, ServiceBilledAlready (to another customer or on another
        plan), SubscriptionStopped (this request's bill was stopped since), RequestConflict, ChangeRaced.
        """
        faults = Faults("The activation")
        faults.number("customer_id", customer_id)
        faults.number("service_id", service_id)
        wanted = (customer_id, service_id, faults.optional_line("plan", plan))
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        await require_customer(self._db, self._tenant_id, customer_id)
        if (running := await self._running(wanted, request)) is not None:
            return running
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(Subscription)
                    .values(
                        tenant_id=self._tenant_id,
                        customer_id=customer_id,
                        service_id=service_id,
                        plan=wanted[2],
                        state="active",
                        billing_started_at=self._now(),
                        request_id=request,
                    )
                    .returning(Subscription)
                )
        except IntegrityError as exc:
            if (running := await self._running(wanted, request)) is not None:
                return running
            raise ChangeRaced from exc
        assert row is not None
        return _activated(row)

    async def stop_billing(self, *, subscription_id: int, reason: str) -> StoppedBilling:
        """Take a bill back before its first invoice: it is cancelled from now, and stays as history.

        Stopping what is stopped changes nothing: the first stop and its reason stand.

        Raises: InvalidRequest, SubscriptionUnknown.
        """
        faults = Faults("The stop of billing")
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        row = await self._db.scalar(
            select(Subscription)
            .where(Subscription.tenant_id == self._tenant_id, Subscription.id == subscription_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise SubscriptionUnknown(subscription_id)
        if row.state == "active":
            row.state = "cancelled"
            row.billing_stopped_at = self._now()
            row.stop_reason = why
            await self._db.flush()  # a later question in this transaction must find it stopped
        return _stopped(row)

    async def _running(self, wanted: tuple[int, int, str | None], request_id: str | None) -> ActivatedService | None:
        """The bill that this wish already has, if any."""
        customer_id, service_id, plan = wanted
        mine = select(Subscription).where(Subscription.tenant_id == self._tenant_id)
        if request_id is not None:
            row = await self._db.scalar(mine.where(Subscription.request_id == request_id))
            if row is not None:
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
