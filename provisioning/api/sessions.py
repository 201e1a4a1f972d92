"""``/sessions``: who is online, what a subscriber had and used, who had an address; and the end of those whose NAS is
gone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Moment, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.whom import Whom
from provisioning.api.wishes import Reason, Wish
from provisioning.holders import HolderView
from provisioning.holders import who_had as who_had_it
from provisioning.nas_desk import address_said
from radius import NasGuard, NasUnknown, SessionView, UsageView

doors = Doors(prefix="/sessions", tags=["sessions"])


class NasGone(Wish):
    """A NAS that does not come back, by its name or its address."""

    nas: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Reason


class ClosedSessions(Wish):
    """How many sessions were open there, and are closed now as of their last sign of life."""

    nas_address: str
    closed: int


async def _misfits(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    """Of the NAS and the plan that are named."""
    radius = call.appliance.services(call.db).radius_service
    faults: list[tuple[str, str]] = []
    try:
        if "nas" in sound:
            await address_said(radius, str(sound["nas"]))
    except NasUnknown as unknown:
        faults.append(("nas", str(unknown)))
    return [*faults, *await radius.faults_by_part({part: sound[part] for part in ("plan",) if part in sound})]


@doors.get(
    "",
    permission="subscribers.read",
    responses={404: problem("There is no such NAS or plan")},
    misfits=_misfits,
)
async def list_(
    call: InCall,
    nas: Annotated[str | None, Query(max_length=64, description="Only those at this NAS (its name or address)")] = None,
    plan: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,60}$", description="Only those of subscribers of this plan")
    ] = None,
    doubtful: Annotated[bool, Query(description="Only those that have missed three interims")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[SessionView]:
    """The sessions that have not stopped, the newest first."""
    radius = call.appliance.services(call.db).radius_service
    at = None if nas is None else await address_said(radius, nas)
    if plan is not None:
        await radius.plan(name=plan)
    looks = call.appliance.session_looks
    found = await looks.online(nas_address=at, plan=plan, doubtful=doubtful, before=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["number"] for each in found], limit)


@doors.get("/guard", permission="subscribers.read")
async def guard(call: InCall) -> list[NasGuard]:
    """Every NAS with open sessions, and whether accounting comes from it; while it is silent none of them is closed."""
    return await call.appliance.session_looks.guards()


@doors.post("/close", permission="nas.write", responses={404: problem(WORDS[404])}, misfits=_misfits)
async def close(call: InCall, wish: NasGone) -> ClosedSessions:
    """Closes in accounting what is open at a NAS that is silent and does not come back. A newer interim opens a session
    again, and its Stop corrects it. Where nothing is open any more nothing changes."""
    address = await address_said(call.appliance.services(call.db).radius_service, wish.nas)
    closed = await call.appliance.silent_sessions.close_at(address)
    call.tells(subject=subject_of("nas_address", address), reason=wish.reason, before={"open_sessions": closed})
    if not closed:
        call.changes_nothing()
    return ClosedSessions(nas_address=address, closed=closed)


@doors.get("/who-had", permission="subscribers.read")
async def who_had(
    call: InCall,
    address: Annotated[str, Query(min_length=2, max_length=64, description="An IPv4 or IPv6 address, or a prefix")],
    at: Annotated[Moment | None, Query(description="When; now, if left out")] = None,
) -> list[HolderView]:
    """The sessions that had this address then, or a prefix that contains it, and whose they are."""
    return await who_had_it(call.appliance, address, at=at or call.appliance.clock())


# before the next one, of which it would be a username: a name may have a / in it
@doors.get("/of/{username:path}/usage", permission="subscribers.read")
async def usage(
    call: InCall,
    who: Whom,
    first_day: Annotated[date, Query(description="The first day (UTC)")],
    last_day: Annotated[date, Query(description="The last day (UTC)")],
) -> UsageView:
    """What a subscriber used on these days, under former names too. What could not be split is told apart from that."""
    names = await call.appliance.subscriber_desk(call.db).held_names(who)
    return await call.appliance.usage_looks.of_user(*names, first_day=first_day, last_day=last_day)


@doors.get("/of/{username:path}", permission="subscribers.read")
async def show(call: InCall, who: Whom, after: After = None, limit: Limit = 50) -> Page[SessionView]:
    """Every session that is known of a subscriber, open and past, the newest first; those under former names too."""
    held = await call.appliance.subscriber_desk(call.db).held_names(who)
    found = await call.appliance.session_looks.of_subscriber(held, before=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["number"] for each in found], limit)
