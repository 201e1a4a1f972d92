"""``/dispatch/runs/{run_id}/invite``: the form by which dispatch lets a customer choose the time of their visit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import Response

from provisioning.access import subject_of
from provisioning.api import Call, InCall
from provisioning.api.pages import RunNumber
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.pages import show, to
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import Jobs

TO_AGREE = "/dispatch#to-agree"
MOST_TO_AGREE = 100

doors = ConsoleDoors(name="visits")


async def waiting_for_a_time(call: Call) -> Mapping[str, Any]:
    """What the board says of runs that wait for a time to be agreed: the longest waiting first, so many at most."""
    found = await call.appliance.first_slots(call.db).to_agree()
    return {"to_agree": found[:MOST_TO_AGREE], "more_to_agree": max(len(found) - MOST_TO_AGREE, 0)}


@doors.page("/dispatch/runs/{run_id}/invite", permission="visits.write")
async def look(call: InCall, run_id: RunNumber) -> Response:
    """Asks what is to be done there, and where, if the run doesn't know it."""
    awaited = await call.appliance.first_slots(call.db).awaited(run_id)
    return show(
        call,
        "invite.html.j2",
        f"Invite the customer of run {run_id}",
        awaited=awaited,
        jobs=[each["name"] for each in await Jobs(call.db, tenant_id=call.tenant_id).jobs()],
    )


@doors.act("/dispatch/runs/{run_id}/invite", permission="visits.write")
async def invite(call: InCall, run_id: RunNumber) -> Response:
    """Mails the link; leads back to the board."""
    form = form_of(call)
    call.tells(action="visits invite")
    invited = await call.appliance.first_slots(call.db).invite(
        run_id=run_id,
        job=form.text("job"),
        address=form.text("address") or None,
        latitude=None,
        longitude=None,
        days=_days(form),
        by=call.by,
    )
    call.tells(subject=subject_of("invitation", invited["invitation_id"]), customer_id=invited["customer_id"])
    call.tells(run_id=run_id, after=invited)
    return to(TO_AGREE)


def _days(form: Form) -> int:
    """Raises: InvalidRequest."""
    text = form.text("days")
    if not (text.isascii() and text.isdigit() and len(text) < 4):
        raise InvalidRequest("The invitation", [Fault("days", "is missing" if not text else "is no number of days")])
    return int(text)
