"""``/links/<token>``: what a one-time link of a mail leads to.

Looking never uses a link up, since mail programs look in advance; only the page's button does, in the transaction of
what it does: accept an offer, book or move a visit, or show a secret. A link that opens nothing comes to no transaction
that writes. Who presses twice is shown the same acceptance, and a secret no more.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from acs import AcsError, wifi_ref
from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.problems import Problem
from provisioning.api.public_choices import (
    book_visit,
    choose_first_time,
    refused_choice,
    show_choice,
    show_used_choice,
)
from provisioning.api.public_pages import Pages, message, page, render, wording
from provisioning.api.public_visits import choose_time, move_visit, refused_move, show_used, show_visit
from provisioning.api.statuses import status_of
from provisioning.commercial import CustomerError, CustomerService, QuoteError, QuoteWithLines
from provisioning.links import FOLDER, LinkError, LinkExpired, LinkUsed
from provisioning.reveals import reveal_with_reason
from provisioning.vault import SecretMissing
from workflows.answers import LinkPurpose, LinkTo

BY = "one-time link"
"""Who did it, in logs and in the audit: whoever has the mail."""
OPENS: dict[LinkPurpose, str] = {
    "accept_quote": "quote",
    "choose_visit": "invitation",
    "move_visit": "visit",
    "reveal_wifi": "device",
}
"""What a link is about, by its purpose."""
NOT_THERE: dict[LinkPurpose, tuple[type[Exception], ...]] = {
    "accept_quote": (QuoteError, CustomerError),
    "choose_visit": (),
    "move_visit": (),
    "reveal_wifi": (SecretMissing, AcsError),
}
"""What says that it isn't there any more; of another kind, such an error is no word on what the link is for."""

doors = Pages()


@doors.shown(FOLDER + "{token}")
async def look(call: InCall, token: str) -> Response:
    """What the link is for, and a button that does it."""
    try:
        to = await call.appliance.links.open(call.db, token)
    except LinkError as error:
        return await _unusable(call, error)
    if to.purpose == "reveal_wifi":
        return page(render(call.request, "reveal.html.j2", "wifi.title", secret=None), forms=True)
    if to.purpose == "move_visit":
        return await show_visit(call, to)
    if to.purpose == "choose_visit":
        return await show_choice(call, to)
    return await _offer(call, to)


async def _unless_usable(call: Call) -> Response | None:
    """Whoever made up a link, or has an old one, writes nothing at all; nor does who comes too late for a time."""
    try:
        to = await call.appliance.links.open(call.db, call.request.path_params["token"])
    except LinkError as error:
        return await _unusable(call, error)
    if to.purpose == "move_visit":
        await choose_time(call, to)
    if to.purpose == "choose_visit":
        await choose_first_time(call, to)
    return None


def _refused(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """As whatever the link was for says that it can't be done."""
    is_choice = getattr(request.state, "invitation", None) is not None
    return (refused_choice if is_choice else refused_move)(request, problem, headers)


@doors.sent(FOLDER + "{token}", first=_unless_usable, refusal=_refused)
async def act(call: InCall, token: str) -> Response:
    """The button was pressed: the link is used up by what it does, and stays when that can't be done."""
    to: LinkTo | None = None
    try:
        async with call.db.begin_nested():
            to = await call.appliance.links.use(call.db, token)
            call.tells(actor=BY, subject=subject_of(OPENS[to.purpose], to.subject))
            if to.purpose == "reveal_wifi":
                return await _reveal(call, to)
            if to.purpose == "move_visit":
                return await move_visit(call, by=BY)
            if to.purpose == "choose_visit":
                return await book_visit(call, by=BY)
            return await _accept(call, int(to.subject))
    except LinkError as error:  # somebody was quicker
        call.changes_nothing()
        return await _unusable(call, error)
    except (QuoteError, CustomerError, SecretMissing, AcsError) as error:
        if to is None or not isinstance(error, NOT_THERE[to.purpose]):
            raise
        call.changes_nothing()
        if to.purpose != "accept_quote":
            return message(call.request, "gone", status=410)
        return await _left(call, int(to.subject)) or _not_open(call)


async def _offer(call: Call, to: LinkTo) -> Response:
    """The offer as it stands; accepted already, it says so."""
    try:
        quote = await call.appliance.quotes(call.db).quote(int(to.subject))
    except QuoteError:
        return _not_open(call)
    if quote["state"] == "accepted":
        return _accepted(call, quote)
    if quote["state"] != "sent" or quote["valid_until"] < call.appliance.clock():
        return _closed(call, quote)
    return await _left(call, quote["quote_id"]) or _quote_page(call, quote, "offer.title", forms=True)


async def _left(call: Call, quote_id: int) -> Response | None:
    """That what an open offer would renew is to end; None if it isn't, or the offer isn't open."""
    if await call.appliance.quote_desk(call.db).why_not_renewed(quote_id) is None:
        return None
    return message(call.request, "offer.closed", words="offer.leaves.words", status=410)


async def _accept(call: Call, quote_id: int) -> Response:
    quotes = call.appliance.quotes(call.db)
    customer_id = (await quotes.quote(quote_id))["customer_id"]
    customer = await _customers(call).customer(customer_id)
    before = (await quotes.quote(quote_id))["state"]
    desk = call.appliance.quote_desk(call.db)
    accepted, told = await desk.accept(quote_id=quote_id, accepted_by=customer["name"], by=BY)
    call.tells(customer_id=customer_id, run_id=told[0] if told else None, before={"state": before})
    call.tells(after={"state": "accepted", "accepted_at": accepted["accepted_at"], "runs": told})
    return _accepted(call, await quotes.quote(quote_id))


async def _reveal(call: Call, to: LinkTo) -> Response:
    appliance = call.appliance
    secret = await reveal_with_reason(
        call.db,
        appliance.vault,
        wifi_ref(to.subject),
        tenant_id=appliance.tenant_id,
        by=BY,
        reason="the customer opened the link in their mail",
        at=appliance.clock(),
    )
    call.tells(after={"revealed": True})
    return page(render(call.request, "reveal.html.j2", "wifi.title", secret=secret))


async def _unusable(call: Call, error: LinkError) -> Response:
    """A link that opens nothing says why; one that has accepted an offer shows the acceptance."""
    if isinstance(error, LinkUsed) and error.to.purpose == "accept_quote":
        quote = await call.appliance.quotes(call.db).quote(int(error.to.subject))
        if quote["state"] == "accepted":
            return _accepted(call, quote)
    if isinstance(error, LinkUsed | LinkExpired):
        show = show_used_choice if error.to.purpose == "choose_visit" else show_used
        if (shown := await show(call, error)) is not None:
            return shown
    status = status_of(error)
    if isinstance(error, LinkUsed):
        return message(call.request, "link.used", status=status, moment=_moment(call, error.used_at))
    if isinstance(error, LinkExpired):
        return message(call.request, "link.old", status=status, moment=_moment(call, error.to.expires_at))
    return message(call.request, "link.forged", status=status)


def _accepted(call: Call, quote: QuoteWithLines) -> HTMLResponse:
    return _quote_page(call, quote, "offer.thanks")


def _not_open(call: Call) -> Response:
    """The offer has changed since the mail was written, or whom it was made to."""
    return message(call.request, "offer.closed", status=410)


def _closed(call: Call, quote: QuoteWithLines) -> Response:
    if quote["state"] in ("sent", "expired"):
        return message(call.request, "offer.over", status=410, moment=_moment(call, quote["valid_until"]))
    return message(call.request, "offer.closed", words="offer.withdrawn.words", status=410)


def _quote_page(call: Call, quote: QuoteWithLines, title: str, *, forms: bool = False) -> HTMLResponse:
    reads = wording(call.request)
    content = render(
        call.request,
        "offer.html.j2",
        title,
        quote=quote,
        money=reads.money,
        moment=reads.moment,
        day=reads.day,
    )
    return page(content, forms=forms)


def _customers(call: Call) -> CustomerService:
    return CustomerService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)


def _moment(call: Call, at: datetime) -> str:
    return wording(call.request).moment(at)
