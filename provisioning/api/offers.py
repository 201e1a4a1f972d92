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
    last = row_of(after) or 0
    found = await call.appliance.offers(call.db).offers(active=None if everything else True)
    found = [offer for offer in found if offer["offer_id"] > last]
    return page_of(call, found, [offer["offer_id"] for offer in found], limit)
