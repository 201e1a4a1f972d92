"""Renewals: who may renew, and terms made longer by calendar months.

``ends_on`` is the first day that is not paid for.
"""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.bills.subscriptions import LONGEST_REASON, locked_subscription, no_end
from provisioning.commercial.bills.terms import LONGEST_TERM_MONTHS, months_later
from provisioning.commercial.errors import (
    ExtensionNotLast,
    ExtensionUnknown,
    SubscriptionNotExtendable,
    SubscriptionUnknown,
)
from provisioning.commercial.facts import SalesFacts
from provisioning.commercial.payments.tables import OVER, Payment
from provisioning.commercial.tables import Subscription, SubscriptionExtension
from provisioning.days import UTC_DAYS, day_of
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import Clock, Faults
from workflows.answers import ExtendedSubscription, NotRenewable, RenewalEligibility

EARLIEST_RENEWAL = timedelta(days=60)


class Renewals:
    """Judges and carries out renewals. Writes only ``db``; the caller commits."""

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Clock, sales: SalesFacts, zone: ZoneInfo = UTC_DAYS
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._sales = sales
        self._zone = zone

    async def check(self, *, customer_id: int, subscription_id: int) -> RenewalEligibility:
        """See ``BillingService.check_renewal_eligibility``."""
        faults = Faults("The question")
        faults.number("customer_id", customer_id)
        faults.number("subscription_id", subscription_id)
        faults.refuse_if_any()
        row = await self._db.scalar(
            select(Subscription)
            .where(Subscription.tenant_id == self._tenant_id, Subscription.id == subscription_id)
            .execution_options(populate_existing=True)
        )
        if row is None or row.customer_id != customer_id:
            raise SubscriptionUnknown(subscription_id, customer_id)
        against = await self._against(row)
        return RenewalEligibility(
            eligible=against is None,
            reason=against and against[1],
            reason_code=against and against[0],
            subscription_id=row.id,
            customer_id=row.customer_id,
            plan=row.plan or row.title,
            ends_on=row.ends_on,
            renewal_term_months=row.term_months,
        )

    async def extend(
        self, *, subscription_id: int, extension_period: int, request_id: str | None
    ) -> ExtendedSubscription:
        """See ``BillingService.extend_subscription``."""
        faults = Faults("The extension")
        faults.number("subscription_id", subscription_id)
        months = faults.number("extension_period", extension_period)
        if months > LONGEST_TERM_MONTHS:
            faults.add("extension_period", f"is more than {LONGEST_TERM_MONTHS} months")
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        # The lock makes two extensions take turns, so that the second sees the first.
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        if request is not None and (made := await self._made(request)) is not None:
            if (made.subscription_id, made.months) != (subscription_id, months):
                raise RequestConflict(request, f"extension {made.id} of subscription {made.subscription_id}")
            return _extended(made, row)
        if row.state != "active":
            raise SubscriptionNotExtendable(row.id, f"it is {row.state}")
        if row.ends_on is None or row.anchor_day is None:
            raise SubscriptionNotExtendable(row.id, no_end(row))
        extension = SubscriptionExtension(
            tenant_id=self._tenant_id,
            subscription_id=row.id,
            months=months,
            extended_from=row.ends_on,
            extended_to=months_later(row.ends_on, months, anchor_day=row.anchor_day),
            request_id=request,
            made_at=self._now(),
        )
        try:
            async with self._db.begin_nested():
                self._db.add(extension)
                row.ends_on, row.renewed_at = extension.extended_to, extension.made_at
                await self._db.flush()  # the constraints must speak here, and the id is the answer
        except IntegrityError as exc:  # the request has extended another subscription meanwhile
            if request is not None and (made := await self._made(request)) is not None:
                raise RequestConflict(request, f"extension {made.id} of subscription {made.subscription_id}") from exc
            raise ChangeRaced from exc
        return _extended(extension, row)

    async def withdraw(self, *, extension_id: int, reason: str) -> ExtendedSubscription:
        """See ``BillingService.withdraw_extension``."""
        faults = Faults("The withdrawal of an extension")
        faults.number("extension_id", extension_id)
        why = faults.line("reason", reason, longest=LONGEST_REASON)
        faults.refuse_if_any()
        subscription_id = await self._db.scalar(
            select(SubscriptionExtension.subscription_id).where(
                SubscriptionExtension.tenant_id == self._tenant_id, SubscriptionExtension.id == extension_id
            )
        )
        if subscription_id is None:
            raise ExtensionUnknown(extension_id)
        row = await locked_subscription(self._db, self._tenant_id, subscription_id)
        in_force = await self._in_force(row.id)
        extension = await self._db.get_one(SubscriptionExtension, extension_id, populate_existing=True)
        if extension.withdrawn_at is not None:
            return _extended(extension, row)
        if in_force[-1].id != extension_id:
            raise ExtensionNotLast(extension_id, in_force[-1].id)
        extension.withdrawn_at, extension.withdrawal_reason = self._now(), why
        row.ends_on = extension.extended_from
        row.renewed_at = in_force[-2].made_at if len(in_force) > 1 else None
        await self._db.flush()  # a later question in this transaction must find it withdrawn
        return _extended(extension, row)

    async def _against(self, row: Subscription) -> tuple[NotRenewable, str] | None:
        """What speaks against renewing it now: a fixed word and a sentence."""
        name, today = f"Subscription {row.id}", day_of(self._now(), self._zone)
        if row.state == "cancelled":
            return "cancelled", f"{name} is cancelled ({row.stop_reason or 'no reason given'})."
        if await self._sales.customer_withdrawn(row.customer_id):
            return "customer_withdrawn", f"Customer {row.customer_id} has been withdrawn."
        if row.state == "pending_installation":
            return "not_started", f"{name} waits for its installation, its term has not begun."
        if row.ends_on is None:
            return "no_end_date", f"{name} runs until further notice, there is nothing to renew."
        paid_from = max((each.extended_from for each in await self._in_force(row.id)), default=today)
        if paid_from > today:
            return "already_renewed", f"{name} is renewed already, from {paid_from} until {row.ends_on}."
        if row.ends_on - today > EARLIEST_RENEWAL:
            earliest = row.ends_on - EARLIEST_RENEWAL
            return "too_early", f"{name} ends on {row.ends_on}; it can be renewed from {earliest} on."
        return await self._leaves(row) or await self._owes(row)

    async def _leaves(self, row: Subscription) -> tuple[NotRenewable, str] | None:
        """What was said about its end already, though that lies ahead."""
        if row.to_end_on is not None:
            why = row.to_end_because or "no reason given"
            return "to_be_ended", f"Subscription {row.id} is to end after {row.to_end_on} ({why})."
        if row.service_id is None:
            return None
        runs = await self._sales.open_terminations(row.customer_id, row.service_id)
        if not runs:
            return None
        return "to_be_ended", f"Subscription {row.id} is to end with its service {row.service_id} (run {runs[0]})."

    async def _owes(self, row: Subscription) -> tuple[NotRenewable, str] | None:
        if (owing := await self._unpaid(row.customer_id)) is None:
            return None
        return "open_debt", f"Customer {row.customer_id} has not paid yet: payment {owing.id} is {owing.state}."

    async def _unpaid(self, customer_id: int) -> Payment | None:
        found: Payment | None = await self._db.scalar(
            select(Payment)
            .where(
                Payment.tenant_id == self._tenant_id,
                Payment.customer_id == customer_id,
                Payment.state.not_in((*OVER, "captured")),
            )
            .order_by(Payment.id)
            .limit(1)
        )
        return found

    async def _in_force(self, subscription_id: int) -> list[SubscriptionExtension]:
        found = await self._db.scalars(
            select(SubscriptionExtension)
            .where(
                SubscriptionExtension.subscription_id == subscription_id, SubscriptionExtension.withdrawn_at.is_(None)
            )
            .order_by(SubscriptionExtension.extended_from)
        )
        return list(found)

    async def _made(self, request: str) -> SubscriptionExtension | None:
        found: SubscriptionExtension | None = await self._db.scalar(
            select(SubscriptionExtension).where(
                SubscriptionExtension.tenant_id == self._tenant_id,
                SubscriptionExtension.request_id == request,
                SubscriptionExtension.withdrawn_at.is_(None),
            )
        )
        return found


def _extended(extension: SubscriptionExtension, row: Subscription) -> ExtendedSubscription:
    return ExtendedSubscription(
        extension_id=extension.id,
        subscription_id=row.id,
        customer_id=row.customer_id,
        extended_from=extension.extended_from,
        ends_on=extension.extended_to if extension.withdrawn_at is None else extension.extended_from,
        extension_months=extension.months,
    )
