"""``/logins``: who was refused and why, and who asks that nobody knows; of one subscriber below ``/subscribers``."""

from __future__ import annotations

import structlog

from provisioning import strangers
from provisioning.api.calls import InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.whom import Whom
from radius import Diagnosis, LoginView, UnknownNas, UnknownUser

log = structlog.get_logger(__name__)
doors = Doors(prefix="/logins", tags=["logins"])
of_subscribers = Doors(prefix="/subscribers", tags=["subscribers"])


@doors.get("/unknown-users", permission="subscribers.read")
async def unknown_users(call: InCall, limit: Limit = 50) -> Page[UnknownUser]:
    """Names that nobody has and the NASes they were tried at, who tried last first: one page."""
    return Page(items=await call.appliance.logins.unknown_users(call.tenant_id, limit=limit))


@doors.get("/unknown-nases", permission="nas.read")
async def unknown_nases(call: InCall) -> Page[UnknownNas]:
    """Addresses that asked FreeRADIUS and are no NAS, who asked last first: one page of at most 2000. Those outside of
    FreeRADIUS' network of NASes are among them where its own log can be read."""
    found, left_out = await strangers.unknown_nases(call.appliance)
    if left_out is not None:
        log.warning("unknown_nases_by_tables_alone", why=left_out)
    return Page(items=found)


@of_subscribers.get("/{username:path}/logins", permission="subscribers.read", responses={404: problem(WORDS[404])})
async def logins(call: InCall, who: Whom, after: After = None, limit: Limit = 50) -> Page[LoginView]:
    """When and where they tried to log in, how, and why they were refused, the newest first; by former names too."""
    desk = call.appliance.subscriber_desk(call.db)
    await desk.named(who)  # whom nobody knows is none
    names = await desk.held_names(who)
    found = await call.appliance.logins.logins_of(*names, before_id=row_of(after), limit=limit + 1)
    return page_of(call, found, [each["login_id"] for each in found], limit)


@of_subscribers.get("/{username:path}/diagnosis", permission="subscribers.read")
async def diagnosis(call: InCall, who: Whom) -> Diagnosis:
    """Why they can't log in: findings with evidence and the next act, the gravest first; also of a name nobody has."""
    names = await call.appliance.subscriber_desk(call.db).names(who)
    return await call.appliance.diagnoses.of(names[0])
