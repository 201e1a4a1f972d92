"""What the commercial services answer: the contract's keys and types, and ours beside them.

Amounts stand twice: as a Decimal with the currency's own number of decimals, and in minor units (``*_minor``).
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Literal

from typing_extensions import TypedDict

PaymentTerms = Literal["prepaid", "postpaid"]
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
    valid_until: datetime
    state: Literal["sent", "accepted"]


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
