"""``/subscribers``: how RADIUS subscribers shall be, whether FreeRADIUS shows it, and what is done to who is served.

Passwords are references. What changes a subscriber is answered as soon as it is committed; the sessions that are open
are told by the worker, and ``/session-changes`` says what each did.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

from fastapi import Path, Query
from pydantic import Field

from provisioning.api.calls import Call, InCall
from provisioning.api.idempotency import key_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.subscriber_desk import ChangedSubscriber, SubscriberDesk
from radius import State, SubscriberView

doors = Doors(prefix="/subscribers", tags=["subscribers"])

Username = Annotated[str, Path(max_length=253)]
PlanName = Annotated[str, Field(min_length=1, max_length=200)]


class Why(Wish):
    """Why, for the audit."""

    reason: Annotated[str, Field(min_length=1, max_length=500, description="Why, for the audit")]


class PlanChange(Why):
    """Which plan, by its name."""

    plan: PlanName


class Suspension(Why):
    """The plan of a walled garden; without one every login is refused."""

    garden: PlanName | None = None


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
async def show(call: InCall, username: Username) -> SubscriberView:
    """One subscriber by their username, realm included."""
    return await call.appliance.services(call.db).radius_service.subscriber_named(username=username)


@doors.post("/{username}/change-plan", permission="subscribers.write", responses={404: problem(WORDS[404])})
async def change_plan(call: InCall, username: Username, wish: PlanChange) -> ChangedSubscriber:
    """Gives another plan, to the next login and to the sessions that are open."""
    desk = await _seen(call, username, wish.reason)
    return await desk.change_plan(username, plan=wish.plan, request_id=_request_id(call))


@doors.post("/{username}/suspend", permission="subscribers.write", responses={404: problem(WORDS[404])})
async def suspend(call: InCall, username: Username, wish: Suspension) -> ChangedSubscriber:
    """Refuses logins and ends the sessions that are open, or keeps the line in a walled garden; the password stays."""
    desk = await _seen(call, username, wish.reason)
    return await desk.suspend(username, garden=wish.garden, request_id=_request_id(call))


@doors.post("/{username}/resume", permission="subscribers.write", responses={404: problem(WORDS[404])})
async def resume(call: InCall, username: Username, wish: Why) -> ChangedSubscriber:
    """Ends a suspension: the same password, plan and addresses as before."""
    desk = await _seen(call, username, wish.reason)
    return await desk.resume(username, request_id=_request_id(call))


@doors.post("/{username}/rotate-password", permission="subscribers.write", responses={404: problem(WORDS[404])})
async def rotate_password(call: InCall, username: Username, wish: Why) -> ChangedSubscriber:
    """Makes a new random password, which is sealed and not shown; sessions go on, and the CPE needs to be told."""
    desk = await _seen(call, username, wish.reason)
    return await desk.rotate_password(username, request_id=_request_id(call))


async def _seen(call: Call, username: str, reason: str) -> SubscriberDesk:
    desk = call.appliance.subscriber_desk(call.db)
    before = await desk.named(username)
    call.tells(
        subject=f"subscriber/{before['subscriber_id']}",
        customer_id=before["customer_id"],
        reason=reason,
        before=before,
    )
    return desk


def _request_id(call: Call) -> str:
    """The request's key is one of its token."""
    who = f"{call.caller.token_id}/{key_of(call.request)}"
    return f"api/{hashlib.sha256(who.encode()).hexdigest()[:32]}"
