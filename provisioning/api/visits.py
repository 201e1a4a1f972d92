"""``/visits``: the calendar, and what the technician reports."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.own import require_own_visit
from provisioning.api.pages import After, Limit, Moment, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.field import ReportedVisit, VisitRecord, Visits
from provisioning.visits import Outcome
from workflows.definitions.installation import Appointment
from workflows.services import VisitState

doors = Doors(prefix="/visits", tags=["visits"])


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


@doors.get("/{visit_id}", permission="visits.read")
async def show(call: InCall, visit_id: Number, response: Response) -> VisitRecord:
    """One visit; its ETag goes with a report on it."""
    visit = await _own(call, visit_id)
    response.headers["ETag"] = _etag(visit)
    return visit


@doors.post("/{visit_id}/reports", permission="visits.report", status_code=201, if_match=True)
async def report(call: InCall, visit_id: Number, wish: Report, response: Response) -> KeptReport:
    """Keeps what came of a visit; the run that waits for it goes on at once. A scan of another ONT is a swap."""
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
