"""``/access-nodes``: OLTs, DSLAMs and switches: how full what is bound to them is, and what is wrong at one now."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import Query, Response

from ipam import NameUnknown
from provisioning.api import InCall
from provisioning.api.own import own_sight
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show

ON_A_PAGE = 50
MOST_LINES = 100_000

doors = ConsoleDoors(name="addresses")

NodeName = Annotated[str, Query(min_length=1, max_length=120)]


@doors.page("/access-nodes", permission="addresses.read")
async def access_nodes(call: InCall, behind: Annotated[str, Query(max_length=120)] = "") -> Response:
    """Access nodes by their names, ``behind`` the last one of the page before."""
    lookup = call.appliance.address_lookup(call.db)
    used = await lookup.usage_by_place("access_node")
    found = await lookup.access_nodes(after=behind, limit=ON_A_PAGE + 1)
    page = found[:ON_A_PAGE]
    return show(
        call,
        "access_nodes.html.j2",
        "Access nodes",
        nodes=[(name, bng, [each for each in used if each["place"] == name]) for name, bng in page],
        next="/access-nodes?" + urlencode({"behind": page[-1][0]}) if len(found) > ON_A_PAGE else None,
    )


@doors.page("/access-nodes/of", permission="addresses.read")
async def access_node(call: InCall, name: NodeName) -> Response:
    """One of them: its BNG, how many lines are behind it, and what needs a person there."""
    lookup = call.appliance.address_lookup(call.db)
    bng = (await lookup.bngs_of([name])).get(name)
    if bng is None:
        raise NameUnknown("access node", name)
    items = []
    if "attention.read" in call.caller.permissions:
        seen = await call.appliance.attention_desk(call.db, own_sight(call)).look()
        items = [
            item
            for item in seen.items
            if (item.target.noun, item.target.id) in (("access_node", name), ("bng", bng), ("nas", bng))
        ]
    return show(
        call,
        "access_node.html.j2",
        f"Access node {name}",
        bng=bng,
        lines=await lookup.services_behind((bng, name), most=MOST_LINES),
        used=[each for each in await lookup.usage_by_place("access_node") if each["place"] == name],
        items=items,
    )
