"""A payment's row: locked for a change, moved on by what a gateway said and never back, and as others see it."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import structlog
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.money import to_decimal
from provisioning.commercial.payments.errors import PaymentUnknown
from provisioning.commercial.payments.ports import (
    Awaiting,
    Cancelled,
    Captured,
    Declined,
    GatewayAnswer,
    Refunded,
    RequiresAction,
    Unknown,
)
from provisioning.commercial.payments.tables import EventOutcome, Payment
from workflows.answers import PaymentOutcome, PaymentState

STATE_OF: Final[dict[type[GatewayAnswer], PaymentState]] = {
    Captured: "captured",
    Awaiting: "awaiting",
    RequiresAction: "requires_action",
    Declined: "declined",
    Cancelled: "cancelled",
    Refunded: "refunded",
    Unknown: "unknown",
}

_BEFORE: Final[dict[PaymentState, frozenset[PaymentState]]] = {
    "requested": frozenset(),
    "unknown": frozenset({"requested"}),
    "requires_action": frozenset({"requested", "unknown"}),
    "awaiting": frozenset({"requested", "unknown", "requires_action"}),
    "declined": frozenset({"requested", "unknown", "requires_action", "awaiting"}),
    "cancelled": frozenset({"requested", "unknown", "requires_action", "awaiting"}),
    # a card that was declined may still be charged by the customer's own hand, at the gateway
    "captured": frozenset({"requested", "unknown", "requires_action", "awaiting", "declined"}),
    "refunded": frozenset({"captured"}),
}
"""Of each state those that it may follow; a gateway's word that would lead back comes late."""

log = structlog.get_logger(__name__)


async def locked_payment(db: AsyncSession, tenant_id: str, payment_id: int) -> Payment:
    """The row, locked until the transaction ends.

    Raises: PaymentUnknown.
    """
    row = await db.scalar(
        select(Payment)
        .where(Payment.tenant_id == tenant_id, Payment.id == payment_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    if row is None:
        raise PaymentUnknown(payment_id)
    return row


async def move_on(db: AsyncSession, row: Payment, answer: GatewayAnswer, *, now: datetime) -> EventOutcome:
    """Make the locked row say what the gateway said, unless it has gone beyond that, or the money doesn't fit."""
    state = STATE_OF[type(answer)]
    if isinstance(answer, Captured):
        if (answer.amount_minor, answer.currency) != (row.amount_minor, row.currency):
            return "mismatch"
        if row.state == "cancelled":
            return "surplus"
    if row.state not in _BEFORE[state]:
        return "late" if row.state != state else "applied"
    before = row.state
    try:
        async with db.begin_nested():
            _write(row, answer, state, now)
            await db.flush()  # a second captured payment of the order is refused here, by constraint
    except IntegrityError:
        await db.refresh(row)
        return "surplus"
    log.info("payment moved on", payment_id=row.id, customer_id=row.customer_id, before=before, state=state)
    return "applied"


def _write(row: Payment, answer: GatewayAnswer, state: PaymentState, now: datetime) -> None:
    row.state = state
    row.action_url = answer.url if isinstance(answer, RequiresAction) else None
    match answer:
        case Captured(reference):
            row.provider_ref, row.captured_at, row.reason = reference, now, None
        case Refunded():
            row.refunded_at = now
        case Declined(reference, code, sentence):
            row.provider_ref, row.reason = reference or row.provider_ref, f"{sentence} ({code})"
        case Cancelled():
            row.reason = row.reason or "its gateway has cancelled it"
        case Awaiting(reference):
            row.provider_ref = reference or row.provider_ref
        case RequiresAction(reference):
            row.provider_ref = reference


def outcome_of(row: Payment) -> PaymentOutcome:
    return PaymentOutcome(
        payment_id=row.id,
        state=row.state,
        reference=row.provider_ref,
        reason=row.reason,
        captured_at=row.captured_at,
    )


def shown_amount(minor: int, currency: str) -> str:
    """As a person reads it: 12.50 EUR."""
    return f"{to_decimal(minor, currency)} {currency}"
