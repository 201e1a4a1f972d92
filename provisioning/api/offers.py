"""``/offers``: what is sold, and at which price."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.commercial import OfferRecord

doors = Doors(prefix="/offers", tags=["offers"])


@doors.get("", permission="offers.read")
async def list_(
    call: InCall,
    everything: Annotated[bool, Query(alias="all", description="Also what isn't sold any more")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[OfferRecord]:
    """Offers by their numbers."""
    offers = call.appliance.offers(call.db)
    found = await offers.offers(active=None if everything else True, after_id=row_of(after) or 0, limit=limit + 1)
    return page_of(call, found, [offer["offer_id"] for offer in found], limit)
