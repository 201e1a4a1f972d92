"""``/sessions``: who is online, by NAS and plan, and who is doubtful; and what is known of one username's sessions."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from provisioning.api import InCall
from provisioning.api.pages import After, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show
from provisioning.nas_desk import address_said

ON_A_PAGE = 50

doors = ConsoleDoors(name="sessions")


@doors.page("/sessions", permission="subscribers.read")
async def sessions(
    call: InCall,
    nas: Annotated[str, Query(max_length=128, description="Its name or its address")] = "",
    plan: Annotated[str, Query(max_length=60)] = "",
    doubtful: Annotated[str, Query(max_length=5)] = "",
    after: After = None,
) -> Response:
    """The sessions that have not stopped, the newest first."""
    looks = call.appliance.session_looks
    guards = await looks.guards()
    said = nas.strip()
    wanted = await address_said(call.appliance.services(call.db).radius_service, said) if said else ""
    found = await looks.online(
        nas_address=wanted or None,
        plan=plan.strip() or None,
        doubtful=bool(doubtful),
        before=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [each["number"] for each in found], ON_A_PAGE)
    return show(
        call,
        "sessions.html.j2",
        "Sessions",
        sessions=page.items,
        next=page.next,
        guards=guards,
        wanted={"nas": wanted, "plan": plan, "doubtful": bool(doubtful)},
        total=sum(guard["open_sessions"] for guard in guards),
    )


@doors.page("/sessions/of", permission="subscribers.read")
async def sessions_of(
    call: InCall, username: Annotated[str, Query(min_length=1, max_length=253)], after: After = None
) -> Response:
    """Every session that is known of a username, open and past, the newest first; those under former names too."""
    held = await call.appliance.subscriber_desk(call.db).held_names(username)
    found = await call.appliance.session_looks.of_subscriber(held, before=row_of(after), limit=ON_A_PAGE + 1)
    page = page_of(call, found, [each["number"] for each in found], ON_A_PAGE)
    return show(
        call,
        "sessions_of.html.j2",
        f"Sessions of {username}",
        username=username,
        former=[each.username for each in held[1:]],
        sessions=page.items,
        next=page.next,
    )
