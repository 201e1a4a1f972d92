"""``/search``: one box for whatever somebody has in hand."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.own import own_sight
from provisioning.api.routes import Doors
from provisioning.search import LONGEST, MOST_HITS, USUAL_HITS, Found

doors = Doors(prefix="/search", tags=["search"])


@doors.get("", permission="search.read")
async def find(
    call: InCall,
    q: Annotated[
        str,
        Query(
            max_length=LONGEST,
            description="A name, telephone number, mail address, username, MAC address or half of one, IP address or"
            " prefix, ADDRESS:PORT of a CGNAT's outside (and a moment with its zone after it), serial number, beginning"
            " of a pool's or NAS' name, reference of a payment, or a number of an order, quote, payment, ticket, run,"
            " visit, service or customer",
        ),
    ],
    limit: Annotated[int, Query(ge=1, le=MOST_HITS, description="How many at most")] = USUAL_HITS,
) -> Found:
    """What it may mean, the likeliest first, each with the reasons; of what the caller may see."""
    return await call.appliance.search_desk(call.db, own_sight(call), limit=limit).find(q)
