"""``/visits``: whom technicians go to. A technician sees only their own of today."""

from __future__ import annotations

from fastapi import Response

from provisioning.api import InCall
from provisioning.api.pages import After, page_of, row_of
from provisioning.console.doors import ConsoleDoors
from provisioning.console.pages import show, today
from provisioning.days import begin_of, end_of
from provisioning.field import Visits

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
