"""``/subscribers``: how RADIUS subscribers shall be, and whether FreeRADIUS shows it. Passwords are references."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from radius import State, SubscriberView

doors = Doors(prefix="/subscribers", tags=["subscribers"])


@doors.get("", permission="subscribers.read")
async def list_(
    call: InCall,
    customer: Wanted = None,
    state: Annotated[State | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[SubscriberView]:
    """Subscribers, the newest first."""
    radius = call.appliance.services(call.db).radius_service
    found = await radius.subscribers(customer_id=customer, state=state, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["subscriber_id"] for each in found], limit)


@doors.get("/{username}", permission="subscribers.read")
async def show(call: InCall, username: Annotated[str, Path(max_length=253)]) -> SubscriberView:
    """One subscriber by their username, realm included."""
    return await call.appliance.services(call.db).radius_service.subscriber_named(username=username)
