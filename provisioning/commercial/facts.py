"""What billing must know of the sales side, and no more: narrow facts of offers, quotes, orders and customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol


@dataclass(frozen=True)
class OfferFacts:
    """What can be subscribed to. ``plan`` is the network plan that it needs a line for; None: hosted, no line.

    ``price_minor`` is due every ``billing_period_months``; ``term_months`` None: until further notice.
    """

    offer_id: int
    plan: str | None
    title: str
    price_minor: int
    currency: str
    billing_period_months: int
    term_months: int | None


@dataclass(frozen=True)
class QuoteFacts:
    """A quote; ``subscription_id`` and ``renewal_term_months`` are a renewal's."""

    quote_id: int
    customer_id: int
    subscription_id: int | None
    total_minor: int
    currency: str
    state: str
    renewal_term_months: int | None


@dataclass(frozen=True)
class OrderFacts:
    """An order, in TM Forum's states."""

    order_id: int
    customer_id: int
    total_minor: int
    currency: str
    payment_terms: Literal["prepaid", "postpaid"]
    state: str


class SalesFacts(Protocol):
    """The sales side, read in the caller's transaction. None: there is no such thing."""

    async def offer(self, offer_id: int) -> OfferFacts | None: ...

    async def quote(self, quote_id: int) -> QuoteFacts | None: ...

    async def order(self, order_id: int) -> OrderFacts | None: ...

    async def customer_withdrawn(self, customer_id: int) -> bool:
        """Whether this customer has been taken back and buys nothing any more."""
        ...

    async def open_terminations(self, customer_id: int, service_id: int) -> list[int]:
        """The runs that end this service, now or on a day ahead."""
        ...
