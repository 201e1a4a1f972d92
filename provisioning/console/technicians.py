"""``/technicians``: who visits customers, when they work and when they are away, and the links to their calendars."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import Response

from provisioning.access import subject_of
from provisioning.api import Call, InCall
from provisioning.api.calendars import FOLDER
from provisioning.api.pages import Number
from provisioning.api.technicians import override_of
from provisioning.commercial import PublicUrlMissing
from provisioning.console.dispatch import moment_by
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.pages import show, to
from provisioning.errors import Fault
from provisioning.field import FeedRecord, LeaveUnknown, PlannedTechnician
from provisioning.field.rosters import WEEKDAYS
from provisioning.intake import Faults

doors = ConsoleDoors(name="technicians")


@doors.page("/technicians", permission="technicians.read")
async def technicians(call: InCall) -> Response:
    """All of them, by name; and the links to calendars, which tell nobody's address again."""
    planning = call.appliance.planning(call.db)
    found = await planning.technicians()
    return show(
        call,
        "technicians.html.j2",
        "Technicians",
        technicians=found,
        leave=await planning.leave(),
        feeds=await _feeds(call),
        teams=sorted({each["team"] for each in found if each["team"]}),
        names={each["technician_id"]: each["name"] for each in found},
        zones={each["technician_id"]: _zone(call, each) for each in found},
        weekdays=WEEKDAYS,
    )


@doors.page("/technicians/{technician_id}", permission="technicians.read")
async def technician(call: InCall, technician_id: Number) -> Response:
    """One of them: their week, their leave, the links to their calendar, and the forms that change these."""
    planning = call.appliance.planning(call.db)
    found = await planning.technician(technician_id)
    return show(
        call,
        "technician.html.j2",
        found["name"],
        technician=found,
        leave=await planning.leave(technician_id=technician_id),
        feeds=[each for each in await _feeds(call) if each["technician_id"] == technician_id],
        zone=_zone(call, found),
        weekdays=WEEKDAYS,
    )


@doors.act("/technicians/{technician_id}/plan", permission="technicians.write")
async def plan(call: InCall, technician_id: Number) -> Response:
    """When and from where they work, as a whole; visits that would lie outside are named, and refuse it."""
    form, planning = form_of(call), call.appliance.planning(call.db)
    before = await planning.technician(technician_id)
    faults = Faults("The plan")
    home = [_degrees(faults, name, form.text(name)) for name in ("home_latitude", "home_longitude")]
    faults.refuse_if_any()
    call.tells(subject=subject_of("technician", technician_id), before=before)
    after = await planning.plan(
        technician_id=technician_id,
        team=form.text("team") or None,
        van=form.text("van") or None,
        home_latitude=home[0],
        home_longitude=home[1],
        week=_week(form),
        time_zone=form.text("time_zone") or None,
        holidays=form.text("holidays") or None,
        override=override_of(call, form.text("override_reason") or None),
    )
    call.tells(after=after)
    return to(f"/technicians/{technician_id}")


@doors.act("/technicians/{technician_id}/leave", permission="technicians.write")
async def take_leave(call: InCall, technician_id: Number) -> Response:
    """They aren't there; visits that are booked then are named, and refuse it."""
    form, planning = form_of(call), call.appliance.planning(call.db)
    zone = _zone(call, await planning.technician(technician_id))
    faults = Faults("The leave")
    begins, ends = (_moment(faults, name, form.text(name), zone) for name in ("starts_at", "ends_at"))
    reason = faults.line("reason", form.text("reason"))
    faults.refuse_if_any()
    assert begins is not None and ends is not None, "what is missing has left a fault"
    call.tells(subject=subject_of("technician", technician_id), reason=reason)
    override = override_of(call, form.text("override_reason") or None)
    taken = await planning.take_leave(
        technician_id=technician_id, starts_at=begins, ends_at=ends, reason=reason, override=override
    )
    call.tells(after=taken)
    return to(f"/technicians/{technician_id}#leave")


@doors.act("/technicians/{technician_id}/leave/{leave_id}/withdraw", permission="technicians.write")
async def withdraw_leave(call: InCall, technician_id: Number, leave_id: Number) -> Response:
    """They are there after all."""
    planning = call.appliance.planning(call.db)
    known = await planning.leave(technician_id=technician_id)
    if leave_id not in {each["leave_id"] for each in known}:
        raise LeaveUnknown(leave_id)
    withdrawn = await planning.withdraw_leave(leave_id)
    call.tells(subject=subject_of("technician", technician_id), before=withdrawn)
    return to(f"/technicians/{technician_id}#leave")


@doors.act("/technicians/feeds", permission="technicians.write")
async def make_feed(call: InCall) -> Response:
    """A link to a technician's calendar, or a team's: shown now, and never again."""
    base = call.appliance.settings.public_url
    if base is None:
        raise PublicUrlMissing
    form, faults = form_of(call), Faults("The calendar link")
    number = form.text("technician")
    if number and not (number.isascii() and number.isdigit() and len(number) < 10):
        faults.add("technician", "is no technician's number")
    faults.refuse_if_any()
    made = await call.appliance.feeds(call.db).make(
        technician_id=int(number) if number else None, team=form.text("team") or None, by=call.by
    )
    call.tells(subject=subject_of("calendar-feed", made.feed["feed_id"]), after=made.feed)
    return show(
        call,
        "feed_made.html.j2",
        "A link to a calendar",
        feed=made.feed,
        address=f"{base.rstrip('/')}{FOLDER}{made.token}.ics",
    )


@doors.act("/technicians/feeds/{feed_id}/revoke", permission="technicians.write")
async def revoke_feed(call: InCall, feed_id: Number) -> Response:
    """The link opens no more."""
    revoked = await call.appliance.feeds(call.db).revoke(feed_id)
    call.tells(subject=subject_of("calendar-feed", feed_id), before={**revoked, "revoked": False}, after=revoked)
    return to("/technicians#feeds")


async def _feeds(call: Call) -> list[FeedRecord]:
    """Those that open."""
    return [each for each in await call.appliance.feeds(call.db).feeds() if not each["revoked"]]


def _zone(call: Call, technician: PlannedTechnician) -> ZoneInfo:
    """By whose clock they work."""
    return ZoneInfo(technician["time_zone"]) if technician["time_zone"] else call.appliance.zone


def _week(form: Form) -> dict[str, Any] | None:
    """By weekday the periods that were typed; None where nothing was."""
    typed = {day: [each.strip() for each in form.text(day).split(",") if each.strip()] for day in WEEKDAYS}
    return {day: periods for day, periods in typed.items() if periods} or None


def _degrees(faults: Faults, field: str, text: str) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        faults.add(field, "is no number of degrees, as 52.5163 is one")
        return None


def _moment(faults: Faults, field: str, text: str, zone: ZoneInfo) -> datetime | None:
    moment = moment_by(text, zone)
    if isinstance(moment, Fault):
        faults.add(field, moment.reason)
        return None
    return moment
