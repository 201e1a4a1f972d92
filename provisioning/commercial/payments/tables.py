"""The tables of payments: what is to be paid, each talk with a gateway about it, what gateways told by themselves."""

from __future__ import annotations

from datetime import datetime
from typing import Final, Literal, get_args

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.tables import OF_A_CUSTOMER
from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId
from workflows.answers import PaymentMethod, PaymentState

AttemptKind = Literal["capture", "cancel", "refund"]
AttemptOutcome = Literal[
    "captured", "awaiting", "requires_action", "declined", "cancelled", "refunded", "nothing", "refused", "unknown"
]
EventOutcome = Literal["applied", "late", "surplus", "mismatch"]

OVER: Final[tuple[PaymentState, ...]] = ("declined", "cancelled", "refunded")
"""States in which a payment holds nothing any more: another one may be asked for."""


def _sql_list(values: tuple[str, ...]) -> str:
    return ", ".join(f"'{value}'" for value in values)


_LIVE = text(f"state NOT IN ({_sql_list(OVER)})")


class Payment(ProvisioningBase):
    """One payment of an order, or of a renewal's quote.

    *unknown* from the moment a gateway is told to take the money until its word is recorded. ``provider_ref`` is the
    gateway's own number (a PaymentIntent), or what a person has settled it with. An order and a quote have one live
    payment; whoever was declined, or got the money back, may be asked anew, and so may their request id.
    """

    __tablename__ = "payment"
    __table_args__ = (
        Index("ix_payment_newest", "tenant_id", "id"),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        CheckConstraint("(order_id IS NULL) <> (quote_id IS NULL)", name="of_order_or_quote"),
        CheckConstraint("amount_minor > 0", name="amount"),
        CheckConstraint(f"method IN ({_sql_list(get_args(PaymentMethod))})", name="method"),
        CheckConstraint(f"state IN ({_sql_list(get_args(PaymentState))})", name="state"),
        CheckConstraint(
            "state NOT IN ('captured', 'refunded') OR (captured_at IS NOT NULL AND provider_ref IS NOT NULL)",
            name="reference_when_captured",
        ),
        CheckConstraint("(state = 'refunded') = (refunded_at IS NOT NULL)", name="refunded_at_when_refunded"),
        CheckConstraint("state NOT IN ('declined', 'cancelled') OR reason IS NOT NULL", name="reason_when_over"),
        Index("uq_payment_key", "idempotency_key", unique=True),
        Index(
            "uq_payment_live_order", "tenant_id", "order_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
        Index(
            "uq_payment_live_quote", "tenant_id", "quote_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE
        ),
        Index("uq_payment_request", "tenant_id", "request_id", unique=True, sqlite_where=_LIVE, postgresql_where=_LIVE),
        Index("ix_payment_customer", "tenant_id", "customer_id"),
        Index("ix_payment_provider_ref", "tenant_id", "provider", "provider_ref"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    order_id: Mapped[int | None] = mapped_column(Identity)
    quote_id: Mapped[int | None] = mapped_column(Identity)
    customer_id: Mapped[Reference]
    amount_minor: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(String(3))
    method: Mapped[PaymentMethod] = mapped_column(Text)
    provider: Mapped[str] = mapped_column(Text)
    state: Mapped[PaymentState] = mapped_column(Text)
    provider_ref: Mapped[str | None] = mapped_column(Text)
    idempotency_key: Mapped[str] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
    action_url: Mapped[str | None] = mapped_column(Text)
    settled_by: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    requested_at: Mapped[datetime]
    asked_at: Mapped[datetime | None]
    captured_at: Mapped[datetime | None]
    refund_asked_at: Mapped[datetime | None]
    refunded_at: Mapped[datetime | None]
    attempts: Mapped[int] = mapped_column(default=0)


class PaymentAttempt(ProvisioningBase):
    """One talk with a gateway about a payment: written before it begins, closed with what the gateway said.

    An attempt that was never closed is a process that died in it: its outcome is not known.
    """

    __tablename__ = "payment_attempt"
    __table_args__ = (
        ForeignKeyConstraint(("payment_id",), ("payment.id",)),
        CheckConstraint(f"kind IN ({_sql_list(get_args(AttemptKind))})", name="kind"),
        CheckConstraint(f"outcome IN ({_sql_list(get_args(AttemptOutcome))})", name="outcome"),
        CheckConstraint("(ended_at IS NULL) = (outcome IS NULL)", name="outcome_when_ended"),
        Index("uq_payment_attempt_number", "payment_id", "number", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    payment_id: Mapped[Reference]
    number: Mapped[int]
    kind: Mapped[AttemptKind] = mapped_column(Text)
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[AttemptOutcome | None] = mapped_column(Text)
    reply: Mapped[str | None] = mapped_column(Text)


class PaymentEvent(ProvisioningBase):
    """What a gateway told by itself, once however often it says so.

    *applied*: the payment's state is what it says. *late*: the state had gone beyond it. *surplus*: money was taken for
    a payment that is over. *mismatch*: another amount was taken than was asked for.
    """

    __tablename__ = "payment_event"
    __table_args__ = (
        ForeignKeyConstraint(("payment_id",), ("payment.id",)),
        CheckConstraint(f"outcome IN ({_sql_list(get_args(EventOutcome))})", name="outcome"),
        Index("uq_payment_event", "tenant_id", "provider", "event_id", unique=True),
        Index("ix_payment_event_payment", "payment_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    payment_id: Mapped[Reference]
    provider: Mapped[str] = mapped_column(Text)
    event_id: Mapped[str] = mapped_column(Text)
    type: Mapped[str] = mapped_column(Text)
    occurred_at: Mapped[datetime]
    received_at: Mapped[datetime]
    outcome: Mapped[EventOutcome] = mapped_column(Text)
    reason: Mapped[str | None] = mapped_column(Text)
