"""sales_service: the orders that accepted quotes become, in TMF622's words.

acknowledged --> inProgress --> completed
      |              |---> failed
      +--------------+---> cancelled

A quote has one order at a time: what was cancelled, or has failed, stays as history and is no longer in the way.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Select, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.customers.customer_rows import active_customer
from provisioning.commercial.money import to_decimal
from provisioning.commercial.selling.quote_errors import (
    OrderCancelled,
    OrderOver,
    OrderUnknown,
    QuoteNotAccepted,
    QuoteOfRenewal,
)
from provisioning.commercial.selling.quote_rows import lines_of_quote, lock_quote
from provisioning.commercial.selling.selling_tables import ENDED_ORDERS, Quote, SalesOrder, SalesOrderLine
from provisioning.commercial.selling.sold_lines import LineRecord, as_line
from provisioning.commercial.tables import Customer
from provisioning.errors import ChangeRaced, RequestConflict, TenantMismatch
from provisioning.intake import Clock, Faults
from workflows.answers import OrderedLine, OrderFromQuote, OrderState, PaymentTerms

LONGEST_REASON = 500
ALLOWED: dict[OrderState, frozenset[OrderState]] = {
    "acknowledged": frozenset({"inProgress", "completed", "cancelled", "failed"}),
    "inProgress": frozenset({"completed", "cancelled", "failed"}),
    "completed": frozenset(),
    "cancelled": frozenset(),
    "failed": frozenset(),
}


class OrderRecord(TypedDict):
    order_id: int
    quote_id: int
    customer_id: int
    currency: str
    total_minor: int
    payment_terms: PaymentTerms
    state: OrderState
    ordered_at: datetime
    ended_at: datetime | None
    reason: str | None


class OrderWithLines(OrderRecord):
    lines: list[LineRecord]


class SalesService:
    """Makes orders and follows them to their end. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def create_order_from_quote(
        self, *, quote_id: int, tenant_id: str, request_id: str | None = None
    ) -> OrderFromQuote:
        """The order of an accepted quote, with its lines as they were quoted. Ordering twice is the same order.

        Raises: InvalidRequest, TenantMismatch, QuoteUnknown, QuoteNotAccepted, QuoteOfRenewal, OrderCancelled (made by
        this request, and over since), CustomerWithdrawn, RequestConflict, ChangeRaced.
        """
        faults = Faults("The order")
        number = faults.number("quote_id", quote_id)
        request = faults.request_id(request_id)
        faults.refuse_if_any()
        if tenant_id != self._tenant_id:
            raise TenantMismatch(tenant_id, self._tenant_id)
        quote = await lock_quote(self._db, self._tenant_id, number)
        if (order := await self._ordered(quote, request)) is not None:
            return await self._answer(order)
        if quote.kind == "renewal":
            raise QuoteOfRenewal(quote.id, quote.subscription_id)
        if quote.state != "accepted":
            raise QuoteNotAccepted(quote.id, quote.state)
        await active_customer(self._db, self._tenant_id, quote.customer_id)
        try:
            return await self._answer(await self._insert(quote, request))
        except IntegrityError as exc:
            if (order := await self._ordered(quote, request)) is not None:
                return await self._answer(order)
            raise ChangeRaced from exc

    async def begin_order(self, *, order_id: int) -> OrderRecord:
        """Somebody works on it. Raises: OrderUnknown, OrderOver."""
        return await self._move(order_id, "inProgress")

    async def complete_order(self, *, order_id: int) -> OrderRecord:
        """All of it is delivered. Completing twice is the same. Raises: OrderUnknown, OrderOver."""
        return await self._move(order_id, "completed")

    async def fail_order(self, *, order_id: int, reason: str) -> OrderRecord:
        """It can't be delivered. Raises: InvalidRequest, OrderUnknown, OrderOver."""
        return await self._move(order_id, "failed", _reason(reason))

    async def cancel_order(self, *, order_id: int, reason: str) -> OrderRecord:
        """Undo of ``create_order_from_quote``: the order stays as history, and its quote may be ordered anew. Undoing
        twice is the same undo, and an order that has failed by itself stays so.

        Raises: InvalidRequest, OrderUnknown, OrderOver (completed).
        """
        return await self._move(order_id, "cancelled", _reason(reason))

    async def order(self, order_id: int) -> OrderWithLines:
        """Raises: OrderUnknown."""
        row = await self._db.scalar(self._of(order_id))
        if row is None:
            raise OrderUnknown(order_id)
        lines = await self._db.scalars(
            select(SalesOrderLine).where(SalesOrderLine.order_id == order_id).order_by(SalesOrderLine.position)
        )
        return OrderWithLines(**_record(row), lines=[as_line(line) for line in lines])

    async def order_lines(self, *, order_id: int) -> list[OrderedLine]:
        """What was ordered, in the order's own lines. Raises: OrderUnknown."""
        return [OrderedLine(**line) for line in (await self.order(order_id))["lines"]]

    async def orders(
        self,
        *,
        state: OrderState | None = None,
        customer_id: int | None = None,
        before_id: int | None = None,
        limit: int = 50,
    ) -> Sequence[OrderRecord]:
        """The newest first, a page at a time (``before_id``)."""
        query = (
            select(SalesOrder)
            .where(SalesOrder.tenant_id == self._tenant_id)
            .order_by(SalesOrder.id.desc())
            .limit(limit)
        )
        if state is not None:
            query = query.where(SalesOrder.state == state)
        if customer_id is not None:
            query = query.where(SalesOrder.customer_id == customer_id)
        if before_id is not None:
            query = query.where(SalesOrder.id < before_id)
        return [_record(row) for row in await self._db.scalars(query)]

    async def _ordered(self, quote: Quote, request_id: str | None) -> SalesOrder | None:
        """The order that this request has made, or else the one that the quote has."""
        mine = (
            select(SalesOrder).where(SalesOrder.tenant_id == self._tenant_id).execution_options(populate_existing=True)
        )
        if request_id is not None:
            order = await self._db.scalar(mine.where(SalesOrder.request_id == request_id))
            if order is not None:
                if order.quote_id != quote.id:
                    raise RequestConflict(request_id, f"order {order.id}")
                if order.state in ENDED_ORDERS:
                    raise OrderCancelled(order.id, order.state, order.reason)
                return order
        found: SalesOrder | None = await self._db.scalar(
            mine.where(SalesOrder.quote_id == quote.id, SalesOrder.state.not_in(ENDED_ORDERS))
        )
        return found

    async def _insert(self, quote: Quote, request_id: str | None) -> SalesOrder:
        lines = await lines_of_quote(self._db, quote.id)
        async with self._db.begin_nested():
            row: SalesOrder | None = await self._db.scalar(
                insert(SalesOrder)
                .values(
                    tenant_id=self._tenant_id,
                    quote_id=quote.id,
                    customer_id=quote.customer_id,
                    currency=quote.currency,
                    total_minor=sum(line.amount_minor for line in lines),
                    payment_terms=quote.payment_terms,
                    state="acknowledged",
                    ordered_at=self._now(),
                    request_id=request_id,
                )
                .returning(SalesOrder)
            )
            assert row is not None
            await self._db.execute(
                insert(SalesOrderLine),
                [
                    {"tenant_id": self._tenant_id, "order_id": row.id, "position": line.position, **as_line(line)}
                    for line in lines
                ],
            )
        return row

    async def _move(self, order_id: int, state: OrderState, reason: str | None = None) -> OrderRecord:
        row = await self._db.scalar(self._of(order_id).with_for_update())
        if row is None:
            raise OrderUnknown(order_id)
        if row.state == state or (row.state in ENDED_ORDERS and state == "cancelled"):
            return _record(row)
        if state not in ALLOWED[row.state]:
            raise OrderOver(order_id, row.state, state)
        row.state, row.reason = state, reason
        if not ALLOWED[state]:
            row.ended_at = self._now()
        await self._db.flush()  # a later question in this transaction must find it there
        return _record(row)

    def _of(self, order_id: int) -> Select[SalesOrder]:
        return (
            select(SalesOrder)
            .where(SalesOrder.tenant_id == self._tenant_id, SalesOrder.id == order_id)
            .execution_options(populate_existing=True)
        )

    async def _answer(self, row: SalesOrder) -> OrderFromQuote:
        customer = await self._db.get(Customer, (self._tenant_id, row.customer_id))
        assert customer is not None, "an order has its customer, by foreign key"
        return OrderFromQuote(
            order_id=row.id,
            quote_id=row.quote_id,
            customer_id=row.customer_id,
            customer_email=customer.email,
            total_amount=to_decimal(row.total_minor, row.currency),
            total_minor=row.total_minor,
            currency=row.currency,
            state=row.state,
            payment_terms=row.payment_terms,
        )


def _reason(reason: str) -> str:
    faults = Faults("The end of the order")
    why = faults.line("reason", reason, longest=LONGEST_REASON)
    faults.refuse_if_any()
    return why


def _record(row: SalesOrder) -> OrderRecord:
    return OrderRecord(
        order_id=row.id,
        quote_id=row.quote_id,
        customer_id=row.customer_id,
        currency=row.currency,
        total_minor=row.total_minor,
        payment_terms=row.payment_terms,
        state=row.state,
        ordered_at=row.ordered_at,
        ended_at=row.ended_at,
        reason=row.reason,
    )
