"""One talk with a gateway about a payment: what is asked, what is kept of the answer, and what the caller hears."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import structlog

from provisioning.commercial.payments.errors import (
    PaymentDeclined,
    PaymentMismatch,
    PaymentOutcomeUnknown,
    PaymentOver,
    RefundAwaited,
)
from provisioning.commercial.payments.ports import (
    Awaiting,
    Cancelled,
    Captured,
    Declined,
    GatewayAnswer,
    PaymentGateway,
    PaymentRequest,
    Refunded,
    RequiresAction,
    Unknown,
)
from provisioning.commercial.payments.rows import shown_amount
from provisioning.commercial.payments.tables import OVER, AttemptKind, AttemptOutcome, EventOutcome, Payment
from workflows.answers import PaymentOutcome

OUTCOME_OF: Final[dict[type[GatewayAnswer], AttemptOutcome]] = {
    Captured: "captured",
    Awaiting: "awaiting",
    RequiresAction: "requires_action",
    Declined: "declined",
    Cancelled: "cancelled",
    Refunded: "refunded",
    Unknown: "unknown",
}
WORD: Final = {"capture": "taken", "cancel": "cancelled", "refund": "refunded"}

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Talk:
    """One attempt that was written down: with whom, about what, under which key."""

    payment_id: int
    number: int
    kind: AttemptKind
    key: str
    request: PaymentRequest
    gateway: PaymentGateway
    asked_before: bool


def refuse_mismatch(row: Payment, answer: GatewayAnswer, believed: EventOutcome) -> None:
    if believed == "mismatch" and isinstance(answer, Captured):
        log.error("payment taken with another amount", payment_id=row.id, reference=answer.reference)
        asked, taken = (shown_amount(money.amount_minor, money.currency) for money in (row, answer))
        raise PaymentMismatch(row.id, asked, taken)


def told(talk: Talk, answer: GatewayAnswer, outcome: PaymentOutcome, row: Payment) -> PaymentOutcome:
    """What the caller hears, once it is written down."""
    state, reason = outcome["state"], outcome["reason"]
    if isinstance(answer, Unknown):
        raise PaymentOutcomeUnknown(row.id, WORD[talk.kind], answer.sentence)
    if talk.kind == "capture" and state == "declined":
        raise PaymentDeclined(row.id, reason or "no reason given")
    if talk.kind == "capture" and state in OVER:
        raise PaymentOver(row.id, state, reason)
    if talk.kind == "refund" and not isinstance(answer, Refunded):
        by_hand = f"pay it back and say so by `firstlight payments refunded {row.id} --reference WHERE`"
        how = by_hand if row.provider == "manual" else f"{row.provider} has begun it; wait until it is through"
        raise RefundAwaited(row.id, shown_amount(row.amount_minor, row.currency), how)
    if talk.kind == "cancel" and (isinstance(answer, Declined) or state not in (*OVER, "captured")):
        raise PaymentOutcomeUnknown(row.id, WORD[talk.kind], f"it is still {state}")
    return outcome


def words_of(answer: GatewayAnswer) -> str:
    """What stands in the attempt's record."""
    match answer:
        case Unknown(sentence):
            return sentence
        case Captured(reference, amount_minor, currency):
            return f"{reference} {shown_amount(amount_minor, currency)}"
        case Declined(reference, code, _):
            return " ".join(filter(None, (reference, code)))
        case _:
            return answer.reference or ""
