"""``/quotes``: what a customer is offered, and what they say to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field, ValidationError

from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.misfits import as_read
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Moment, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.commercial import LineWish, QuoteRecord, QuoteWithLines
from provisioning.commercial.selling.sold_lines import MOST_LINES
from provisioning.intake import LARGEST_NUMBER
from workflows.answers import AcceptedQuote, DeploymentPriority, PaymentMethod, PaymentTerms, QuoteState
from workflows.definitions.ordering import DayOrMoment

doors = Doors(prefix="/quotes", tags=["quotes"])


class QuoteLineWish(Wish):
    """So many of an offer."""

    offer_id: int = Field(ge=1, le=LARGEST_NUMBER)
    quantity: int = 1


class Draft(Wish):
    """For whom, what, and until when it can be accepted; the terms are the offers' own if left out."""

    customer_id: int
    lines: list[QuoteLineWish] = Field(max_length=MOST_LINES)
    valid_until: Moment
    payment_terms: PaymentTerms | None = None


class Accept(WithReason):
    """Who said yes on the customer's side, and how the order is to be carried out, as far as that is known."""

    accepted_by: str
    payment_method: PaymentMethod | None = None
    scheduled_date: DayOrMoment | None = None
    installation_address: str | None = None
    priority: DeploymentPriority | None = None
    team: str | None = None
    channel: str | None = None


class Withdraw(Wish):
    """Why."""

    reason: str


class Acceptance(Wish):
    """The acceptance, and the runs that were told of it."""

    accepted: AcceptedQuote
    runs: list[int]


async def _misfits_of_draft(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of a quote that is drafted, line by line: one that is malformed hides nothing of the others."""
    said = as_read(Draft, sound)
    body = await call.request.json() if await call.request.body() else None
    lines = body.get("lines") if isinstance(body, dict) else None
    if isinstance(lines, list) and len(lines) <= MOST_LINES:
        said["lines"] = [_line(line) for line in lines]
    found = await call.appliance.quotes(call.db).faults_in(said)
    return [(fault.field, fault.reason) for fault in found]


def _line(said: Any) -> LineWish | None:
    try:
        line = QuoteLineWish.model_validate(said)
    except ValidationError:
        return None
    return LineWish(line.offer_id, line.quantity)


async def _misfits(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of an acceptance, as it names it."""
    number = call.request.path_params["quote_id"]
    said = {name: told for name, told in sound.items() if name in Accept.model_fields and name != "reason"}
    if not (number.isascii() and number.isdecimal()) or int(number) > LARGEST_NUMBER:
        return []
    found = await call.appliance.quote_desk(call.db).faults_in(int(number), said)
    return [(fault.field, fault.reason) for fault in found]


@doors.get("", permission="quotes.read")
async def list_(
    call: InCall,
    state: Annotated[QuoteState | None, Query()] = None,
    customer: Wanted = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[QuoteRecord]:
    """Quotes, the newest first."""
    quotes = call.appliance.quotes(call.db)
    found = await quotes.quotes(state=state, customer_id=customer, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [quote["quote_id"] for quote in found], limit)


@doors.post(
    "", permission="quotes.write", status_code=201, responses={404: problem(WORDS[404])}, misfits=_misfits_of_draft
)
async def draft(call: InCall, wish: Draft, response: Response) -> QuoteWithLines:
    """Writes a quote at today's prices."""
    quote = await call.appliance.quotes(call.db).draft(
        customer_id=wish.customer_id,
        lines=[LineWish(line.offer_id, line.quantity) for line in wish.lines],
        valid_until=wish.valid_until,
        payment_terms=wish.payment_terms,
    )
    response.headers["Location"] = call.address(f"quotes/{quote['quote_id']}")
    _told(call, quote, response)
    return quote


@doors.get("/{quote_id}", permission="quotes.read")
async def show(call: InCall, quote_id: Number, response: Response) -> QuoteWithLines:
    """One quote with its lines; its ETag goes with a decision about it."""
    found = await call.appliance.quotes(call.db).quote(quote_id)
    response.headers["ETag"] = _etag(found)
    return found


@doors.post("/{quote_id}/send", permission="quotes.write", if_match=True)
async def send(call: InCall, quote_id: Number, wish: WithReason, response: Response) -> QuoteRecord:
    """Says that the customer has it, and may accept it from now on."""
    version = await _seen(call, quote_id)
    call.tells(reason=wish.reason)
    return _told(call, await call.appliance.quotes(call.db).send(quote_id=quote_id, version=version), response)


@doors.post("/{quote_id}/withdraw", permission="quotes.write", if_match=True)
async def withdraw(call: InCall, quote_id: Number, wish: Withdraw, response: Response) -> QuoteRecord:
    """Takes back a quote that nobody has accepted."""
    version = await _seen(call, quote_id)
    call.tells(reason=wish.reason)
    quotes = call.appliance.quotes(call.db)
    return _told(call, await quotes.withdraw(quote_id=quote_id, reason=wish.reason, version=version), response)


@doors.post("/{quote_id}/accept", permission="quotes.accept", misfits=_misfits)
async def accept(call: InCall, quote_id: Number, wish: Accept) -> Acceptance:
    """Keeps the customer's yes; the order, or the run that waits for it, starts from that."""
    desk = call.appliance.quote_desk(call.db)
    quote = await call.appliance.quotes(call.db).quote(quote_id)
    call.tells(before=_standing(quote), reason=wish.reason)
    wishes = wish.model_dump(mode="json", exclude={"accepted_by", "reason"}, exclude_none=True)
    accepted, runs = await desk.accept(quote_id=quote_id, accepted_by=wish.accepted_by, wishes=wishes, by=call.by)
    call.tells(subject=f"quote/{quote_id}", customer_id=accepted["customer_id"], run_id=runs[0] if runs else None)
    return Acceptance(accepted=accepted, runs=runs)


async def _seen(call: Call, quote_id: int) -> int:
    """The version that the caller has seen, for the service to insist on."""
    quote = await call.appliance.quotes(call.db).quote(quote_id)
    call.require_match(_etag(quote))
    call.tells(before=_standing(quote))
    return quote["version"]


def _told(call: Call, quote: QuoteRecord, response: Response) -> QuoteRecord:
    call.tells(subject=f"quote/{quote['quote_id']}", customer_id=quote["customer_id"])
    response.headers["ETag"] = _etag(quote)
    return quote


def _standing(quote: QuoteRecord) -> dict[str, Any]:
    return {"state": quote["state"], "version": quote["version"]}


def _etag(quote: QuoteRecord) -> str:
    return etag_of("quote", quote["quote_id"], quote["version"])
