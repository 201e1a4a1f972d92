"""``/links/<token>``: what a one-time link of a mail leads to.

Looking never uses a link up, since mail programs look in advance; only the page's button does, in the transaction of
what it does: accept an offer, or show a secret. Who presses twice is shown the same acceptance, and a secret no more.
"""

from __future__ import annotations

from datetime import datetime

from babel import Locale
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from acs import AcsError, wifi_ref
from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.public_pages import Pages, message, page, page_headers, render
from provisioning.api.statuses import status_of
from provisioning.commercial import CustomerError, CustomerService, QuoteError, QuoteWithLines
from provisioning.commercial.wording import Wording
from provisioning.links import FOLDER, LinkError, LinkExpired, LinkUsed
from provisioning.reveals import reveal_with_reason
from provisioning.vault import SecretMissing
from workflows.answers import LinkPurpose, LinkTo

BY = "one-time link"
"""Who did it, in logs and in the audit: whoever has the mail."""
OPENS: dict[LinkPurpose, str] = {"accept_quote": "quote", "reveal_wifi": "device", "tenant_page": "tenant"}
"""What a link is about, by its purpose."""
SECRET_GONE = ("There is nothing to show", "This secret is not kept any more. Please ask your provider for a new one.")

doors = Pages()


@doors.shown(FOLDER + "{token}")
async def look(call: InCall, token: str) -> Response:
    """What the link is for, and a button that does it."""
    try:
        to = await call.appliance.links.open(call.db, token)
    except LinkError as error:
        return await _unusable(call, error)
    if to.purpose == "tenant_page":
        return RedirectResponse(f"/t/{to.subject}", status_code=303, headers=page_headers())
    if to.purpose == "reveal_wifi":
        title = "Your WiFi password"
        return page(render("reveal.html.j2", brand=call.appliance.isp_name, title=title, secret=None), forms=True)
    return await _offer(call, to)


@doors.sent(FOLDER + "{token}")
async def act(call: InCall, token: str) -> Response:
    """The button was pressed: the link is used up by what it does, and stays when that can't be done."""
    try:
        async with call.db.begin_nested():
            to = await call.appliance.links.use(call.db, token)
            call.tells(actor=BY, subject=subject_of(OPENS[to.purpose], to.subject))
            if to.purpose == "reveal_wifi":
                return await _reveal(call, to)
            if to.purpose == "accept_quote":
                return await _accept(call, int(to.subject))
            return RedirectResponse(f"/t/{to.subject}", status_code=303, headers=page_headers())
    except LinkError as error:
        call.tells(actor=BY, after={"refused": error.code})
        return await _unusable(call, error)
    except (QuoteError, CustomerError) as error:
        call.tells(actor=BY, after={"refused": error.code})
        return _not_open(call)
    except (SecretMissing, AcsError) as error:
        call.tells(actor=BY, after={"refused": error.code})
        return message(call.appliance, *SECRET_GONE, status=410)


async def _offer(call: Call, to: LinkTo) -> Response:
    """The offer as it stands; accepted already, it says so."""
    try:
        quote = await call.appliance.quotes(call.db).quote(int(to.subject))
    except QuoteError:
        return _not_open(call)
    if quote["state"] == "accepted":
        return _accepted(call, quote)
    if quote["state"] != "sent" or quote["valid_until"] < call.appliance.clock():
        return message(call.appliance, *_closed(quote, call), status=410)
    return _quote_page(call, quote, "Your offer", forms=True)


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
    return page(render("reveal.html.j2", brand=appliance.isp_name, title="Your WiFi password", secret=secret))


async def _unusable(call: Call, error: LinkError) -> Response:
    """A link that opens nothing says why; one that has accepted an offer shows the acceptance."""
    if isinstance(error, LinkUsed) and error.to.purpose == "accept_quote":
        quote = await call.appliance.quotes(call.db).quote(int(error.to.subject))
        if quote["state"] == "accepted":
            return _accepted(call, quote)
    status = status_of(error)
    if isinstance(error, LinkUsed):
        words = f"It was used on {_moment(call, error.used_at)} and opens once. If it wasn't you, please tell us."
        return message(call.appliance, "This link was used already", words, status=status)
    if isinstance(error, LinkExpired):
        words = f"It opened until {_moment(call, error.to.expires_at)}. Please ask us for a new one."
        return message(call.appliance, "This link is too old", words, status=status)
    words = "It isn't complete, or not one of ours. Please take the whole address from the mail just as it is."
    return message(call.appliance, "This link doesn't open anything", words, status=status)


def _accepted(call: Call, quote: QuoteWithLines) -> HTMLResponse:
    return _quote_page(call, quote, "Thank you, the offer is accepted")


def _not_open(call: Call) -> Response:
    """The offer has changed since the mail was written, or whom it was made to."""
    words = "It was withdrawn, or its time is over. Please ask us for a new offer."
    return message(call.appliance, "This offer is not open any more", words, status=410)


def _closed(quote: QuoteWithLines, call: Call) -> tuple[str, str]:
    if quote["state"] in ("sent", "expired"):
        words = f"It was open until {_moment(call, quote['valid_until'])}. Please ask us for a new offer."
        return "This offer's time is over", words
    return "This offer is not open any more", "It was withdrawn. Please ask us for a new offer."


def _quote_page(call: Call, quote: QuoteWithLines, title: str, *, forms: bool = False) -> HTMLResponse:
    wording = _wording(call)
    content = render(
        "offer.html.j2",
        brand=call.appliance.isp_name,
        title=title,
        quote=quote,
        money=wording.money,
        moment=wording.moment,
        day=wording.day,
    )
    return page(content, forms=forms)


def _customers(call: Call) -> CustomerService:
    return CustomerService(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)


def _wording(call: Call) -> Wording:
    return Wording(Locale.parse("en"), call.appliance.zone)


def _moment(call: Call, at: datetime) -> str:
    return _wording(call).moment(at)
