"""``/visits``: the calendar, and what the technician reports."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import TypeAdapter, ValidationError

from provisioning.access import is_key_used
from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.idempotency import key_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.own import require_own_visit
from provisioning.api.pages import After, Limit, Moment, Number, Page, RunNumber, Wanted, page_of, row_of
from provisioning.api.routes import Doors, Later
from provisioning.api.technicians import override_of
from provisioning.api.wishes import Wish
from provisioning.field import (
    CancelRefused,
    InvitationRecord,
    Invitations,
    ReportedVisit,
    SlotOffer,
    VisitRecord,
    Visits,
)
from provisioning.visits import Outcome
from workflows.definitions.installation import Appointment
from workflows.services import VisitState

doors = Doors(prefix="/visits", tags=["visits"])

MOST_AT_ONCE = 4
"""Who book or move at the same time: more of them would only wait for each other, at the technician."""


class Report(Wish):
    """What came of a visit. ``serial`` is needed by *scanned*, ``note`` by *not_feasible* and *cancelled*."""

    outcome: Outcome
    serial: str | None = None
    port: str | None = None
    note: str | None = None
    next_appointment: Appointment | None = None


class KeptReport(Wish):
    """The report as it was kept, and the runs that heard something new."""

    report: ReportedVisit
    runs: list[int]


class Book(Wish):
    """Who goes to whom, when, to do what. ``override_reason``: why outside hours, or without a skill; it needs the
    permission ``visits.override``. ``run_id``: the run that waits for this visit, or is held for want of one; it goes
    on with it, and an order's visit that is to come is moved instead."""

    customer_id: int
    technician_id: int
    starts_at: Moment
    address: str
    job: str
    latitude: float | None = None
    longitude: float | None = None
    location: str | None = None
    order_id: int | None = None
    run_id: RunNumber | None = None
    override_reason: str | None = None


class Invite(Wish):
    """For which run the customer chooses the time, of which kind of job, and where: ``address`` if the run knows none,
    ``latitude`` and ``longitude`` for the way there. The link opens for so many ``days``."""

    run_id: RunNumber
    job: str
    address: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    days: int = 7


class Reschedule(Wish):
    """Another time, or somebody else; why."""

    technician_id: int
    starts_at: Moment
    reason: str
    override_reason: str | None = None


class VisitCancel(Wish):
    """Why the visit is called off."""

    reason: str


@doors.get("", permission="visits.read", responses={404: problem(WORDS[404])})
async def list_(
    call: InCall,
    technician: Wanted = None,
    state: Annotated[list[VisitState] | None, Query()] = None,
    ends_after: Annotated[Moment | None, Query(description="Only visits that end after this moment")] = None,
    starts_before: Annotated[Moment | None, Query(description="Only visits that start before it")] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[VisitRecord]:
    """Visits, the earliest first. A technician sees their own."""
    own = call.caller.technician_id
    if own is not None and technician not in (None, own):
        return Page(items=[])
    found = await _visits(call).visits(
        starts_at=ends_after,
        ends_at=starts_before,
        technician_id=technician if own is None else own,
        states=state or (),
        after=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [visit["visit_id"] for visit in found], limit)


@doors.get("/slots", permission="visits.write", responses={404: problem(WORDS[404])})
async def slots(
    call: InCall,
    job: Annotated[str, Query(max_length=60, description="The kind of job, by its name")],
    latitude: Annotated[float | None, Query(ge=-90, le=90)] = None,
    longitude: Annotated[float | None, Query(ge=-180, le=180)] = None,
    starts_after: Annotated[Moment | None, Query(description="Now, if it is not given")] = None,
    days: Annotated[int, Query(ge=1, le=31)] = 7,
    technician: Wanted = None,
    limit: Limit = 20,
) -> Page[SlotOffer]:
    """When somebody can come who is able to do the job: day by day the best first, and in words why."""
    found = await call.appliance.dispatch_desk(call.db).slots(
        job=job,
        latitude=latitude,
        longitude=longitude,
        starts_after=starts_after,
        days=days,
        technician_id=technician,
        limit=limit,
    )
    return Page(items=found)


async def _unless_taken(call: Call) -> Later | None:
    """Who wants a slot that is taken is refused before anything may be written; who asks again under the same key for
    what they have got is answered as before."""
    key = key_of(call.request)
    if call.caller.token_id is not None and await is_key_used(
        call.db, tenant_id=call.tenant_id, token_id=call.caller.token_id, key=key
    ):
        return None
    try:
        wish = Book.model_validate_json(await call.request.body())
    except ValidationError:
        return None  # the route names all faults
    slot = wish.model_dump(include={"technician_id", "starts_at", "job", "latitude", "longitude"})
    if wish.run_id is not None:
        return await call.appliance.run_slots(call.db).look_ahead(run_id=wish.run_id, **slot)
    return await call.appliance.dispatch_desk(call.db).refuse_taken(**slot)


@doors.post(
    "",
    permission="visits.write",
    status_code=201,
    responses={404: problem(WORDS[404])},
    first=_unless_taken,
    most_at_once=MOST_AT_ONCE,
)
async def book(call: InCall, wish: Book, response: Response) -> VisitRecord:
    """Books a visit. Who comes too late for a slot is told the nearest ones that are free (``alternatives``)."""
    call.tells(customer_id=wish.customer_id, run_id=wish.run_id)
    if wish.override_reason is not None:
        override_of(call, wish.override_reason)
    if wish.run_id is None:
        booked = await call.appliance.dispatch_desk(call.db).book(**wish.model_dump(exclude={"run_id"}), by=call.by)
    else:
        said = wish.model_dump(exclude={"location"})  # where it is, the run knows
        booked = await call.appliance.run_slots(call.db).book(**said, by=call.by)
    call.tells(subject=f"visit/{booked['visit_id']}")
    response.headers["Location"] = call.address(f"visits/{booked['visit_id']}")
    response.headers["ETag"] = _etag(booked)
    return booked


@doors.get("/invitations", permission="visits.read")
async def invitations(
    call: InCall,
    open: Annotated[
        bool, Query(description="Only the newest of each run, which nobody has used, before their day")
    ] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[InvitationRecord]:
    """Which customers were invited to choose the time of their visit, the newest first. A technician sees none."""
    if call.caller.technician_id is not None:
        return Page(items=[])
    found = await Invitations(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).invitations(
        only_open=open, before_id=row_of(after), limit=limit + 1
    )
    return page_of(call, found, [each["invitation_id"] for each in found], limit)


@doors.post("/invitations", permission="visits.write", status_code=201, responses={404: problem(WORDS[404])})
async def invite(call: InCall, wish: Invite) -> InvitationRecord:
    """Mails the customer of a run that waits for a time a link by which they choose it. A former one counts no more."""
    invited = await call.appliance.first_slots(call.db).invite(**wish.model_dump(), by=call.by)
    call.tells(subject=f"invitation/{invited['invitation_id']}", customer_id=invited["customer_id"])
    call.tells(run_id=invited["run_id"], after=invited)
    return invited


@doors.get("/{visit_id}", permission="visits.read")
async def show(call: InCall, visit_id: Number, response: Response) -> VisitRecord:
    """One visit; its ETag goes with a report on it."""
    visit = await _own(call, visit_id)
    response.headers["ETag"] = _etag(visit)
    return visit


@doors.post("/{visit_id}/reports", permission="visits.report", status_code=201, if_match=True)
async def report(call: InCall, visit_id: Number, wish: Report, response: Response) -> KeptReport:
    """Keeps what came of a visit; the run that waits for it goes on at once. A scan of another ONT is a swap.

    Only who may call a visit off reports that it is, and only who may send others names another technician for the
    next appointment.
    """
    if wish.outcome == "cancelled" and "visits.write" not in call.caller.permissions:
        await _own(call, visit_id)
        raise CancelRefused(visit_id)
    if wish.next_appointment is not None and wish.next_appointment.technician_id != call.caller.technician_id:
        call.caller.require("visits.write")
    return await _report(call, visit_id, wish, response)


async def ways_of_move(call: Call) -> Later | None:
    """The ways are asked for while nobody is held and no transaction is open."""
    try:
        wish = Reschedule.model_validate_json(await call.request.body())
        visit_id = TypeAdapter(Number).validate_python(call.request.path_params["visit_id"])
    except ValidationError:
        return None  # the route names all faults
    return await call.appliance.dispatch_desk(call.db).look_ahead(
        visit_id=visit_id, technician_id=wish.technician_id, starts_at=wish.starts_at
    )


@doors.post(
    "/{visit_id}/reschedule",
    permission="visits.report",
    if_match=True,
    first=ways_of_move,
    most_at_once=MOST_AT_ONCE,
)
async def reschedule(call: InCall, visit_id: Number, wish: Reschedule, response: Response) -> VisitRecord:
    """Moves a visit that is to come. A technician moves their own, and keeps it."""
    seen = await _own(call, visit_id)
    call.require_match(_etag(seen))
    if call.caller.technician_id not in (None, wish.technician_id):
        call.caller.require("visits.write")
    call.tells(subject=f"visit/{visit_id}", customer_id=seen["customer_id"], before=seen)
    if wish.override_reason is not None:
        override_of(call, wish.override_reason)
    call.tells(reason=wish.reason)
    moved = await call.appliance.dispatch_desk(call.db).reschedule(
        visit_id=visit_id, **wish.model_dump(), seen=seen, by=call.by
    )
    response.headers["ETag"] = _etag(moved)
    return moved


@doors.post("/{visit_id}/cancel", permission="visits.write", if_match=True)
async def cancel(call: InCall, visit_id: Number, wish: VisitCancel, response: Response) -> KeptReport:
    """Calls a visit off; the run that waits for it then waits until another time is agreed, and keeps its addresses no
    longer than it would have anyhow."""
    report = Report(outcome="cancelled", note=wish.reason)
    return await _report(call, visit_id, report, response)


@doors.post("/{visit_id}/no-show", permission="visits.report", if_match=True)
async def no_show(call: InCall, visit_id: Number, wish: VisitCancel, response: Response) -> KeptReport:
    """Nobody was there to open the door: as a report of ``no_access``, refused before the visit begins."""
    return await _report(call, visit_id, Report(outcome="no_access", note=wish.reason), response)


async def _report(call: Call, visit_id: int, wish: Report, response: Response) -> KeptReport:
    seen = await _own(call, visit_id)
    call.require_match(_etag(seen))
    reported, runs = await call.appliance.visit_desk(call.db).report(
        visit_id=visit_id,
        outcome=wish.outcome,
        serial=wish.serial,
        port=wish.port,
        note=wish.note,
        next_appointment=wish.next_appointment,
        seen=seen,
        by=call.by,
    )
    call.tells(
        subject=f"visit/{visit_id}",
        customer_id=seen["customer_id"],
        run_id=runs[0] if runs else None,
        reason=wish.note,
        before={"state": seen["state"], "serial": seen["scanned_serial"]},
    )
    response.headers["ETag"] = _etag(await _visits(call).visit(visit_id))
    return KeptReport(report=reported, runs=runs)


async def _own(call: Call, visit_id: int) -> VisitRecord:
    visit = await _visits(call).visit(visit_id)
    require_own_visit(call, visit)
    return visit


def _visits(call: Call) -> Visits:
    return Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)


def _etag(visit: VisitRecord) -> str:
    return etag_of(*visit.values())
