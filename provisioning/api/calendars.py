"""``/calendar-feeds``: addresses of calendars; and ``/calendars/<secret>.ics``, where a calendar program reads one."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from typing_extensions import TypedDict

from provisioning.api.calls import InCall
from provisioning.api.pages import Number, Page
from provisioning.api.routes import PUBLIC, Doors
from provisioning.api.wishes import Wish
from provisioning.commercial import PublicUrlMissing
from provisioning.field import FeedRecord

FOLDER = "/calendars/"
CALENDAR: dict[int | str, dict[str, Any]] = {200: {"content": {"text/calendar": {}}}}

doors = Doors(prefix="/calendar-feeds", tags=["calendar-feeds"])
public = Doors(tags=["calendars"], include_in_schema=False)


class Make(Wish):
    """Whose calendar: a technician's, or a team's."""

    technician_id: int | None = None
    team: str | None = None


class MadeFeedAnswer(TypedDict):
    """The new feed. ``address`` is told now and never again."""

    feed: FeedRecord
    address: str | None


@doors.get("", permission="technicians.read")
async def list_(call: InCall) -> Page[FeedRecord]:
    """All feeds, the oldest first; their addresses are told once, when they are made."""
    return Page(items=await call.appliance.feeds(call.db).feeds())


@doors.post("", permission="technicians.write", status_code=201)
async def make(call: InCall, wish: Make) -> MadeFeedAnswer:
    """Makes the address of a calendar. Whoever has it reads that calendar, until it is revoked."""
    base = call.appliance.settings.public_url
    if base is None:
        raise PublicUrlMissing  # the address is told once, and would be none that a calendar program can read
    made = await call.appliance.feeds(call.db).make(technician_id=wish.technician_id, team=wish.team, by=call.by)
    call.tells(subject=f"calendar-feed/{made.feed['feed_id']}")
    call.shows_once("address")
    return MadeFeedAnswer(feed=made.feed, address=f"{base.rstrip('/')}{FOLDER}{made.token}.ics")


@doors.post("/{feed_id}/revoke", permission="technicians.write")
async def revoke(call: InCall, feed_id: Number) -> FeedRecord:
    """The address answers no more."""
    revoked = await call.appliance.feeds(call.db).revoke(feed_id)
    call.tells(subject=f"calendar-feed/{feed_id}", before={**revoked, "revoked": False})
    return revoked


@public.get(FOLDER + "{token}.ics", permission=PUBLIC, response_class=Response, responses=CALENDAR)
async def read(call: InCall, token: str) -> Response:
    """A calendar (RFC 5545), for who has its address; anybody else is told that there is none."""
    calendar = await call.appliance.feeds(call.db).read(token)
    if calendar is None:
        return Response("There is no such calendar.\n", status_code=404, media_type="text/plain")
    return Response(calendar, media_type="text/calendar")
