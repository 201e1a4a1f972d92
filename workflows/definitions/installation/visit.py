"""The appointment and the technician's visit: what comes of it decides whether the run goes on, back, or is undone."""

from __future__ import annotations

from datetime import UTC, datetime

from workflows.definitions.installation.kit import Installation, step
from workflows.definitions.installation.resources import allocate_resources, premise
from workflows.definitions.installation.ticket import AgreedAppointment, Appointment
from workflows.definitions.mailing import Letter, mail_steps
from workflows.definitions.visiting import BOOKED_ANEW, agreement, next_wanted, visit_letter, visit_to
from workflows.engine.routes import Route, UndoAll
from workflows.services import Outside, ScheduledInstallation, Services


def proposed(run: Installation) -> Appointment | None:
    """The appointment that is wanted now: at first the ticket's, after a failed visit the one its report named.

    Where a run was sent back from behind a scan, the technician is still at the door: the same visit is booked anew.
    """
    report, booked = run.last(visit), run.last(schedule_installation)
    if report is not None and booked is not None and report.outcome == "scanned" and booked["ends_at"] > run.now:
        return Appointment(technician_id=booked["technician_id"], scheduled_date=booked["starts_at"])
    return next_wanted(report if booked else None, first=run.input.appointment, named=lambda again: again)


def patient_until(run: Installation) -> datetime:
    """The hold date, until a scan has met it; a run that comes back from behind one gets the visit's patience anew."""
    kept = run.input.keep_until(run)
    scanned = any(report.outcome == "scanned" for report in run.results(visit))
    return max(kept, run.now + run.patience("visit")) if scanned else kept


def gave_up_waiting(run: Installation, wait: str) -> Route:
    deadline = run.rounds[wait][-1].deadline_at  # as the wait opened with it, or as a retry by hand moved it
    assert deadline is not None
    return UndoAll(f"no successful visit before {deadline.astimezone(UTC):%Y-%m-%d %H:%M} UTC; everything is released")


appointment = agreement(
    "appointment",
    AgreedAppointment,
    wanted=proposed,
    says="an appointment with the customer has to be made",
    subject=lambda run: run.input.ticket_id,
    deadline=patient_until,
    on_deadline=lambda run: gave_up_waiting(run, "appointment"),
    otherwise="the appointment is known already",
    patience=("visit",),
)


async def release_visit(services: Services, run: Installation, booked: ScheduledInstallation) -> None:
    """The technician is free again, unless the visit was moved and the run goes back to join it as it is now."""
    stays = any(told.visit_id == booked["visit_id"] for told in run.unheard(appointment))
    reason = BOOKED_ANEW if run.is_going_back else "the installation was undone"
    await services.ticketing_service.release_visit(visit_id=booked["visit_id"], reason=reason, stays=stays)


def agreed(run: Installation) -> Appointment:
    """What was told last, or else what was proposed."""
    return run[appointment] if run.done(appointment) else proposed(run) or run[appointment]


async def ways_of_installation(outside: Outside, run: Installation) -> None:
    wanted = agreed(run)
    await outside.ways.to_installation(
        customer_id=run.customer_id,
        order_id=run.input.order_id,
        technician_id=wanted.technician_id,
        scheduled_date=wanted.scheduled_date,
    )


@step.transactional(undo=release_visit, first=ways_of_installation)
async def schedule_installation(services: Services, run: Installation) -> ScheduledInstallation:
    """Where the order has a visit to come, it is this one's too, and moves only to another time that was agreed."""
    told, wanted = run[appointment] if run.done(appointment) else None, agreed(run)
    return await services.ticketing_service.schedule_installation(
        customer_id=run.customer_id,
        installation_address=run.input.installation_address,
        technician_id=wanted.technician_id,
        scheduled_date=wanted.scheduled_date,
        service_location=premise(run),
        planned_port=run[allocate_resources]["port"],
        order_id=run.input.order_id,
        visit_id=told.visit_id if told else None,
        request_id=run.key(schedule_installation),
    )


async def installation_scheduled(services: Services, run: Installation) -> Letter:
    booked = run[schedule_installation]
    return await visit_letter(services, booked, customer_id=run.customer_id, address=run.input.installation_address)


mail_appointment, deliver_appointment = mail_steps(
    installation_scheduled,
    undone_because="the appointment was called off",
    send="mail_appointment",
    deliver="deliver_appointment",
    when=lambda run: not run[schedule_installation].get("is_announced", False),
    otherwise="the customer has read of this visit in the order's confirmation",
)


visit = visit_to(
    "installation",
    schedule_installation,
    agreed=appointment,
    says="the technician's visit: waiting for the scan of the ONT",
    deadline=lambda run: max(patient_until(run), run[schedule_installation]["ends_at"]),
    on_deadline=lambda run: gave_up_waiting(run, "visit"),
    patience=("visit",),
)


def serial(run: Installation) -> str:
    """The serial that was scanned; the visit's report has been checked to carry one."""
    scanned = run[visit].device_serial
    assert scanned is not None
    return scanned
