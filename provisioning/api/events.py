"""``/events``: what has happened, told from outside as the services tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import Field

from provisioning.amounts import event_without_amounts
from provisioning.api.calls import Call, InCall
from provisioning.api.causes import body_of, data_by_type, require_to_cause
from provisioning.api.misfits import as_read
from provisioning.api.pages import LARGEST_RUN, After, Limit, Page, RunNumber, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish, WithReason
from provisioning.intake import LARGEST_NUMBER
from provisioning.sight import sees_money
from provisioning.signals import TOLD_FROM_OUTSIDE
from workflows import EventTypeUnknown, EventView, list_events, show_event

doors = Doors(prefix="/events", tags=["events"])

State = Literal["pending", "started", "ignored", "refused"]


class Publish(Wish):
    """What has happened, about what, and a key that names it: the same again is the same event.

    The key is kept as `told/<key>`: no key from outside is ever that of an event which the appliance publishes itself.
    """

    type: str = Field(min_length=1, max_length=100)
    subject: str = Field(min_length=1, max_length=200)
    data: dict[str, Any]
    key: str = Field(min_length=1, max_length=200)


class Published(Wish):
    """The event's number; ``new`` is false if the key stood for it already."""

    event_id: int
    new: bool


class Retried(Wish):
    """It waits to be taken up."""

    event_id: int
    state: State


class Aside(Wish):
    """Why nothing shall come of it; it stands beside the event, and in the audit."""

    reason: str = Field(min_length=1, max_length=1000)


class SetAside(Wish):
    """Nothing comes of it."""

    event_id: int
    state: State


async def _misfits(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of what is published."""
    if "type" in sound:
        try:
            call.appliance.events.require_known(as_read(Publish, sound)["type"])
        except EventTypeUnknown as unknown:
            return [("type", str(unknown))]
    return []


@doors.get("", permission="events.read")
async def list_(
    call: InCall,
    state: Annotated[list[State] | None, Query(description="Only events that have come to this")] = None,
    type: Annotated[str | None, Query(max_length=100)] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[EventView]:
    """Events, the newest first, and the run that each has started."""
    found = await list_events(
        call.db,
        tenant_id=call.tenant_id,
        states=state or (),
        event_type=type,
        before_id=row_of(after, most=LARGEST_RUN),
        limit=limit + 1,
    )
    if not sees_money(call.caller):
        found = [event_without_amounts(event) for event in found]
    return page_of(call, found, [event.id for event in found], limit)


@doors.post("", permission="events.publish", status_code=201, openapi_extra=body_of(data_by_type()), misfits=_misfits)
async def publish(call: InCall, wish: Publish) -> Published:
    """Publishes an event; the journey that it starts begins within a second, once a worker runs.

    The permission of what has happened is asked for as well: who tells that a quote was accepted may accept quotes.
    """
    events = call.appliance.events
    events.require_known(wish.type)
    require_to_cause(call, wish.type)
    key = TOLD_FROM_OUTSIDE + wish.key
    event_id, new = await events.publish(call.db, wish.type, subject=wish.subject, data=wish.data, key=key, by=call.by)
    told = {"type": wish.type, "subject": wish.subject, "key": key, "data": wish.data, "new": new}
    call.tells(subject=f"event/{event_id}", customer_id=_customer_of(wish.data), after=told)
    return Published(event_id=event_id, new=new)


@doors.post("/{event_id}/retry", permission="events.publish")
async def retry(call: InCall, event_id: RunNumber, wish: WithReason) -> Retried:
    """Has an event taken up again that was refused; put right first what was in its way."""
    before = await show_event(call.db, event_id, tenant_id=call.tenant_id)
    await call.appliance.events.retry(call.db, event_id)
    call.tells(subject=f"event/{event_id}", reason=wish.reason, before={"type": before.type, "state": before.state})
    call.tells(customer_id=_customer_of(before.data))
    return Retried(event_id=event_id, state="pending")


@doors.post("/{event_id}/set-aside", permission="events.publish")
async def set_aside(call: InCall, event_id: RunNumber, wish: Aside) -> SetAside:
    """Nothing shall come of an event that was refused: it needs nobody any more. It may still be retried."""
    before = await show_event(call.db, event_id, tenant_id=call.tenant_id)
    if not await call.appliance.events.set_aside(call.db, event_id, why=wish.reason, by=call.by):
        call.changes_nothing()
    call.tells(subject=f"event/{event_id}", reason=wish.reason, before={"type": before.type, "state": before.state})
    call.tells(customer_id=_customer_of(before.data))
    return SetAside(event_id=event_id, state="ignored")


def _customer_of(data: Any) -> int | None:
    """Whom an event says that it is about, if it says so."""
    customer = data.get("customer_id") if isinstance(data, dict) else None
    return customer if type(customer) is int and 0 < customer <= LARGEST_NUMBER else None
