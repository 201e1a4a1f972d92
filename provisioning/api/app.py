"""The HTTP application: the nouns' routers under one address, problems for everything else, no door unguarded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import cache

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.routing import Route

from provisioning.access import KnownCallers, note_wanted_changes
from provisioning.api import (
    acs,
    addresses,
    addresses_files,
    addresses_nat,
    addresses_services,
    addresses_upkeep,
    api_pages,
    attention,
    audit,
    calendars,
    campaigns,
    customers,
    device_settings,
    devices,
    devices_binding,
    devices_fleet,
    devices_imports,
    devices_readings,
    devices_verbs,
    events,
    health,
    installations,
    leads,
    lines,
    logins,
    mails,
    nas,
    offers,
    orders,
    partners,
    payments,
    plans,
    public_line,
    public_links,
    public_pages,
    public_payments,
    public_tenant,
    quotes,
    runs,
    search,
    session_changes,
    sessions,
    subscribers,
    subscribers_imports,
    subscriptions,
    technicians,
    tickets,
    truth,
    visits,
    visits_work,
    webhooks,
)
from provisioning.api.calls import PREFIX
from provisioning.api.openapi import describe
from provisioning.api.problems import answer_problem
from provisioning.api.routes import Door
from provisioning.bootstrap import Appliance

NOUNS: Sequence[APIRouter] = (
    runs.doors,
    events.doors,
    installations.doors,
    tickets.doors,
    visits.doors,
    visits_work.doors,
    technicians.doors,
    technicians.job_doors,
    calendars.doors,
    lines.doors,
    lines.found_doors,
    leads.doors,
    offers.doors,
    quotes.doors,
    orders.doors,
    customers.doors,
    subscriptions.doors,
    payments.doors,
    partners.doors,
    plans.doors,
    session_changes.doors,
    subscribers_imports.doors,
    sessions.doors,
    logins.doors,
    logins.of_subscribers,
    truth.doors,
    subscribers.doors,
    nas.doors,
    addresses.doors,
    addresses_files.doors,
    addresses_services.doors,
    addresses_upkeep.doors,
    addresses_nat.doors,
    devices_fleet.doors,
    devices_readings.doors,
    devices_readings.fleet_doors,
    device_settings.doors,
    devices.doors,
    acs.doors,
    campaigns.doors,
    devices_imports.doors,
    devices_binding.doors,
    devices_verbs.doors,
    devices_verbs.records,
    mails.doors,
    webhooks.doors,
    audit.doors,
    search.doors,
    attention.doors,
)
"""What stands under ``/api/v1``."""
OUTSIDE: Sequence[APIRouter] = (
    api_pages.doors,
    calendars.public,
    health.doors,
    public_line.doors,
    public_links.doors,
    public_pages.doors,
    public_payments.doors,
    public_tenant.doors,
)
"""What stands under an address of its own: pages, links, what other systems call."""
UNGUARDED = frozenset({"/openapi.json"})


def create_app(appliance: Appliance) -> FastAPI:
    """The application that serves an opened appliance. Raises: TypeError if a route declares no permission."""
    app = FastAPI(
        title="Firstlight",
        version="1",
        description="From an approved installation ticket to a live subscriber.",
        docs_url=None,  # the framework's page loads its scripts from elsewhere; `api_pages` has ours
        redoc_url=None,
    )
    app.state.appliance = appliance
    appliance.database.hear(note_wanted_changes)
    app.state.known = KnownCallers(appliance.clock)
    app.state.home = None  # where `/` leads at the appliance's own address
    app.state.turns = dict[str, asyncio.Semaphore]()  # of routes that let in only so many at once
    app.state.refusing = set[str]()  # serials whose refusal in their first session is being written down
    app.state.noting = set[int]()  # tokens whose use is being written down
    app.router.routes.extend(_doors().routes)
    app.add_exception_handler(HTTPException, answer_problem)
    app.add_exception_handler(RequestValidationError, answer_problem)
    describe(app)
    refuse_unguarded(app)
    return app


@cache
def _doors() -> APIRouter:
    """All routes; to look at their parameters and answers takes longer than all the rest of an application."""
    doors = APIRouter()
    for router in NOUNS:
        doors.include_router(router, prefix=PREFIX)
    for router in OUTSIDE:
        doors.include_router(router)
    return doors


def refuse_unguarded(app: FastAPI) -> None:
    """Raises: TypeError naming the first route that is neither a door nor the framework's own."""
    for route in iter_route_contexts(app.routes):
        framework_s_own = isinstance(route.original_route, Route) and route.path in UNGUARDED
        if not isinstance(route.original_route, Door) and not framework_s_own:
            raise TypeError(f"{route.path} is no Door: it declares no permission")
