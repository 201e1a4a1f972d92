"""``/quotes``: what customers are offered, until when, and what they said to it."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import Query, Response

from provisioning.api import InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of, one_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from workflows.answers import QuoteState

ON_A_PAGE = 50
STATES: tuple[QuoteState, ...] = get_args(QuoteState)

doors = ConsoleDoors(name="quotes")

Word = Annotated[str, Query(max_length=30)]


@doors.page("/quotes", permission="quotes.read")
async def quotes(call: InCall, state: Word = "", customer: Word = "", after: After = None) -> Response:
    """Quotes, the newest first."""
    found = await call.appliance.quotes(call.db).quotes(
        state=one_of(STATES, state), customer_id=read_customer(customer), before_id=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [quote["quote_id"] for quote in found], ON_A_PAGE)
    return show(
        call,
        "quotes.html.j2",
        "Quotes",
        quotes=page.items,
        names=await names_of(call, [quote["customer_id"] for quote in page.items]),
        next=page.next,
        states=STATES,
        wanted={"state": state, "customer": customer},
    )


@doors.page("/quotes/{quote_id}", permission="quotes.read")
async def quote(call: InCall, quote_id: Number) -> Response:
    """One quote: what is offered at which price, and how it stands."""
    found = await call.appliance.quotes(call.db).quote(quote_id)
    names = await names_of(call, [found["customer_id"]])
    return show(call, "quote.html.j2", f"Quote {quote_id}", quote=found, names=names)
