"""``/search``: one box for whatever somebody has in hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from provisioning.api import InCall
from provisioning.api.own import own_sight
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.search import LONGEST, Hit

SHOWN = 50

doors = ConsoleDoors(name="search")


@doors.page("/search", permission="search.read")
async def search(call: InCall, q: Annotated[str, Query(max_length=LONGEST)] = "") -> Response:
    """What it may mean, the likeliest first."""
    found = await call.appliance.search_desk(call.db, own_sight(call), limit=SHOWN).find(q) if q.strip() else None
    sees_runs = "runs.read" in call.caller.permissions
    hits = [(hit, page_of_hit(hit, sees_runs=sees_runs)) for hit in found.hits] if found else []
    return show(call, "search.html.j2", "Search", asked=q, found=found, hits=hits)


def page_of_hit(hit: Hit, *, sees_runs: bool) -> str | None:
    """The page that shows it; None where there is none yet, or none for this looker."""
    if hit.noun == "run" and sees_runs:
        return f"/runs/{hit.id}"
    if hit.noun == "customer" and sees_runs:
        return f"/runs?customer={hit.id}"
    return "/visits" if hit.noun == "visit" else None
