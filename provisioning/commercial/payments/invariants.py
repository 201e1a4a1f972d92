"""What must always be true of payments, asked of the database itself. An empty answer is the good one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.payments.settlement import MANUAL
from provisioning.commercial.payments.tables import Payment, PaymentAttempt, PaymentEvent
from workflows.answers import PaymentState

TAKEN: tuple[PaymentState, ...] = ("captured", "refunded")


@dataclass(frozen=True)
class PaidTwice:
    """One order or quote, several captured payments."""

    subject: str
    payment_ids: tuple[int, ...]

    @property
    def sentence(self) -> str:
        payments = ", ".join(map(str, self.payment_ids))
        return f"The customer has paid {self.subject} {len(self.payment_ids)} times (payments {payments})."


@dataclass(frozen=True)
class OddPayment:
    """A payment that isn't as it should be, and how."""

    payment_id: int
    how: str

    @property
    def subject(self) -> str:
        return f"payment {self.payment_id}"

    @property
    def sentence(self) -> str:
        return f"Payment {self.payment_id} {self.how}."


async def paid_twice(db: AsyncSession, tenant_id: str) -> list[PaidTwice]:
    """Orders and quotes with more than one captured payment."""
    found = []
    for what, column in (("order", Payment.order_id), ("quote", Payment.quote_id)):
        captured = and_(Payment.tenant_id == tenant_id, Payment.state == "captured", column.is_not(None))
        doubled = select(column).where(captured).group_by(column).having(func.count() > 1)
        rows = await db.execute(
            select(column, Payment.id).where(captured, column.in_(doubled)).order_by(column, Payment.id)
        )
        payments: dict[int | None, tuple[int, ...]] = {}
        for number, payment_id in rows:
            payments[number] = (*payments.get(number, ()), payment_id)
        found += [PaidTwice(f"{what} {number}", ids) for number, ids in payments.items()]
    return found


async def captured_without_proof(db: AsyncSession, tenant_id: str) -> list[OddPayment]:
    """Captured payments without the gateway's number, or without a person who has settled them."""
    unproven = or_(Payment.provider_ref.is_(None), and_(Payment.provider == MANUAL, Payment.settled_by.is_(None)))
    found = await _payments(db, tenant_id, Payment.state.in_(TAKEN), unproven)
    return [
        OddPayment(row.id, f"is {row.state}, but {_missing(row)}, so nobody can say that the money came")
        for row in found
    ]


async def unknown_for_long(db: AsyncSession, tenant_id: str, *, asked_before: datetime) -> list[OddPayment]:
    """Payments whose gateway was told to take the money before that time, and nobody knows whether it did."""
    found = await _payments(db, tenant_id, Payment.state == "unknown", Payment.asked_at < asked_before)
    return [
        OddPayment(
            row.id, f"of customer {row.customer_id} may have been taken by {row.provider}: nobody knows since {at}"
        )
        for row in found
        if (at := f"{row.asked_at:%Y-%m-%d %H:%M} UTC")
    ]


async def not_as_the_gateway_says(db: AsyncSession, tenant_id: str) -> list[OddPayment]:
    """Money that a gateway says it has taken, though the payment is over or asked for another amount."""
    odd_events = await db.execute(
        select(PaymentEvent.payment_id, PaymentEvent.provider, PaymentEvent.event_id, PaymentEvent.reason)
        .where(PaymentEvent.tenant_id == tenant_id, PaymentEvent.outcome.in_(("surplus", "mismatch")))
        .order_by(PaymentEvent.payment_id, PaymentEvent.id)
    )
    found = [
        OddPayment(number, f"is not as {provider} says in event {event}: {reason or 'no reason given'}")
        for number, provider, event, reason in odd_events
    ]
    taken = exists().where(PaymentAttempt.payment_id == Payment.id, PaymentAttempt.outcome == "captured")
    for row in await _payments(db, tenant_id, Payment.state.not_in(TAKEN), taken):
        found.append(OddPayment(row.id, f"is {row.state}, though {row.provider} said that it took the money"))
    return found


async def _payments(db: AsyncSession, tenant_id: str, *where: ColumnElement[bool]) -> Sequence[Payment]:
    query = select(Payment).where(Payment.tenant_id == tenant_id, *where).order_by(Payment.id)
    return (await db.scalars(query)).all()


def _missing(row: Payment) -> str:
    return "has no reference" if row.provider_ref is None else "nobody has settled it"
