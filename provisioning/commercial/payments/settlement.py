"""Settlements: what a person, or a gateway by itself, says of a payment. In the caller's transaction."""

from __future__ import annotations

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.payments.errors import (
    NotSettledByHand,
    PaymentOver,
    RefundNotAsked,
    SettlementConflict,
)
from provisioning.commercial.payments.ports import Captured, GatewayEvent, Refunded
from provisioning.commercial.payments.rows import locked_payment, move_on, outcome_of, shown_amount
from provisioning.commercial.payments.tables import EventOutcome, Payment, PaymentEvent
from provisioning.intake import Clock, Faults
from workflows.answers import PaymentOutcome

MANUAL = "manual"

log = structlog.get_logger(__name__)


class Settlements:
    """Takes down what became of payments. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def record_settlement(self, *, payment_id: int, reference: str, by: str) -> PaymentOutcome:
        """The money of an invoice, cash or bank payment has come: ``reference`` is where that can be looked up.

        The same reference again is the same settlement.

        Raises: InvalidRequest, PaymentUnknown, NotSettledByHand, SettlementConflict, PaymentOver.
        """
        where, who = _words("The settlement", reference, by)
        row = await self._by_hand(payment_id)
        if row.state in ("captured", "refunded"):
            if row.provider_ref != where:
                raise SettlementConflict(payment_id, row.provider_ref, row.settled_by)
            return outcome_of(row)
        if row.state in ("cancelled", "declined"):
            raise PaymentOver(payment_id, row.state, row.reason)
        row.settled_by = who
        await move_on(self._db, row, Captured(where, row.amount_minor, row.currency), now=self._now())
        return outcome_of(row)

    async def record_refund(self, *, payment_id: int, reference: str, by: str) -> PaymentOutcome:
        """The money of an invoice, cash or bank payment that is to go back has gone back.

        Raises: InvalidRequest, PaymentUnknown, NotSettledByHand, RefundNotAsked.
        """
        where, who = _words("The refund", reference, by)
        row = await self._by_hand(payment_id)
        if row.state == "refunded":
            return outcome_of(row)
        if row.state != "captured" or row.refund_asked_at is None:
            raise RefundNotAsked(payment_id, row.state)
        row.reason = f"{row.reason or 'taken back'}; paid back by {who}: {where}"
        await move_on(self._db, row, Refunded(), now=self._now())
        return outcome_of(row)

    async def payment_of(self, event: GatewayEvent) -> int | None:
        """The payment that a gateway speaks of; None: it isn't one of ours."""
        by_name, by_number = Payment.idempotency_key == event.payment, Payment.provider_ref == event.reference
        found: int | None = await self._db.scalar(
            select(Payment.id).where(
                Payment.tenant_id == self._tenant_id,
                Payment.provider == event.provider,
                by_number if event.payment is None else by_name,
            )
        )
        return found

    async def record_event(self, payment_id: int, event: GatewayEvent) -> tuple[PaymentOutcome, EventOutcome | None]:
        """Keep what the gateway said, and let the payment say so too, unless it has gone beyond that.

        The second part is None for an event that was heard before: nothing changes then.

        Raises: PaymentUnknown.
        """
        row = await locked_payment(self._db, self._tenant_id, payment_id)
        if await self._heard(event):
            return outcome_of(row), None
        outcome = await move_on(self._db, row, event.answer, now=self._now())
        # Two of the same event have taken turns at the payment's lock; the constraint is for what nobody thought of.
        self._db.add(
            PaymentEvent(
                tenant_id=self._tenant_id,
                payment_id=payment_id,
                provider=event.provider,
                event_id=event.event_id,
                type=event.type,
                occurred_at=event.occurred_at,
                received_at=self._now(),
                outcome=outcome,
                reason=_why(row, event, outcome),
            )
        )
        await self._db.flush()  # a later question in this transaction must find it heard
        if outcome in ("surplus", "mismatch"):
            log.error("payment event does not fit", payment_id=payment_id, event_id=event.event_id, outcome=outcome)
        return outcome_of(row), outcome

    async def _heard(self, event: GatewayEvent) -> bool:
        found = await self._db.scalar(
            select(PaymentEvent.id).where(
                PaymentEvent.tenant_id == self._tenant_id,
                PaymentEvent.provider == event.provider,
                PaymentEvent.event_id == event.event_id,
            )
        )
        return found is not None

    async def _by_hand(self, payment_id: int) -> Payment:
        row = await locked_payment(self._db, self._tenant_id, payment_id)
        if row.provider != MANUAL:
            raise NotSettledByHand(payment_id, row.provider, row.state)
        return row


def _words(what: str, reference: object, by: object) -> tuple[str, str]:
    faults = Faults(what)
    words = faults.line("reference", reference), faults.line("by", by)
    faults.refuse_if_any()
    return words


def _why(row: Payment, event: GatewayEvent, outcome: EventOutcome) -> str | None:
    answer = event.answer
    if outcome == "mismatch" and isinstance(answer, Captured):
        asked, taken = (shown_amount(money.amount_minor, money.currency) for money in (row, answer))
        return f"{taken} was taken, {asked} was asked for"
    if outcome == "surplus":
        return f"the money was taken, but payment {row.id} is {row.state}"
    return f"the payment was {row.state} already" if outcome == "late" else None
