"""``/subscribers``: how RADIUS subscribers shall be, whether FreeRADIUS shows it, and what is done to who is served.

Passwords are references. What changes a subscriber is answered as soon as it is committed; the sessions that are open
are told by the worker, and ``/session-changes`` says what each did.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from fastapi import Query, Response
from pydantic import Field

from provisioning.api.calls import Call, InCall
from provisioning.api.idempotency import key_of
from provisioning.api.misfits import as_read
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.subscribers_parts import misfits, misfits_of_end
from provisioning.api.whom import Whom, WhomToEnd
from provisioning.api.wishes import Reason, Wish
from provisioning.subscriber_desk import ANY_CUSTOMER, ChangedSubscriber, SubscriberDesk, was_so_already
from provisioning.subscriber_looks import SubscriberNumber, Who
from radius import DataCapView, LineIdentity, State, SubscriberUnknown, SubscriberView

NOT_THERE = {404: problem(WORDS[404])}

doors = Doors(prefix="/subscribers", tags=["subscribers"])

PlanName = Annotated[str, Field(min_length=1, max_length=200)]
LineName = Annotated[str, Field(min_length=1, max_length=253)]


class SubscriberReason(Wish):
    """Why, for the audit."""

    reason: Reason


class New(SubscriberReason):
    """A subscriber without a service; `ipv4_pool`: of its NAS, in place of its plan's."""

    username: Annotated[str, Field(min_length=1, max_length=128)]
    customer_id: Annotated[int, Field(ge=1, le=2**63 - 1)]
    plan: PlanName
    ipv4_pool: Annotated[str | None, Field(min_length=1, max_length=253)] = None
    external_id: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    customers_elsewhere: Annotated[bool, Field(description=ANY_CUSTOMER)] = False


class PlanChange(SubscriberReason):
    """Which plan, by its name."""

    plan: PlanName


class Suspension(SubscriberReason):
    """The plan of a walled garden; without one every login is refused."""

    garden: PlanName | None = None


class CapLift(SubscriberReason):
    """How many octets more it may use in this billing month; null: as many as it likes."""

    octets: Annotated[int | None, Field(ge=1, le=10**16)] = None


class Rename(SubscriberReason):
    """The name it logs in by from now on, and what becomes of sessions and CPE under the former one."""

    username: Annotated[str, Field(min_length=1, max_length=128)]
    end_sessions: bool = False
    cpe_by_hand: Annotated[
        bool,
        Field(
            description="The CPE is told the new name by whoever asks for this; else its settings get it, to be applied"
        ),
    ] = False


class LineBinding(SubscriberReason):
    """The line it may log in from alone; `logs_in`: the line does so by itself, without a password (IPoE)."""

    station: LineName | None = None
    port: LineName | None = None
    circuit: LineName | None = None
    remote: LineName | None = None
    logs_in: bool = False


class OwnId(SubscriberReason):
    """The ISP's own id of a subscriber; null: it has none any more."""

    external_id: Annotated[str, Field(min_length=1, max_length=128)] | None


async def _misfits_of_new(call: Call, sound: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    return await call.appliance.subscriber_desk(call.db).faults_in(as_read(New, sound))


@doors.get("", permission="subscribers.read", responses={404: problem("There is no such plan")})
async def list_(
    call: InCall,
    customer: Wanted = None,
    state: Annotated[State | None, Query()] = None,
    external_id: Annotated[str | None, Query(max_length=128, description="The ISP's own id of it")] = None,
    plan: Annotated[str | None, Query(pattern=r"^[A-Za-z0-9._-]{1,60}$", description="Who is on this plan")] = None,
    only_hash: Annotated[bool, Query(description="Those of whose password no more than a hash is known")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[SubscriberView]:
    """Subscribers, the newest first."""
    radius = call.appliance.services(call.db).radius_service
    if plan is not None:
        await radius.plan(name=plan)
    found = await radius.subscribers(
        external_id=external_id,
        plan=plan,
        customer_id=customer,
        state=state,
        only_hash=only_hash,
        before_id=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [each["subscriber_id"] for each in found], limit)


@doors.post("", permission="subscribers.write", status_code=201, misfits=_misfits_of_new)
async def create(call: InCall, wish: New, response: Response) -> SubscriberView:
    """Makes a subscriber without a service, pending until `activate` lets it in. The same again changes nothing, and is
    answered 200."""
    desk = call.appliance.subscriber_desk(call.db)
    before: SubscriberView | None = None
    with suppress(SubscriberUnknown):
        before = await desk.named(wish.username)
    made = await desk.create(**wish.model_dump(exclude={"reason"}))
    call.tells(
        subject=f"subscriber/{made['subscriber_id']}",
        customer_id=made["customer_id"],
        reason=wish.reason,
        before=before,
    )
    if before is not None and made == before:
        call.changes_nothing()
        response.status_code = 200
    response.headers["Location"] = call.address(f"subscribers/{made['username']}")
    return made


@doors.get("/{username:path}/data-cap", permission="subscribers.read", responses={404: problem(WORDS[404])})
async def data_cap(call: InCall, who: Whom) -> DataCapView | None:
    """What it has used of its data cap in this billing month; null: its plan has none."""
    found = await call.appliance.subscriber_desk(call.db).named(who)
    return await call.appliance.data_caps.of(found["subscriber_id"])


@doors.post("/{username:path}/change-plan", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def change_plan(call: InCall, who: Whom, wish: PlanChange) -> ChangedSubscriber:
    """Gives another plan, to the next login and to the sessions that are open."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.change_plan(who, plan=wish.plan, request_id=_request_id(call)))


@doors.post("/{username:path}/suspend", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def suspend(call: InCall, who: Whom, wish: Suspension) -> ChangedSubscriber:
    """Refuses logins and ends the sessions that are open, or keeps the line in a walled garden; the password stays."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.suspend(who, garden=wish.garden, request_id=_request_id(call)))


@doors.post("/{username:path}/resume", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def resume(call: InCall, who: Whom, wish: SubscriberReason) -> ChangedSubscriber:
    """Ends a suspension: the same password, plan and addresses as before."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.resume(who, request_id=_request_id(call)))


@doors.post("/{username:path}/disconnect", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def disconnect(call: InCall, who: Whom, wish: SubscriberReason) -> ChangedSubscriber:
    """Ends the sessions that are open; whoever logs in anew is served as before."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.disconnect(who, request_id=_request_id(call)))


@doors.post("/{username:path}/set-right", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def set_right(call: InCall, who: Whom, wish: SubscriberReason) -> ChangedSubscriber:
    """Brings FreeRADIUS and the open sessions to what is wanted already, whoever has changed them."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.set_right(who, request_id=_request_id(call)))


@doors.post("/{username:path}/lift-cap", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def lift_cap(call: InCall, who: Whom, wish: CapLift) -> ChangedSubscriber:
    """Lets it use more than its data cap in this billing month; it is served by its own plan if that is enough."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.lift_cap(who, octets=wish.octets, request_id=_request_id(call)))


@doors.post("/{username:path}/activate", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def activate(call: InCall, who: Whom, wish: SubscriberReason) -> ChangedSubscriber:
    """Lets in one that was brought in as pending, or has no service: whom no run lets in."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.activate(who, request_id=_request_id(call)))


@doors.post("/{username:path}/end", permission="subscribers.write", responses=NOT_THERE, misfits=misfits_of_end)
async def end(call: InCall, who: WhomToEnd, wish: SubscriberReason) -> ChangedSubscriber:
    """Ends at once one that was brought in, or has no service: no login any more, and its sessions are ended."""
    desk = call.appliance.subscriber_desk(call.db)
    found = await desk.named(who)
    _tells(call, found, wish.reason)
    whom_it_is = SubscriberNumber(found["subscriber_id"])  # its own id may be somebody else's meanwhile
    return _kept(call, await desk.end(whom_it_is, request_id=_request_id(call)))


@doors.post("/{username:path}/rotate-password", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def rotate_password(call: InCall, who: Whom, wish: SubscriberReason) -> ChangedSubscriber:
    """Makes a new random password, which is sealed and not shown; sessions go on, and its CPE is told it."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.rotate_password(who, request_id=_request_id(call)))


@doors.post("/{username:path}/rename", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def rename(call: InCall, who: Whom, wish: Rename) -> ChangedSubscriber:
    """Lets it log in under another name alone; the former one is free when no session is open under it."""
    desk = call.appliance.subscriber_desk(call.db)
    _tells(call, await desk.to_be_renamed(who, wish.username), wish.reason)
    said = wish.model_dump(exclude={"reason"})
    return _kept(call, await desk.rename(who, **said, request_id=_request_id(call)))


@doors.post("/{username:path}/bind", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def bind(call: InCall, who: Whom, wish: LineBinding) -> ChangedSubscriber:
    """Lets it log in from one line alone, in place of the one it was bound to."""
    desk = await _seen(call, who, wish.reason)
    line = LineIdentity(wish.station, wish.port, wish.circuit, wish.remote)
    return _kept(call, await desk.bind(who, line=line, logs_in=wish.logs_in, request_id=_request_id(call)))


@doors.post("/{username:path}/unbind", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def unbind(call: InCall, who: Whom, wish: SubscriberReason) -> ChangedSubscriber:
    """Lets it log in from any line, with its password."""
    desk = await _seen(call, who, wish.reason)
    return _kept(call, await desk.unbind(who, request_id=_request_id(call)))


@doors.post("/{username:path}/identify", permission="subscribers.write", responses=NOT_THERE, misfits=misfits)
async def identify(call: InCall, who: Whom, wish: OwnId) -> SubscriberView:
    """Lets it be known by the ISP's own id of it: `GET /subscribers?external_id=`."""
    desk = await _seen(call, who, wish.reason)
    found = await desk.identify(who, external_id=wish.external_id)
    if found == call.deed.before:
        call.changes_nothing()
    return found


# behind the others, of which it would be a username: a name may have a / in it
@doors.get("/{username:path}", permission="subscribers.read")
async def show(call: InCall, who: Whom) -> SubscriberView:
    """One subscriber by their username, realm included."""
    return await call.appliance.subscriber_desk(call.db).named(who)


async def _seen(call: Call, who: Who, reason: str) -> SubscriberDesk:
    desk = call.appliance.subscriber_desk(call.db)
    _tells(call, await desk.named(who), reason)
    return desk


def _tells(call: Call, before: SubscriberView, reason: str) -> None:
    call.tells(
        subject=f"subscriber/{before['subscriber_id']}",
        customer_id=before["customer_id"],
        reason=reason,
        before=before,
    )


def _kept(call: Call, done: ChangedSubscriber) -> ChangedSubscriber:
    """What was so already is no change for the audit."""
    if was_so_already(call.deed.before, done):
        call.changes_nothing()
    return done


def _request_id(call: Call) -> str:
    """The request's key is one of its token."""
    who = f"{call.caller.token_id}/{key_of(call.request)}"
    return f"api/{hashlib.sha256(who.encode()).hexdigest()[:32]}"
