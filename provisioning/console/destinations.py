"""Where what needs a person, and what was found, is acted on: an address of the console, for those who may go there."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from urllib.parse import quote, urlencode

from markupsafe import Markup, escape

from provisioning.access import Permission
from provisioning.attention import WAITING_STATES, Target, TargetNoun
from provisioning.keeps import Kept
from provisioning.search import Hit, Noun

Leads = tuple[Permission, Callable[[str], str]]


def _asking(path: str, **asked: str) -> str:
    return f"{path}?{urlencode(asked)}"


def _devices(which: str) -> str:
    if which == "handed_over":
        return "/devices?handed_over=yes"
    return _asking("/devices", **{"state" if which in WAITING_STATES else "why": which})


TARGETS: dict[TargetNoun, Leads] = {
    "access_node": ("addresses.read", lambda name: _asking("/access-nodes/of", name=name)),
    "bng": ("subscribers.read", lambda name: _asking("/sessions", nas=name)),
    "campaign": ("devices.read", lambda name: f"/campaigns/{quote(name, safe='')}"),
    "check": ("runs.operate", lambda _: "/checks"),
    "devices": ("devices.read", _devices),
    "mails": ("mails.read", lambda _: "/mails"),
    "nas": ("subscribers.read", lambda name: _asking("/sessions", nas=name)),
    "notices": ("mails.read", lambda _: "/notices"),
    "partner": ("partners.read", lambda number: f"/partners/{number}"),
    "partners": ("partners.read", lambda _: "/partners"),
    "pool": ("addresses.read", lambda name: _asking("/pools/of", pool=name)),
    "run": ("runs.read", lambda number: f"/runs/{number}"),
    "runs": ("runs.read", lambda _: "/queue"),
    "visit": ("visits.read", lambda number: f"/visits/{number}"),
    "visits": ("visits.read", lambda _: "/visits"),
    "webhook": ("webhooks.read", lambda number: f"/webhooks/{number}"),
}
"""What is not here has no page yet, or none for everybody who is told of it: ``COMMANDS`` says where else to look."""
COMMANDS: dict[TargetNoun, str] = {
    "events": "firstlight events list --state refused",
    "radius": "firstlight doctor",
    "webhook": "firstlight webhooks list",
}
HITS: dict[Noun, Leads] = {
    "customer": ("customers.read", lambda number: f"/customers/{number}"),
    "device": ("devices.read", lambda serial: f"/devices/{quote(serial, safe='')}"),
    "line_order": ("lines.read", lambda number: f"/line-orders/{number}"),
    "nas": ("subscribers.read", lambda name: _asking("/sessions", nas=name)),
    "order": ("orders.read", lambda number: f"/orders/{number}"),
    "payment": ("payments.read", lambda number: f"/payments/{number}"),
    "pool": ("addresses.read", lambda name: _asking("/pools/of", pool=name)),
    "quote": ("quotes.read", lambda number: f"/quotes/{number}"),
    "run": ("runs.read", lambda number: f"/runs/{number}"),
    "session": ("subscribers.read", lambda name: _asking("/sessions/of", username=name)),
    "subscriber": ("subscribers.read", lambda name: _asking("/search/subscriber", username=name)),
    "ticket": ("tickets.read", lambda number: f"/tickets/{number}"),
    "visit": ("visits.read", lambda number: f"/visits/{number}"),
}

KEPT: dict[str, Leads] = {
    "CPE": HITS["device"],
    "customer": HITS["customer"],
    "order": HITS["order"],
    "payment": HITS["payment"],
    "line order": HITS["line_order"],
    "quote": HITS["quote"],
    "renewal quote": HITS["quote"],
    "run": HITS["run"],
    "service": ("addresses.read", lambda number: f"/services/{number}"),
    "subscriber": ("subscribers.read", lambda number: f"/subscribers/{number}"),
    "ticket": HITS["ticket"],
    "visit": HITS["visit"],
}
"""By what a run keeps or a sentence names; what is not here has no page of its own."""
_SERIALS: Leads = ("devices.read", lambda serial: _asking("/search/device", serial=serial))
"""A sentence may name one that is bound to nothing yet, so that it has no page."""
_NOUNS = {noun.lower(): leads for noun, leads in KEPT.items()}
_NUMBERED = rf"\b({'|'.join(sorted(_NOUNS, key=len, reverse=True))})[ /]([1-9]\d{{0,17}})(?![\w-])"
_SERIAL = r"(?-i:\b[A-Z]{4}[0-9A-F]{8}\b|(?<=\bCPE )(?=[A-Za-z._~%-]*\d)[A-Za-z0-9._~%-]{5,63}[A-Za-z0-9])"
_NAMED = re.compile(rf"{_NUMBERED}|({_SERIAL})", re.IGNORECASE)
"""A noun with its number, as our sentences write it, and what a finding is about (``service/7``); and a serial number,
of a GPON as it stands, of any other after what has it."""


def of_target(target: Target, may: Collection[Permission]) -> str:
    """Where an item leads; nothing, if there is no page for it or not for them."""
    known = TARGETS.get(target.noun)
    return known[1](target.id) if known is not None and known[0] in may else ""


def command_for(target: Target) -> str:
    """Which command shows more of what may have no page for them; nothing, if everybody who is told of it has one."""
    return COMMANDS.get(target.noun, "")


def of_kept(each: Kept, may: Collection[Permission]) -> str:
    """Where something that a run keeps leads; nothing, if there is no page for it or not for them."""
    noun, _, number = each.what.rpartition(" ")
    if not number.isdigit():  # a CPE has its serial number beside it; a customer page is no customer
        noun, number = each.what, ""
    known = KEPT.get(noun)
    if known is None or known[0] not in may:
        return ""
    return known[1](number or each.particulars.partition(", ")[0])


def linked(text: str, may: Collection[Permission]) -> Markup:
    """A sentence in which everything that it names by its number, or serial number, leads to where that is seen, for
    who may go there; what stands between backticks is something to type, and is left as it is."""
    pieces = list[Markup]()
    for number, part in enumerate(text.split("`")):
        pieces.append(Markup("<code>{}</code>").format(part) if number % 2 else _linked(part, may))
    return Markup("").join(pieces)


def _linked(text: str, may: Collection[Permission]) -> Markup:
    pieces, at = list[Markup](), 0
    for found in _NAMED.finditer(text):
        permission, address = _SERIALS if found[3] else _NOUNS[found[1].lower()]
        if permission in may:
            link = Markup('<a href="{}">{}</a>').format(address(found[3] or found[2]), found[0])
            pieces += [escape(text[at : found.start()]), link]
            at = found.end()
    return Markup("").join([*pieces, escape(text[at:])])


def of_hit(hit: Hit, may: Collection[Permission]) -> str:
    """Where a hit leads; one without a page of its own to its service or subscriber, if it has one."""
    if hit.service_id is not None:
        permission, address = KEPT["service"]
        return address(str(hit.service_id)) if permission in may else ""
    known = HITS.get(hit.noun)
    if known is not None and (known[0] in may or hit.username is None):
        return known[1](hit.id) if known[0] in may else ""
    permission, address = HITS["subscriber"]
    return address(hit.username) if hit.username is not None and permission in may else ""
