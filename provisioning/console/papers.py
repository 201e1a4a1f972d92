"""``/quotes`` and ``/orders``: what customers are offered, until when, and what they said to it; what they have bought,
and how far that is. The amounts of an order belong to it for whoever may read orders, dispatch as well, while payments
are shown to who may read those."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any, TypeVar, get_args

from fastapi import Query, Response

from provisioning.api import Call, InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial.payments import list_payments
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of, one_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from workflows.answers import OrderState, QuoteState

ON_A_PAGE = 50
MOST_PAYMENTS = 10
QUOTE_STATES: tuple[QuoteState, ...] = get_args(QuoteState)
ORDER_STATES: tuple[OrderState, ...] = get_args(OrderState)

quote_doors, order_doors = ConsoleDoors(name="quotes"), ConsoleDoors(name="orders")

Word = Annotated[str, Query(max_length=30)]
Paper = TypeVar("Paper")
State = TypeVar("State", bound=str)


@quote_doors.page("/quotes", permission="quotes.read")
async def quotes(call: InCall, state: Word = "", customer: Word = "", after: After = None) -> Response:
    """Quotes, the newest first."""
    read = call.appliance.quotes(call.db).quotes
    asked = (QUOTE_STATES, state, customer, after)
    return await _list(call, "quote", read, asked, lambda each: (each["quote_id"], each["customer_id"]))


@quote_doors.page("/quotes/{quote_id}", permission="quotes.read")
async def quote(call: InCall, quote_id: Number) -> Response:
    """One quote: what is offered at which price, and how it stands."""
    found = await call.appliance.quotes(call.db).quote(quote_id)
    return await _one(call, "quote", quote_id, found, found["customer_id"])


@order_doors.page("/orders", permission="orders.read")
async def orders(call: InCall, state: Word = "", customer: Word = "", after: After = None) -> Response:
    """Orders, the newest first."""
    read = call.appliance.sales(call.db).orders
    asked = (ORDER_STATES, state, customer, after)
    return await _list(call, "order", read, asked, lambda each: (each["order_id"], each["customer_id"]))


@order_doors.page("/orders/{order_id}", permission="orders.read")
async def order(call: InCall, order_id: Number) -> Response:
    """One order: what was bought, how it stands, and what was asked for it, for who may see payments."""
    found = await call.appliance.sales(call.db).order(order_id)
    payments = []
    if "payments.read" in call.caller.permissions:
        payments = await list_payments(call.db, tenant_id=call.tenant_id, order_id=order_id, limit=MOST_PAYMENTS)
    return await _one(call, "order", order_id, found, found["customer_id"], payments=payments)


async def _list(
    call: Call,
    noun: str,
    read: Callable[..., Awaitable[Sequence[Paper]]],
    asked: tuple[Sequence[State], str, str, str | None],
    numbers: Callable[[Paper], tuple[int, int]],
) -> Response:
    """``asked``: the states that there are, the one that is wanted, whose, and behind which one. ``numbers``: a paper's
    own and its customer's."""
    states, state, customer, after = asked
    found = await read(
        state=one_of(states, state), customer_id=read_customer(customer), before_id=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [numbers(each)[0] for each in found], ON_A_PAGE)
    return show(
        call,
        f"{noun}s.html.j2",
        f"{noun.capitalize()}s",
        noun=noun,
        papers=page.items,
        names=await names_of(call, [numbers(each)[1] for each in page.items]),
        next=page.next,
        states=states,
        wanted={"state": state, "customer": customer},
    )


async def _one(call: Call, noun: str, number: int, paper: object, customer_id: int, **more: Any) -> Response:
    names = await names_of(call, [customer_id])
    return show(call, f"{noun}.html.j2", f"{noun.capitalize()} {number}", paper=paper, names=names, **more)
