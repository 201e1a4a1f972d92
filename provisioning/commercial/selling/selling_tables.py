"""What is sold and to whom: offers, leads, quotes with their lines, and the orders that accepted quotes become.

An offer's number is the ISP's own (the contract calls it ``plan_id``), so it is unique per tenant. Amounts are minor
units of the row's currency; a total is written together with the lines that it sums, and neither changes afterwards.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Literal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.tables import OF_A_CUSTOMER
from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId
from workflows.answers import OrderState, PaymentTerms, QuoteState

LeadState = Literal["new", "qualified", "converted", "disqualified"]
QuoteKind = Literal["new", "renewal"]
Charge = Literal["recurring", "once"]

ENDED_ORDERS: tuple[OrderState, ...] = ("cancelled", "failed")
"""States of an order that leave its quote free for another one."""

OF_AN_OFFER = ("tenant_id", "offer_id"), ("offer.tenant_id", "offer.id")
PAYMENT_TERMS = "payment_terms IN ('prepaid', 'postpaid')"
OPEN_RENEWAL = "kind = 'renewal' AND state IN ('draft', 'sent', 'accepted')"
LIVE_ORDER = "state NOT IN ('cancelled', 'failed')"
NEW_CUSTOMER = "state = 'converted' AND existing_customer_id IS NULL"

MinorUnits = Annotated[int, mapped_column(BigInteger)]
Currency = Annotated[str, mapped_column(String(3))]


class Offer(ProvisioningBase):
    """Something the ISP sells: a network plan at a price, or (without ``plan``) anything else."""

    __tablename__ = "offer"
    __table_args__ = (
        CheckConstraint(PAYMENT_TERMS, name="payment_terms"),
        CheckConstraint("price_minor >= 0 AND setup_fee_minor >= 0", name="prices"),
        CheckConstraint("billing_period_months > 0 AND term_months % billing_period_months = 0", name="periods"),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    title: Mapped[str] = mapped_column(Text)
    plan: Mapped[str | None] = mapped_column(Text)
    price_minor: Mapped[MinorUnits]  # per billing period
    currency: Mapped[Currency]
    billing_period_months: Mapped[int]
    setup_fee_minor: Mapped[MinorUnits]
    term_months: Mapped[int]
    license_template_id: Mapped[int | None] = mapped_column(Identity)
    payment_terms: Mapped[PaymentTerms] = mapped_column(Text)
    active: Mapped[bool]


class Lead(ProvisioningBase):
    """Somebody who may become a customer. ``existing_customer_id``: who is one already and wants more."""

    __tablename__ = "lead"
    __table_args__ = (
        Index("ix_lead_newest", "tenant_id", "id"),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("tenant_id", "existing_customer_id"), ("customer.tenant_id", "customer.id")),
        ForeignKeyConstraint(*OF_AN_OFFER),
        CheckConstraint("state IN ('new', 'qualified', 'converted', 'disqualified')", name="state"),
        CheckConstraint("(state = 'converted') = (customer_id IS NOT NULL)", name="customer_when_converted"),
        CheckConstraint("state NOT IN ('qualified', 'converted') OR qualified_at IS NOT NULL", name="qualified_first"),
        CheckConstraint("state <> 'disqualified' OR reason IS NOT NULL", name="reason_when_disqualified"),
        Index("uq_lead_request", "tenant_id", "request_id", unique=True),
        Index("uq_lead_conversion_request", "tenant_id", "conversion_request_id", unique=True),
        # Two leads of one address, converted at once, must not become two customers.
        Index(
            "uq_lead_new_customer_email",
            "tenant_id",
            "email_key",
            unique=True,
            sqlite_where=text(NEW_CUSTOMER),
            postgresql_where=text(NEW_CUSTOMER),
        ),
        Index("ix_lead_state", "tenant_id", "state", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    source: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    company: Mapped[str | None] = mapped_column(Text)
    email: Mapped[str] = mapped_column(Text)
    email_key: Mapped[str] = mapped_column(Text)  # the address in lower case: mailboxes tell no case apart
    phone: Mapped[str | None] = mapped_column(Text)
    language: Mapped[str | None] = mapped_column(Text)
    address: Mapped[str | None] = mapped_column(Text)
    service_location: Mapped[str | None] = mapped_column(Text)
    offer_id: Mapped[int | None] = mapped_column(Identity)
    existing_customer_id: Mapped[int | None] = mapped_column(Identity)
    state: Mapped[LeadState] = mapped_column(Text)
    registered_at: Mapped[datetime]
    qualified_at: Mapped[datetime | None]
    customer_id: Mapped[int | None] = mapped_column(Identity)
    reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    conversion_request_id: Mapped[str | None] = mapped_column(Text)  # kept when the conversion is taken back


class SoldLine:
    """One line of a quote or an order: so many of this, at so much each."""

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    position: Mapped[int]
    offer_id: Mapped[int | None] = mapped_column(Identity)
    description: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int]
    unit_price_minor: Mapped[MinorUnits]
    charge: Mapped[Charge] = mapped_column(Text)
    amount_minor: Mapped[MinorUnits]


def _line_rules() -> tuple[CheckConstraint, ...]:
    return (
        CheckConstraint("charge IN ('recurring', 'once')", name="charge"),
        CheckConstraint("quantity > 0 AND unit_price_minor >= 0", name="positive"),
        CheckConstraint("amount_minor = quantity * unit_price_minor", name="amount"),
    )


class Quote(ProvisioningBase):
    """What a customer is offered, until when. A renewal's ``renews_from`` is the end of the term it follows on."""

    __tablename__ = "quote"
    __table_args__ = (
        Index("ix_quote_newest", "tenant_id", "id"),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("subscription_id",), ("subscription.id",)),
        CheckConstraint(PAYMENT_TERMS, name="payment_terms"),
        CheckConstraint("kind IN ('new', 'renewal')", name="kind"),
        CheckConstraint("state IN ('draft', 'sent', 'accepted', 'withdrawn', 'expired')", name="state"),
        CheckConstraint(
            "(kind = 'renewal') = (subscription_id IS NOT NULL) AND (kind = 'renewal') = (renews_from IS NOT NULL)"
            " AND (kind = 'renewal') = (renewal_term_months IS NOT NULL)",
            name="renewal",
        ),
        CheckConstraint(
            "(state = 'accepted') = (accepted_at IS NOT NULL) AND (state = 'accepted') = (accepted_by IS NOT NULL)",
            name="accepted",
        ),
        CheckConstraint("total_minor >= 0", name="total"),
        Index("uq_quote_request", "tenant_id", "request_id", unique=True),
        Index("uq_quote_acceptance_request", "tenant_id", "acceptance_request_id", unique=True),
        # One term is renewed once; an accepted renewal stays in the way until its term has been added.
        Index(
            "uq_quote_open_renewal",
            "tenant_id",
            "subscription_id",
            "renews_from",
            unique=True,
            sqlite_where=text(OPEN_RENEWAL),
            postgresql_where=text(OPEN_RENEWAL),
        ),
        Index("ix_quote_state", "tenant_id", "state", "id"),
        Index("ix_quote_customer", "tenant_id", "customer_id", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    customer_id: Mapped[Reference]
    kind: Mapped[QuoteKind] = mapped_column(Text)
    subscription_id: Mapped[int | None] = mapped_column(Identity)
    renewal_term_months: Mapped[int | None]
    renews_from: Mapped[date | None]
    currency: Mapped[Currency]
    total_minor: Mapped[MinorUnits]
    payment_terms: Mapped[PaymentTerms] = mapped_column(Text)
    valid_until: Mapped[datetime]
    state: Mapped[QuoteState] = mapped_column(Text)
    drafted_at: Mapped[datetime]
    sent_at: Mapped[datetime | None]
    accepted_at: Mapped[datetime | None]
    accepted_by: Mapped[str | None] = mapped_column(Text)
    acceptances: Mapped[int]  # how often it was accepted, those taken back included
    reason: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int]  # one more at every change
    wish_digest: Mapped[str] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
    acceptance_request_id: Mapped[str | None] = mapped_column(Text)  # kept when the acceptance is taken back


class QuoteLine(SoldLine, ProvisioningBase):
    """One line of a quote."""

    __tablename__ = "quote_line"
    __table_args__ = (
        ForeignKeyConstraint(("quote_id",), ("quote.id",)),
        ForeignKeyConstraint(*OF_AN_OFFER),
        *_line_rules(),
        Index("uq_quote_line_position", "quote_id", "position", unique=True),
    )

    quote_id: Mapped[Reference]


class SalesOrder(ProvisioningBase):
    """An accepted quote in the making. A quote has one order at a time."""

    __tablename__ = "sales_order"
    __table_args__ = (
        Index("ix_sales_order_newest", "tenant_id", "id"),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("quote_id",), ("quote.id",)),
        CheckConstraint(PAYMENT_TERMS, name="payment_terms"),
        CheckConstraint("state IN ('acknowledged', 'inProgress', 'completed', 'cancelled', 'failed')", name="state"),
        CheckConstraint(
            "(state IN ('completed', 'cancelled', 'failed')) = (ended_at IS NOT NULL)", name="ended_at_when_ended"
        ),
        CheckConstraint("total_minor >= 0", name="total"),
        Index(
            "uq_sales_order_live_quote",
            "tenant_id",
            "quote_id",
            unique=True,
            sqlite_where=text(LIVE_ORDER),
            postgresql_where=text(LIVE_ORDER),
        ),
        Index("uq_sales_order_request", "tenant_id", "request_id", unique=True),
        Index("ix_sales_order_state", "tenant_id", "state", "id"),
        Index("ix_sales_order_customer", "tenant_id", "customer_id", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    quote_id: Mapped[Reference]
    customer_id: Mapped[Reference]
    currency: Mapped[Currency]
    total_minor: Mapped[MinorUnits]
    payment_terms: Mapped[PaymentTerms] = mapped_column(Text)
    state: Mapped[OrderState] = mapped_column(Text)
    ordered_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)


class SalesOrderLine(SoldLine, ProvisioningBase):
    """One line of an order, as it stood in the quote."""

    __tablename__ = "sales_order_line"
    __table_args__ = (
        ForeignKeyConstraint(("order_id",), ("sales_order.id",)),
        ForeignKeyConstraint(*OF_AN_OFFER),
        *_line_rules(),
        Index("uq_sales_order_line_position", "order_id", "position", unique=True),
    )

    order_id: Mapped[Reference]
