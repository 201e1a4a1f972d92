"""``/dispatch/slots``: who can come when, the best first and why; and a visit that is booked by choosing one of them.

By hand for a customer, for a run that waits (or is held) for a visit, or as another time of a visit that is to come.
Whoever comes too late for a slot is shown the nearest others, each a button.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import Query, Response
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from provisioning.access import subject_of
from provisioning.api import Call, InCall
from provisioning.api.pages import Number, RunNumber
from provisioning.api.problems import Problem
from provisioning.api.routes import Later
from provisioning.api.technicians import override_of
from provisioning.api.visits import MOST_AT_ONCE
from provisioning.console.dispatch import LOCAL, NO_FIT
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.pages import refused, refused_with, show, to
from provisioning.console.slot_forms import (
    Question,
    coordinates_of,
    read_booking,
    read_coordinates,
    read_number,
    read_question,
)
from provisioning.console.words import moments_in
from provisioning.days import begin_of, day_of
from provisioning.errors import InvalidRequest
from provisioning.field import Jobs, Place, SlotOffer, VisitRecord, Visits
from provisioning.intake import Faults
from provisioning.run_slots import WantedVisit

MOST_OFFERS = 60
MOST_A_DAY = 6
"""Of several days; one that is looked at alone is shown as a whole."""
ASKED = ("job", "customer", "order", "address", "place")
"""What of a form goes back to the search."""

doors = ConsoleDoors(name="visits")

Word = Annotated[str, Query(max_length=500)]


@doors.page("/dispatch/slots", permission="visits.write")
async def by_hand(
    call: InCall,
    customer: Word = "",
    order: Word = "",
    job: Word = "",
    address: Word = "",
    place: Word = "",
    day: Word = "",
    days: Word = "7",
    technician: Word = "",
) -> Response:
    """For a customer, as dispatch has heard from them. What their newest visit tells is filled in."""
    faults = Faults("The search")
    number = read_number(faults, "customer", customer)
    read_number(faults, "order", order)
    question, where = read_question(call, faults, day, days, technician), read_coordinates(faults, place)
    faults.refuse_if_any()
    name, former = "", None
    if number is not None:
        services = call.appliance.services(call.db)
        name = (await services.customer_service.customer(number))["name"]
        former = await _visits(call).newest_of(number)
    asked = {
        "customer": customer,
        "order": order,
        "job": job,
        "address": address or _told(former, "address"),
        "place": place or coordinates_of(former),
    }
    where = where or (read_coordinates(faults, asked["place"]) if not place else None)
    offers = None if not (job and number) else await _slots(call, job, where, question)
    title = "Book a visit" + (f" for {name}" if name else "")
    return await _page(call, title, asked, question, offers, action="/dispatch/slots", by_hand=True)


@doors.page("/dispatch/runs/{run_id}/slots", permission="visits.write")
async def of_run(
    call: InCall,
    run_id: RunNumber,
    job: Word = "",
    address: Word = "",
    place: Word = "",
    day: Word = "",
    days: Word = "7",
    technician: Word = "",
) -> Response:
    """For a run that waits for a visit, or is held for want of one; where its order has a visit, that one is moved."""
    faults = Faults("The search")
    question = read_question(call, faults, day, days, technician)
    read_coordinates(faults, place)
    faults.refuse_if_any()
    wanted = await call.appliance.run_slots(call.db).wanted(run_id)
    known = wanted.visit or wanted.former
    asked = {
        "job": job or _told(known, "job"),
        "address": wanted.address or address or _told(known, "address"),
        "place": place or coordinates_of(known),
    }
    if wanted.visit is not None:
        offers = await _slots_of(call, wanted.visit, question)
    elif asked["job"]:
        offers = await _slots(call, asked["job"], read_coordinates(faults, asked["place"]), question)
    else:
        offers = None
    action = f"/dispatch/runs/{run_id}/slots"
    return await _page(call, f"A visit for run {run_id}", asked, question, offers, action=action, wanted=wanted)


@doors.page("/dispatch/visits/{visit_id}/slots", permission="visits.write")
async def of_visit(call: InCall, visit_id: Number, day: Word = "", days: Word = "7", technician: Word = "") -> Response:
    """Another time for a visit that is to come: each leads to the form that moves it, filled in."""
    faults = Faults("The search")
    question = read_question(call, faults, day, days, technician)
    faults.refuse_if_any()
    visit = await _visits(call).visit(visit_id)
    asked = {"job": visit["job"] or "", "address": visit["address"], "place": coordinates_of(visit)}
    offers = await _slots_of(call, visit, question) if visit["state"] == "booked" else None
    return await _page(call, f"Another time for visit {visit_id}", asked, question, offers, action="", moved=visit)


def _refused(request: Request, problem: Problem, headers: Mapping[str, str]) -> Response:
    """Why it can't be had, and what can: each booked by its button. Any other refusal is a page as ever."""
    problem = {**problem, "detail": moments_in(problem["detail"], request.app.state.appliance.zone)}
    if problem["code"] not in NO_FIT:
        return refused(request, problem, headers)
    form: Form = request.state.form
    zone, path = request.app.state.appliance.zone, request.url.path
    offers = [
        (
            f"{each['technician_id']}@{each['starts_at']}",
            datetime.fromisoformat(each["starts_at"]).astimezone(zone),
            each["technician_name"],
            each["why"],
        )
        for each in problem.get("alternatives", [])
    ]
    kept = {name: form.text(name) for name in (*ASKED, "nonce") if form.text(name)}
    again = f"{path}?{urlencode({name: kept[name] for name in ASKED if name in kept})}"
    return refused_with(
        request, problem, "no_slot.html.j2", offers=offers, again=again, action=path, kept=kept, title="It can't be had"
    )


async def _ways(call: Call) -> Later | None:
    """A slot that is plainly taken is refused before anybody is held; and the ways are asked for meanwhile."""
    try:
        booking = read_booking(call)
    except InvalidRequest:
        return None  # the route names all faults
    if await _visits(call).is_requested(booking.request_id):
        return None
    return await call.appliance.dispatch_desk(call.db).refuse_taken(**booking.facts)


async def _ways_for_run(call: Call) -> Later | None:
    """The same; but a visit that is moved is in its own way."""
    try:
        run_id, booking = TypeAdapter(RunNumber).validate_python(call.request.path_params["run_id"]), read_booking(call)
    except (ValidationError, InvalidRequest):
        return None
    if await _visits(call).is_requested(booking.request_id):
        return None
    return await call.appliance.run_slots(call.db).look_ahead(run_id=run_id, **booking.facts)


TERMS: dict[str, Any] = {
    "permission": "visits.write",
    "refusal": _refused,
    "most_at_once": MOST_AT_ONCE,
    "keyed": False,
    "takes_json": False,
}


@doors.post("/dispatch/slots", first=_ways, **TERMS)
async def book_by_hand(call: InCall) -> Response:
    """Books it; leads to the day on which it is."""
    booking = read_booking(call, with_customer=True)
    call.tells(action="visits book", customer_id=booking.customer_id)
    why_anyway = _override(call)
    booked = await call.appliance.dispatch_desk(call.db).book(
        customer_id=booking.customer_id,
        order_id=booking.order_id,
        address=booking.address,
        override_reason=why_anyway,
        request_id=booking.request_id,
        by=call.by,
        **booking.facts,
    )
    return _leads_to(call, booked)


@doors.post("/dispatch/runs/{run_id}/slots", first=_ways_for_run, **TERMS)
async def book_for_run(call: InCall, run_id: RunNumber) -> Response:
    """Books it, and the run goes on; leads to the day on which it is."""
    booking = read_booking(call)
    call.tells(action="visits book", run_id=run_id)
    why_anyway = _override(call)
    booked = await call.appliance.run_slots(call.db).book(
        run_id=run_id,
        address=booking.address,
        override_reason=why_anyway,
        request_id=booking.request_id,
        by=call.by,
        **booking.facts,
    )
    return _leads_to(call, booked)


def _leads_to(call: Call, booked: VisitRecord) -> Response:
    visit_id = booked["visit_id"]
    call.tells(subject=subject_of("visit", visit_id), customer_id=booked["customer_id"], after=booked)
    return to(f"/dispatch?day={day_of(booked['starts_at'], call.appliance.zone).isoformat()}#visit-{visit_id}")


async def _page(
    call: Call,
    title: str,
    asked: Mapping[str, str],
    question: Question,
    offers: Sequence[SlotOffer] | None,
    *,
    action: str,
    by_hand: bool = False,
    wanted: WantedVisit | None = None,
    moved: VisitRecord | None = None,
) -> Response:
    zone = call.appliance.zone
    days = groupby(offers or (), key=lambda offer: day_of(offer["starts_at"], zone))
    return show(
        call,
        "slots.html.j2",
        title,
        asked=asked,
        question=question,
        days=None if offers is None else [(day, list(found)) for day, found in days],
        jobs=await Jobs(call.db, tenant_id=call.tenant_id).jobs(),
        technicians=await call.appliance.planning(call.db).technicians(),
        action=action,
        by_hand=by_hand,
        wanted=wanted,
        moved=moved,
        nonce=secrets.token_urlsafe(9),
        local=LOCAL,
        zone=zone,
        whole=lambda day: f"?{urlencode({**call.request.query_params, 'day': day.isoformat(), 'days': '1'})}",
        most_a_day=MOST_A_DAY,
    )


async def _slots(call: Call, job: str, place: Place | None, question: Question) -> list[SlotOffer]:
    return await call.appliance.dispatch_desk(call.db).slots(
        job=job,
        latitude=place.latitude if place else None,
        longitude=place.longitude if place else None,
        starts_after=begin_of(question.day, call.appliance.zone),
        days=question.days,
        technician_id=question.technician_id,
        limit=MOST_OFFERS,
        most_a_day=MOST_A_DAY if question.days > 1 else None,
    )


async def _slots_of(call: Call, visit: VisitRecord, question: Question) -> list[SlotOffer]:
    return await call.appliance.dispatch_desk(call.db).slots_of(
        visit_id=visit["visit_id"],
        starts_after=begin_of(question.day, call.appliance.zone),
        days=question.days,
        technician_id=question.technician_id,
        limit=MOST_OFFERS,
        most_a_day=MOST_A_DAY if question.days > 1 else None,
    )


def _override(call: Call) -> str | None:
    """Why it is booked against the rules, if so. Raises: AccessForbidden."""
    why = form_of(call).text("override_reason") or None
    override_of(call, why)
    return why


def _told(visit: VisitRecord | None, fact: str) -> str:
    return str(visit.get(fact) or "") if visit is not None else ""


def _visits(call: Call) -> Visits:
    return Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
