"""What comes of leads, quotes, orders, subscriptions and payments.

Amounts stand twice: as a Decimal with the currency's own number of decimals, and in minor units (``*_minor``).
"""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import Literal

from typing_extensions import TypedDict

PaymentTerms = Literal["prepaid", "postpaid"]
QuoteState = Literal["draft", "sent", "accepted", "withdrawn", "expired"]
OrderState = Literal["acknowledged", "inProgress", "completed", "cancelled", "failed"]
"""TMF622's words for a product order's state."""


class CustomerFromLead(TypedDict):
    """The customer whom a lead has become."""

    customer_id: int
    name: str
    email: str
    phone: str | None
    lead_id: int


class AcceptedQuote(TypedDict):
    """A quote that its customer has accepted, and who did so first."""

    quote_id: int
    customer_id: int
    state: Literal["accepted"]
    accepted_at: datetime
    accepted_by: str
    total_amount: Decimal
    total_minor: int
    currency: str
    payment_terms: PaymentTerms


class RenewalQuote(TypedDict):
    """An offer to go on: open for acceptance, or (asked again) accepted since."""

    quote_id: int
    customer_id: int
    subscription_id: int
    renewal_term_months: int
    total_amount: Decimal
    total_minor: int
    currency: str
    payment_terms: PaymentTerms
    valid_until: datetime
    state: Literal["sent", "accepted"]


class QuoteStanding(TypedDict):
    """Where a quote stands now; ``reason`` is why it was withdrawn or has ended."""

    quote_id: int
    state: QuoteState
    accepted_at: datetime | None
    accepted_by: str | None
    reason: str | None


class OrderedLine(TypedDict):
    """One line of an order: so many of this, and what they come to.

    ``offer_id`` None: it is in words only. ``charge``: due once, or recurring with every billing period.
    """

    offer_id: int | None
    description: str
    quantity: int
    unit_price_minor: int
    charge: Literal["recurring", "once"]
    amount_minor: int


class OrderFromQuote(TypedDict):
    """The order that an accepted quote has become."""

    order_id: int
    quote_id: int
    customer_id: int
    customer_email: str
    total_amount: Decimal
    total_minor: int
    currency: str
    state: OrderState
    payment_terms: PaymentTerms


SubscriptionState = Literal["pending_installation", "active", "cancelled"]
PaymentMethod = Literal["invoice", "cash", "bank", "card"]
PaymentState = Literal[
    "requested", "unknown", "requires_action", "awaiting", "captured", "declined", "cancelled", "refunded"
]
NotRenewable = Literal[
    "cancelled",
    "customer_withdrawn",
    "no_end_date",
    "not_started",
    "already_renewed",
    "too_early",
    "to_be_ended",
    "open_debt",
]


class CreatedSubscription(TypedDict):
    """What a customer subscribed to. ``plan`` is the network plan, or the offer's title where it needs no line.

    ``price_minor`` is due per billing period of the offer. The term is ``starts_on`` up to, not including, ``ends_on``;
    neither is known before a line is installed, and an offer without a term has no end.
    """

    subscription_id: int
    customer_id: int
    plan_id: int
    plan: str
    state: SubscriptionState
    term_months: int | None
    starts_on: date | None
    ends_on: date | None
    price_minor: int
    currency: str


class RenewalEligibility(TypedDict):
    """Whether a subscription can be renewed now; if not, ``reason`` is a sentence and ``reason_code`` a fixed word.

    ``plan``: as in ``CreatedSubscription``; None for a bill that was never sold as an offer.
    """

    eligible: bool
    reason: str | None
    reason_code: NotRenewable | None
    subscription_id: int
    customer_id: int
    plan: str | None
    ends_on: date | None
    renewal_term_months: int | None


class ExtendedSubscription(TypedDict):
    """A term that was made longer by calendar months: ``extended_from`` up to, not including, ``ends_on``."""

    extension_id: int
    subscription_id: int
    customer_id: int
    extended_from: date
    ends_on: date
    extension_months: int


class EndedBilling(TypedDict):
    """A bill that has ended with its service, and when."""

    subscription_id: int
    service_id: int
    customer_id: int
    billing_started_at: datetime
    billing_stopped_at: datetime
    reason: str


class RequestedPayment(TypedDict):
    """A payment that is to be taken. ``idempotency_key`` is what its gateway knows it by, for ever."""

    payment_id: int
    order_id: int | None
    quote_id: int | None
    customer_id: int
    amount: Decimal
    amount_minor: int
    currency: str
    payment_method: PaymentMethod
    provider: str
    state: PaymentState
    idempotency_key: str


class PaymentOutcome(TypedDict):
    """Where a payment stands. ``reference`` is the gateway's number or the settlement's, ``reason`` why it was declined
    or taken back."""

    payment_id: int
    state: PaymentState
    reference: str | None
    reason: str | None
    captured_at: datetime | None


class PaymentSettled(TypedDict):
    """What a run that waits for ``payment_settled`` is told."""

    state: PaymentState
    reference: str | None
