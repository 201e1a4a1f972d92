"""``/visits``: whom technicians go to; of one visit all that is known: its ticks, and what was written down there.

A technician sees only their own.
"""

from __future__ import annotations

from fastapi import Response

from provisioning.api import Call, InCall
from provisioning.api.own import require_own_visit
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import names_of
from provisioning.console.pages import HEADERS, show, today
from provisioning.days import begin_of, end_of
from provisioning.field import VISIT, Sheets, VisitRecord, Visits

ON_A_PAGE = 200

doors = ConsoleDoors(name="visits")


@doors.page("/visits", permission="visits.read")
async def visits(call: InCall, after: After = None) -> Response:
    """Today's visits, in the ISP's time zone, the earliest first."""
    day, zone = today(call), call.appliance.zone
    begins, ends = begin_of(day, zone), end_of(day, zone)
    calendar = Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
    technician = call.caller.technician_id
    found = await calendar.visits(
        starts_at=begins, ends_at=ends, technician_id=technician, after=row_of(after), limit=ON_A_PAGE + 1
    )
    page = page_of(call, found, [visit["visit_id"] for visit in found], ON_A_PAGE)
    return show(
        call,
        "visits.html.j2",
        "Today's visits",
        visits=page.items,
        total=await calendar.count(starts_at=begins, ends_at=ends, technician_id=technician),
        next=page.next,
        zone=zone,
        day=day,
        is_own=call.caller.technician_id is not None,
    )


@doors.page("/visits/{visit_id}", permission="visits.read")
async def visit(call: InCall, visit_id: Number) -> Response:
    """One visit, and its sheet."""
    found = await _own(call, visit_id)
    desk, runs = call.appliance.field_desk(call.db), call.appliance.runs
    about = await runs.about(call.db, VISIT, str(visit_id)) if "runs.read" in call.caller.permissions else []
    return show(
        call,
        "visit.html.j2",
        f"Visit {visit_id}",
        visit=found,
        order_is_ours=await _is_ours(call, found),
        names=await names_of(call, [found["customer_id"]]),
        sheet=await desk.sheet(visit_id),
        ticks=await desk.ticks(visit_id),
        runs=about,
        zone=call.appliance.zone,
    )


@doors.page("/visits/{visit_id}/photos/{photo_id}", permission="visits.read")
async def photo(call: InCall, visit_id: Number, photo_id: Number) -> Response:
    """One picture, as it was sent."""
    await _own(call, visit_id)
    found = await Sheets(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).photo(visit_id, photo_id)
    content = await call.appliance.photos.read(found["sha256"])
    return Response(content, media_type=found["media_type"], headers=HEADERS)


async def _is_ours(call: Call, visit: VisitRecord) -> bool:
    """Whether the order that the visit is for can be looked at here: a ticket may name one of another system's."""
    number = visit["order_id"]
    if number is None or "orders.read" not in call.caller.permissions:
        return False
    newest = await call.appliance.sales(call.db).orders(customer_id=visit["customer_id"], before_id=number + 1, limit=1)
    return [each["order_id"] for each in newest] == [number]


async def _own(call: Call, visit_id: int) -> VisitRecord:
    """Raises: VisitUnknown."""
    found = await Visits(call.db, tenant_id=call.tenant_id, now=call.appliance.clock).visit(visit_id)
    require_own_visit(call, found)
    return found
