"""What is known of one subscriber, side by side, and all that has happened to it; below ``/subscribers``."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from provisioning.api.calls import InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.own import own_sight
from provisioning.api.pages import Limit
from provisioning.api.routes import Doors
from provisioning.api.whom import Whom
from provisioning.truth import Act, ActPreview, TimelinePage, Truth

doors = Doors(prefix="/subscribers", tags=["subscribers"])

Cursor = Annotated[str | None, Query(max_length=1000, description="`after` of the page before: opaque")]


@doors.get("/{username:path}/truth", permission="subscribers.read", responses={404: problem(WORDS[404])})
async def truth(call: InCall, who: Whom) -> Truth:
    """What we want, what RADIUS has, what the session shows and what the CPE reports, each with source and age, and
    what differs. A side that can't be asked is not known, and says why."""
    return await call.appliance.truth_desk(call.db, own_sight(call)).look(who)


@doors.get("/{username:path}/timeline", permission="subscribers.read", responses={404: problem(WORDS[404])})
async def timeline(call: InCall, who: Whom, after: Cursor = None, limit: Limit = 50) -> TimelinePage:
    """Runs, changes, operations on its CPE, logins, sessions and audit entries, the newest first, as far as may be
    seen."""
    return await call.appliance.timeline(call.db, own_sight(call)).page(who, after=after, limit=limit)


@doors.get("/{username:path}/preview", permission="subscribers.read", responses={404: problem(WORDS[404])})
async def preview_(
    call: InCall,
    who: Whom,
    act: Annotated[Act, Query(description="What is to be done")],
    plan: Annotated[str, Query(max_length=200, description="The plan to change to")] = "",
    garden: Annotated[str, Query(max_length=200, description="The walled garden to suspend into")] = "",
    serial: Annotated[str | None, Query(max_length=64, description="Of the CPE that it is about")] = None,
) -> ActPreview:
    """What this act would touch, in sentences, or why it can't be taken; nothing is changed and no ACS is asked."""
    desk = call.appliance.truth_desk(call.db, own_sight(call))
    seen = await desk.look(who, ask_acs=False)
    return await desk.preview(seen, act, plan=plan, garden=garden, serial=serial)
