"""The console's routes, added to the application that serves the API."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from provisioning.access import Deed, Invitations, Passwords, SignIns, Users, keep_deed
from provisioning.api.app import refuse_unguarded
from provisioning.api.calls import PREFIX
from provisioning.api.problems import answer_problem, problem_of
from provisioning.bootstrap import Appliance
from provisioning.console import (
    access_nodes,
    assets,
    audit,
    campaign_acts,
    checks,
    customers,
    devices,
    dispatch,
    field,
    home,
    invitations,
    live,
    mails,
    papers,
    partners,
    payments,
    pools,
    queue,
    run_acts,
    run_pages,
    search,
    services,
    sessions,
    sign_in,
    slots,
    subscriber_acts,
    subscriber_pages,
    technicians,
    tickets,
    visits,
    webhook_acts,
    webhooks,
    welcome,
)
from provisioning.console.live import LiveStreams
from provisioning.console.pages import refused
from provisioning.console.topics import marks_of

PAGES: Sequence[APIRouter] = (
    assets.doors,
    sign_in.doors,
    welcome.doors,
    live.doors,
    home.doors,
    search.doors,
    queue.doors,
    run_acts.doors,
    run_pages.doors,
    subscriber_acts.doors,
    subscriber_pages.doors,
    customers.doors,
    papers.quote_doors,
    papers.order_doors,
    tickets.doors,
    mails.doors,
    visits.doors,
    dispatch.doors,
    slots.doors,
    technicians.doors,
    invitations.doors,
    field.doors,
    field.scripted,
    sessions.doors,
    pools.doors,
    access_nodes.doors,
    services.doors,
    campaign_acts.doors,
    devices.doors,
    webhook_acts.doors,
    webhooks.doors,
    partners.doors,
    payments.doors,
    checks.doors,
    audit.doors,
)


def add_console(app: FastAPI, appliance: Appliance, *, passwords: Passwords | None = None) -> LiveStreams:
    """Adds the console to the application; returns its streams, which must be closed before it can stop.

    Raises: AssetsMissing.
    """
    assets.assets()
    app.state.home = sign_in.HOME
    app.state.sign_ins = SignIns(passwords or Passwords())
    app.state.live = LiveStreams(appliance.database, marks_of(appliance))
    app.router.routes.extend(_pages().routes)
    app.add_exception_handler(HTTPException, _answer)
    refuse_unguarded(app)
    streams: LiveStreams = app.state.live
    return streams


async def first_link(appliance: Appliance, *, base: str) -> str | None:
    """The address at which the first person signs up; None where there is somebody."""
    async with appliance.database.begin() as db:
        common = {"tenant_id": appliance.tenant_id, "now": appliance.clock}
        if not await Users(db, **common).is_empty():  # type: ignore[arg-type]
            return None
        made = await Invitations(db, **common).make(user_id=None, by="serve")  # type: ignore[arg-type]
        deed = Deed(action="users invite-first", actor="serve", door="command line", after={"until": made.ends_at})
        await keep_deed(db, deed, tenant_id=appliance.tenant_id, at=appliance.clock())
        return base.rstrip("/") + made.path


async def _answer(request: Request, error: Exception) -> Response:
    """What never came to a route: a page for people, a problem for programs."""
    wants_page = "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(PREFIX)
    if not wants_page:
        return await answer_problem(request, error)
    return refused(request, *problem_of(error))


@cache
def _pages() -> APIRouter:
    """All routes of the console, as the API's are kept."""
    pages = APIRouter()
    for router in PAGES:
        pages.include_router(router)
    return pages
