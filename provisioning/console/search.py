"""``/search``: what the one box in the frame finds, by kind, the likeliest first, each with the reason why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Query, Response

from acs import DeviceUnknown, SerialMalformed
from provisioning.api import InCall
from provisioning.api.own import own_sight
from provisioning.console.destinations import of_hit
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show, to
from provisioning.errors import InvalidRequest
from provisioning.search import LONGEST, MOST_HITS, Found, Hit, Noun
from radius import SubscriberUnknown

HEADINGS: dict[Noun, str] = {
    "subscriber": "Subscribers",
    "customer": "Customers",
    "device": "CPEs",
    "address": "Addresses",
    "pool": "Pools",
    "nas": "NASes",
    "order": "Orders",
    "quote": "Quotes",
    "payment": "Payments",
    "line_order": "Line orders",
    "ticket": "Tickets",
    "run": "Runs",
    "visit": "Visits",
    "session": "Usernames in accounting",
}

doors = ConsoleDoors(name="search")


@doors.page("/search", permission="search.read")
async def search(call: InCall, q: Annotated[str, Query(max_length=2000)] = "") -> Response:
    """What it may mean; what is too short to mean anything is told so, and nothing is looked for."""
    found: Found | None = None
    refusal = ""
    if q.strip():
        try:
            found = await call.appliance.search_desk(call.db, own_sight(call), limit=MOST_HITS).find(q[:LONGEST])
        except InvalidRequest as error:
            refusal = str(error)
    may = call.caller.permissions
    groups = [] if found is None else by_noun(found.hits)
    return show(
        call,
        "search.html.j2",
        "Search",
        q=q[:LONGEST],
        found=found,
        refusal=refusal,
        groups=[(HEADINGS[noun], [(hit, of_hit(hit, may)) for hit in hits]) for noun, hits in groups],
        status=422 if refusal else 200,
    )


@doors.page("/search/subscriber", permission="subscribers.read")
async def subscriber_of(call: InCall, username: Annotated[str, Query(min_length=1, max_length=253)]) -> Response:
    """Leads to the subscriber of this name; where there is none any more, to what is known of its sessions."""
    try:
        found = await call.appliance.subscriber_desk(call.db).named(username)
    except SubscriberUnknown:
        return to(f"/sessions/of?{urlencode({'username': username})}")
    return to(f"/subscribers/{found['subscriber_id']}")


@doors.page("/search/device", permission="devices.read")
async def device_of(call: InCall, serial: Annotated[str, Query(min_length=1, max_length=64)]) -> Response:
    """Leads to the CPE of this serial number; one that is bound to nothing yet, to what else is known of it."""
    try:
        found = await call.appliance.services(call.db).genieacs_service.device(device_serial=serial)
    except (DeviceUnknown, SerialMalformed):
        return to(f"/search?{urlencode({'q': serial})}")
    return to(f"/devices/{quote(found['device_serial'], safe='')}")


def by_noun(hits: Sequence[Hit]) -> list[tuple[Noun, list[Hit]]]:
    """Hits of one kind together, each group where its best one stands."""
    groups: dict[Noun, list[Hit]] = {}
    for hit in hits:
        groups.setdefault(hit.noun, []).append(hit)
    return list(groups.items())
