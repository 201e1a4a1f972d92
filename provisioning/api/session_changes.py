"""``/session-changes``: what was changed of subscribers, and what each session that was open has done since."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from radius import SessionChangeView

doors = Doors(prefix="/session-changes", tags=["subscribers"])


@doors.get("", permission="subscribers.read")
async def list_(
    call: InCall,
    subscriber: Wanted = None,
    pending: Annotated[bool, Query(description="Only those that some session has not followed yet")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[SessionChangeView]:
    """Changes, the newest first."""
    verbs = call.appliance.subscriber_verbs(call.db)
    found = await verbs.changes(subscriber_id=subscriber, pending=pending, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["change_id"] for each in found], limit)


@doors.get("/{change_id}", permission="subscribers.read")
async def show(call: InCall, change_id: Number) -> SessionChangeView:
    """One change: an ACK of a NAS is no proof, `confirmed_at` is when accounting has borne it out."""
    return await call.appliance.subscriber_verbs(call.db).change(change_id)
