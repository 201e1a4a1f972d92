"""What must always be true of leads, quotes and orders, asked of the database. An empty answer is the good one."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.money import DECIMALS, in_words
from provisioning.commercial.selling.selling_tables import (
    ENDED_ORDERS,
    Lead,
    Quote,
    QuoteLine,
    SalesOrder,
    SalesOrderLine,
)
from provisioning.commercial.tables import Customer


@dataclass(frozen=True)
class TwiceOrderedQuote:
    """One acceptance, several orders."""

    quote_id: int
    order_ids: tuple[int, ...]

    @property
    def subject(self) -> str:
        return f"quote {self.quote_id}"

    @property
    def sentence(self) -> str:
        numbers = ", ".join(map(str, self.order_ids))
        return f"Quote {self.quote_id} is ordered {len(self.order_ids)} times (orders {numbers})."


@dataclass(frozen=True)
class OrderWithoutAcceptance:
    """Something is delivered that nobody has agreed to."""

    order_id: int
    quote_id: int
    quote_state: str

    @property
    def subject(self) -> str:
        return f"order {self.order_id}"

    @property
    def sentence(self) -> str:
        return f"Order {self.order_id} rests on quote {self.quote_id}, which is {self.quote_state}, not accepted."


@dataclass(frozen=True)
class WrongTotal:
    """A quote or an order that says another sum than its lines."""

    what: str
    number: int
    total_minor: int
    lines_minor: int
    currency: str
    whose_lines: str

    @property
    def subject(self) -> str:
        return f"{self.what} {self.number}"

    @property
    def sentence(self) -> str:
        said, true = (_amount(minor, self.currency) for minor in (self.total_minor, self.lines_minor))
        return f"{self.what.capitalize()} {self.number} says {said}, but {self.whose_lines} come to {true}."


@dataclass(frozen=True)
class LeadWithoutCustomer:
    """A converted lead whose customer isn't there."""

    lead_id: int
    customer_id: int | None
    customer_state: str | None

    @property
    def subject(self) -> str:
        return f"lead {self.lead_id}"

    @property
    def sentence(self) -> str:
        if self.customer_id is None:
            return f"Lead {self.lead_id} is converted, but doesn't say to which customer."
        how = f"is {self.customer_state}" if self.customer_state else "isn't registered"
        return f"Lead {self.lead_id} is converted, but its customer {self.customer_id} {how}."


async def twice_ordered_quotes(db: AsyncSession, tenant_id: str) -> list[TwiceOrderedQuote]:
    """Quotes with more than one order that isn't cancelled or failed."""
    live = (SalesOrder.tenant_id == tenant_id, SalesOrder.state.not_in(ENDED_ORDERS))
    doubled = select(SalesOrder.quote_id).where(*live).group_by(SalesOrder.quote_id).having(func.count() > 1)
    found = await db.execute(
        select(SalesOrder.quote_id, SalesOrder.id)
        .where(*live, SalesOrder.quote_id.in_(doubled))
        .order_by(SalesOrder.quote_id, SalesOrder.id)
    )
    orders: dict[int, tuple[int, ...]] = {}
    for quote_id, order_id in found:
        orders[quote_id] = (*orders.get(quote_id, ()), order_id)
    return [TwiceOrderedQuote(*each) for each in orders.items()]


async def orders_without_acceptance(db: AsyncSession, tenant_id: str) -> list[OrderWithoutAcceptance]:
    """Orders, cancelled and failed ones apart, whose quote isn't accepted."""
    found = await db.execute(
        select(SalesOrder.id, Quote.id, Quote.state)
        .join(Quote, Quote.id == SalesOrder.quote_id)
        .where(SalesOrder.tenant_id == tenant_id, SalesOrder.state.not_in(ENDED_ORDERS), Quote.state != "accepted")
        .order_by(SalesOrder.id)
    )
    return [OrderWithoutAcceptance(*row) for row in found]


async def wrong_totals(db: AsyncSession, tenant_id: str) -> list[WrongTotal]:
    """Quotes whose total isn't the sum of their lines, orders whose total isn't that of their own lines, or of their
    quote's."""
    quoted = select(QuoteLine.quote_id, func.sum(QuoteLine.amount_minor).label("sum")).group_by(QuoteLine.quote_id)
    ordered = select(SalesOrderLine.order_id, func.sum(SalesOrderLine.amount_minor).label("sum")).group_by(
        SalesOrderLine.order_id
    )
    of_quote, of_order = quoted.subquery(), ordered.subquery()
    comparisons = (
        ("quote", "its lines", Quote, of_quote, Quote.id == of_quote.c.quote_id),
        ("order", "its lines", SalesOrder, of_order, SalesOrder.id == of_order.c.order_id),
        ("order", "its quote's lines", SalesOrder, of_quote, SalesOrder.quote_id == of_quote.c.quote_id),
    )
    wrong = []
    for what, whose, table, sums, joined in comparisons:
        lines = func.coalesce(sums.c.sum, 0)
        found = await db.execute(
            select(table.id, table.total_minor, lines, table.currency)
            .outerjoin(sums, joined)
            .where(table.tenant_id == tenant_id, table.total_minor != lines)
            .order_by(table.id)
        )
        wrong += [
            WrongTotal(what, number, total, int(of_lines), currency, whose)
            for number, total, of_lines, currency in found
        ]
    return wrong


async def leads_without_customer(db: AsyncSession, tenant_id: str) -> list[LeadWithoutCustomer]:
    """Converted leads whose customer is missing or was withdrawn."""
    found = await db.execute(
        select(Lead.id, Lead.customer_id, Customer.state)
        .outerjoin(Customer, (Customer.tenant_id == Lead.tenant_id) & (Customer.id == Lead.customer_id))
        .where(
            Lead.tenant_id == tenant_id,
            Lead.state == "converted",
            func.coalesce(Customer.state, "missing") != "active",
        )
        .order_by(Lead.id)
    )
    return [LeadWithoutCustomer(*row) for row in found]


def _amount(minor: int, currency: str) -> str:
    """Also of a row that somebody has spoilt."""
    return in_words(minor, currency) if currency in DECIMALS and minor >= 0 else f"{minor} minor units of {currency}"
