"""``/dispatch``: a day's lanes by technician; a visit is moved by a form, to which dragging it leads as well."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Query, Response
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from provisioning.access import subject_of
from provisioning.api import Call, InCall
from provisioning.api.calls import etag_of
from provisioning.api.pages import Number
from provisioning.api.problems import Problem
from provisioning.api.routes import Later
from provisioning.api.technicians import override_of
from provisioning.console.day_board import HAS_TICKS, ON_THE_BOARD, lanes_of
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.invitations import waiting_for_a_time
from provisioning.console.pages import refused, refused_with, show, to, today
from provisioning.console.topics import TODAY
from provisioning.console.words import moments_in
from provisioning.days import begin_of, day_of, end_of
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import IN_VAIN, VisitChanged, VisitRecord, Visits
from provisioning.visits import Outcome
from workflows import FIRST_YEAR, LAST_YEAR

MOST_VISITS = 1000
LOCAL = "%Y-%m-%dT%H:%M"
"""A time by the ISP's clock, as a form sends it."""
BEYOND = f"not in {FIRST_YEAR} to {LAST_YEAR}"
ENDS: dict[str, Outcome] = {"cancel": "cancelled", "no-show": "no_access"}
"""How dispatch ends a visit, and what is kept of it."""
NO_FIT = frozenset({"field.technician_busy", "field.outside_hours", "field.skill_missing"})

doors = ConsoleDoors(name="visits")

Word = Annotated[str, Query(max_length=500)]
Day = Annotated[date | None, Query()]


@doors.page("/dispatch", permission="visits.write")
async def board(call: InCall, day: Day = None) -> Response:
    """One day, today if none is named. Today's visits follow what becomes of them."""
    wanted = _wanted(call, day)
    is_today = wanted == today(call)
    return show(
        call,
        "dispatch.html.j2",
        _title(wanted),
        topics=[TODAY] if is_today else [],
        day=wanted,
        is_today=is_today,
        is_over=False,
        before=wanted - timedelta(days=1),
        after=wanted + timedelta(days=1),
        **await _now(call, wanted),
    )


@doors.page("/dispatch/now", permission="visits.write")
async def board_now(call: InCall, day: Day = None) -> Response:
    """The lanes and who waits for a time, as they are now, without the page; and that its day is over, if it is."""
    wanted = _wanted(call, day)
    is_over = wanted < today(call)
    return show(call, "dispatch_now.html.j2", _title(wanted), day=wanted, is_over=is_over, **await _now(call, wanted))


async def _now(call: Call, day: date) -> dict[str, Any]:
    held = await call.appliance.run_slots(call.db).held()
    return {**await _lanes(call, day), **await waiting_for_a_time(call), "held": held}


async def _lanes(call: Call, day: date) -> dict[str, Any]:
    """Who works and is visited on that day, and the ticks of what was scanned."""
    zone, planning = call.appliance.zone, call.appliance.planning(call.db)
    begins, ends = begin_of(day, zone), end_of(day, zone)
    found = await _visits(call).visits(starts_at=begins, ends_at=ends, states=ON_THE_BOARD, limit=MOST_VISITS + 1)
    visits = found[:MOST_VISITS]
    scanned = [each["visit_id"] for each in visits if each["state"] in HAS_TICKS and each["scanned_serial"]]
    lanes = lanes_of(
        day, zone=zone, technicians=await planning.technicians(), leave=await planning.leave(), visits=visits
    )
    return {
        "lanes": [lane for lane in lanes if lane.blocks],
        "idle": [lane for lane in lanes if not lane.blocks],
        "ticks": await call.appliance.field_desk(call.db).seen_ticks(scanned),
        "is_cut": len(found) > MOST_VISITS,
        "most": MOST_VISITS,
        "in_vain": IN_VAIN,
        "zone": zone,
    }


def _wanted(call: Call, day: date | None) -> date:
    """Raises: InvalidRequest, where nobody can mean this day."""
    if day is not None and not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise InvalidRequest("The board", [Fault("day", f"is in the year {day.year}, {BEYOND}")])
    return day or today(call)


def _title(day: date) -> str:
    return f"Dispatch: {day:%A} {day.isoformat()}"


@doors.page("/dispatch/visits/{visit_id}", permission="visits.write")
async def look(
    call: InCall,
    visit_id: Number,
    technician: int | None = None,
    at: Word = "",
    reason: Word = "",
    override_reason: Word = "",
) -> Response:
    """The form that moves a visit: to whom, and when. ``at``: by the ISP's clock, as 2026-03-02T10:30."""
    visit = await _visits(call).visit(visit_id)
    local = visit["starts_at"].astimezone(call.appliance.zone)
    return show(
        call,
        "move.html.j2",
        f"Move visit {visit_id}",
        visit=visit,
        mark=_mark(visit),
        technicians=await call.appliance.planning(call.db).technicians(),
        technician=technician or visit["technician_id"],
        at=at or local.strftime(LOCAL),
        reason=reason,
        override_reason=override_reason,
        has_begun=_has_begun(call, visit),
        local=local,
        zone=call.appliance.zone,
    )


def _refused(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """Why it doesn't fit, and what does: each a form that is filled in already. Any other refusal is a page as ever.

    What is offered is within the rules, so why they are broken goes back to the form alone.
    """
    problem = {**problem, "detail": moments_in(problem["detail"], request.app.state.appliance.zone)}
    if problem["code"] not in NO_FIT:
        return refused(request, problem, headers)
    form: Form = request.state.form
    path, zone, reason = request.url.path, request.app.state.appliance.zone, form.text("reason")
    offers = []
    for offer in problem.get("alternatives", []):
        starts_at = datetime.fromisoformat(offer["starts_at"]).astimezone(zone)
        asked = {"technician": offer["technician_id"], "at": starts_at.strftime(LOCAL), "reason": reason}
        offers.append((f"{path}?{urlencode(asked)}", starts_at, offer["technician_name"], offer["why"]))
    tried = {"technician": form.text("technician"), "at": form.text("at"), "reason": reason}
    if why_anyway := form.text("override_reason"):
        tried["override_reason"] = why_anyway
    return refused_with(
        request, problem, "no_fit.html.j2", offers=offers, again=f"{path}?{urlencode(tried)}", title="It doesn't fit"
    )


async def _ways_of_move(call: Call) -> Later | None:
    """The ways are asked for while nobody is held and no transaction is open."""
    try:
        visit_id = TypeAdapter(Number).validate_python(call.request.path_params["visit_id"])
        technician, starts_at = _read(call, form_of(call))
    except (ValidationError, InvalidRequest):
        return None  # the route names all faults
    desk = call.appliance.dispatch_desk(call.db)
    return await desk.look_ahead(visit_id=visit_id, technician_id=technician, starts_at=starts_at)


@doors.post(
    "/dispatch/visits/{visit_id}",
    permission="visits.write",
    refusal=_refused,
    first=_ways_of_move,
    keyed=False,
    takes_json=False,
)
async def move(call: InCall, visit_id: Number) -> Response:
    """Moves it, if it still is as it was seen; leads to the day on which it is then."""
    form, seen = form_of(call), await _visits(call).visit(visit_id)
    technician, starts_at = _read(call, form)
    if form.text("seen") != _mark(seen):
        raise VisitChanged(visit_id)
    call.tells(
        action="visits reschedule",
        subject=subject_of("visit", visit_id),
        customer_id=seen["customer_id"],
        before=seen,
    )
    why_anyway = form.text("override_reason") or None
    override_of(call, why_anyway)
    call.tells(reason=form.text("reason"))
    moved = await call.appliance.dispatch_desk(call.db).reschedule(
        visit_id=visit_id,
        technician_id=technician,
        starts_at=starts_at,
        reason=form.text("reason"),
        override_reason=why_anyway,
        seen=seen,
        by=call.by,
    )
    call.tells(after=moved)
    return to(f"/dispatch?day={day_of(moved['starts_at'], call.appliance.zone).isoformat()}#visit-{visit_id}")


@doors.post(
    "/dispatch/visits/{visit_id}/end", permission="visits.write", refusal=_refused, keyed=False, takes_json=False
)
async def end(call: InCall, visit_id: Number) -> Response:
    """Calls it off, or keeps that nobody was at home; if it still is as it was seen. Leads back to its day."""
    form, seen = form_of(call), await _visits(call).visit(visit_id)
    outcome, reason = ENDS.get(form.text("outcome")), form.text("reason")
    faults = [] if outcome else [Fault("outcome", f"is none of {', '.join(ENDS)}")]
    faults += [] if reason else [Fault("reason", "is missing")]
    if outcome is None or faults:
        raise InvalidRequest("The end of the visit", faults)
    if form.text("seen") != _mark(seen):
        raise VisitChanged(visit_id)
    reported, runs = await call.appliance.visit_desk(call.db).report(
        visit_id=visit_id, outcome=outcome, note=reason, seen=seen, by=call.by
    )
    call.tells(
        action=f"visits {form.text('outcome')}",
        subject=subject_of("visit", visit_id),
        customer_id=seen["customer_id"],
        run_id=runs[0] if runs else None,
        reason=reason,
        before=seen,
        after=reported,
    )
    return to(f"/dispatch?day={day_of(seen['starts_at'], call.appliance.zone).isoformat()}")


def _read(call: Call, form: Form) -> tuple[int, datetime]:
    """To whom, and when. Raises: InvalidRequest (all faults)."""
    faults = []
    technician, at = form.text("technician"), form.text("at")
    if not (technician.isascii() and technician.isdigit() and len(technician) < 10):
        faults.append(Fault("technician", "is missing" if not technician else "is no technician's number"))
    starts_at = moment_by(at, call.appliance.zone)
    if isinstance(starts_at, Fault):
        faults.append(starts_at)
    if not form.text("reason"):
        faults.append(Fault("reason", "is missing"))
    if faults:
        raise InvalidRequest("The reschedule", faults)
    assert isinstance(starts_at, datetime), "a time that can't be meant has left a fault"
    return int(technician), starts_at


def moment_by(text: str, zone: ZoneInfo) -> datetime | Fault:
    """When it is this time by the ISP's clock, or why that can't be told."""
    if not text:
        return Fault("at", "is missing")
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        return Fault("at", "is no time, as 2026-03-02T10:30 is one")
    if told.tzinfo is not None:
        return Fault("at", f"has a time zone of its own; it is told by the clock of {zone.key}")
    if not FIRST_YEAR <= told.year <= LAST_YEAR:
        return Fault("at", f"is in the year {told.year}, {BEYOND}")
    moment = told.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != told:
        return Fault("at", f"is no time in {zone.key}: the clocks go forward past it")
    return moment


def _has_begun(call: Call, visit: VisitRecord) -> bool:
    return visit["starts_at"] <= call.appliance.clock()


def _mark(visit: VisitRecord) -> str:
    """What changes when anything of the visit does."""
    return etag_of(*visit.values())


def _visits(call: Call) -> Visits:
    return Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
