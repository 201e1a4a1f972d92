"""What an operator reads of payments: lists, and one payment with every talk about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.money import to_decimal
from provisioning.commercial.payments.errors import PaymentUnknown
from provisioning.commercial.payments.requests import PROVIDERS
from provisioning.commercial.payments.tables import Payment, PaymentAttempt, PaymentEvent
from workflows.answers import PaymentMethod, PaymentState


@dataclass(frozen=True)
class PaymentView:
    """One payment as it stands."""

    payment_id: int
    order_id: int | None
    quote_id: int | None
    customer_id: int
    amount: Decimal
    currency: str
    method: PaymentMethod
    provider: str
    state: PaymentState
    reference: str | None
    reason: str | None
    action_url: str | None
    settled_by: str | None
    requested_at: datetime
    captured_at: datetime | None
    refund_asked_at: datetime | None
    refunded_at: datetime | None


@dataclass(frozen=True)
class PaymentStep:
    """One line of a payment's history: an attempt of ours, or what its gateway told by itself."""

    at: datetime
    what: str
    outcome: str
    words: str | None


@dataclass(frozen=True)
class PaymentHistory:
    """A payment, whole."""

    payment: PaymentView
    history: Sequence[PaymentStep]


async def list_payments(
    db: AsyncSession,
    *,
    tenant_id: str,
    states: Sequence[str] = (),
    customer_id: int | None = None,
    order_id: int | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[PaymentView]:
    """The newest payments first, a page at a time (``before_id``)."""
    query = select(Payment).where(Payment.tenant_id == tenant_id).order_by(Payment.id.desc()).limit(limit)
    if states:
        query = query.where(Payment.state.in_(states))
    if customer_id is not None:
        query = query.where(Payment.customer_id == customer_id)
    if order_id is not None:
        query = query.where(Payment.order_id == order_id)
    if before_id is not None:
        query = query.where(Payment.id < before_id)
    return [_view(row) for row in await db.scalars(query)]


async def payments_referred_to(
    db: AsyncSession, reference: str, *, tenant_id: str, limit: int = 50
) -> list[PaymentView]:
    """The newest payments under this reference, written so, or in small or capital letters throughout."""
    spellings = {reference, reference.lower(), reference.upper()}
    query = select(Payment).where(
        Payment.tenant_id == tenant_id,
        Payment.provider.in_(sorted(set(PROVIDERS.values()))),  # the index has it before the reference
        Payment.provider_ref.in_(sorted(spellings)),
    )
    newest = (Payment.id + 0).desc()  # by the bare number a database would walk all payments from the newest one on
    return [_view(row) for row in await db.scalars(query.order_by(newest).limit(limit))]


async def show_payment(db: AsyncSession, payment_id: int, *, tenant_id: str) -> PaymentHistory:
    """Raises: PaymentUnknown."""
    row = await db.scalar(select(Payment).where(Payment.tenant_id == tenant_id, Payment.id == payment_id))
    if row is None:
        raise PaymentUnknown(payment_id)
    attempts = await db.scalars(select(PaymentAttempt).where(PaymentAttempt.payment_id == payment_id))
    events = await db.scalars(select(PaymentEvent).where(PaymentEvent.payment_id == payment_id))
    steps = [
        PaymentStep(one.started_at, f"{one.kind}, attempt {one.number}", one.outcome or "not ended", one.reply)
        for one in attempts
    ]
    steps += [
        PaymentStep(one.received_at, f"{one.provider} told {one.type}", one.outcome, one.reason) for one in events
    ]
    return PaymentHistory(_view(row), sorted(steps, key=lambda step: step.at))


def _view(row: Payment) -> PaymentView:
    return PaymentView(
        payment_id=row.id,
        order_id=row.order_id,
        quote_id=row.quote_id,
        customer_id=row.customer_id,
        amount=to_decimal(row.amount_minor, row.currency),
        currency=row.currency,
        method=row.method,
        provider=row.provider,
        state=row.state,
        reference=row.provider_ref,
        reason=row.reason,
        action_url=row.action_url,
        settled_by=row.settled_by,
        requested_at=row.requested_at,
        captured_at=row.captured_at,
        refund_asked_at=row.refund_asked_at,
        refunded_at=row.refunded_at,
    )
