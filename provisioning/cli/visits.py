"""``firstlight visits``: the calendar, which customers choose their time, and what the technician reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.days import minute
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import InvitationRecord, Invitations, Visits
from provisioning.visits import Outcome
from workflows.definitions.installation import Appointment

app = typer.Typer(no_args_is_help=True, help="Visits of technicians: list them, report what came of them.")


@app.command("list")
def list_(
    technician: Annotated[int | None, typer.Option(help="Only this technician's.")] = None, json_: AsJson = False
) -> None:
    """List visits, the earliest first: when, who, at whose place, and what came of it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visits(
                technician_id=technician
            )
        if json_:
            print_json(found)
            return
        if not found:
            say("no visits")
            return
        entries = [
            Entry(
                (
                    str(visit["visit_id"]),
                    clock_minute(visit["starts_at"]),
                    clock_minute(visit["ends_at"]),
                    state_text(visit["state"]),
                    visit["technician_name"],
                ),
                f"customer {visit['customer_id']}: {visit['address']}"
                + (f"; {visit['outcome_note']}" if visit["outcome_note"] else ""),
            )
            for visit in found
        ]
        print_list(("visit", "from", "until", "state", "technician"), entries)

    run(act, as_json=json_)


@app.command()
def report(
    visit: Annotated[int, typer.Argument(help="The visit's number.")],
    outcome: Annotated[str, typer.Argument(help="scanned, no_access, not_feasible or cancelled.")],
    serial: Annotated[str | None, typer.Option(help="The ONT's serial, as scanned; needed by scanned.")] = None,
    port: Annotated[str | None, typer.Option(help="The port it is plugged into, if that was looked up.")] = None,
    note: Annotated[str | None, typer.Option(help="In words; needed by not_feasible and cancelled.")] = None,
    next_technician: Annotated[int | None, typer.Option(help="Who comes next time.")] = None,
    next_date: Annotated[datetime | None, typer.Option(help="When, with its UTC offset.", parser=as_moment)] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Report what came of a visit; the run that waits for it goes on at once. A scan of another ONT is a swap."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            reported, told = await appliance.visit_desk(db).report(
                visit_id=visit,
                outcome=_outcome(outcome),
                serial=serial,
                port=port,
                note=note,
                next_appointment=_appointment(next_technician, next_date),
                by=by,
            )
        if json_:
            print_json({"report": reported, "runs": told})
        else:
            runs = ", ".join(f"run {number}" for number in told) or "no run"
            say(f"visit {visit}: {outcome}; told: {runs}")

    run(act, as_json=json_)


@app.command()
def invite(
    run_id: Annotated[int, typer.Argument(metavar="RUN", help="The run that waits for a time to be agreed.")],
    job: Annotated[str, typer.Option(help="What is to be done there, by its name.")],
    address: Annotated[str | None, typer.Option(help="Where, if the run doesn't know it.")] = None,
    latitude: Annotated[float | None, typer.Option(help="For the way there, with --longitude.")] = None,
    longitude: Annotated[float | None, typer.Option(help="For the way there, with --latitude.")] = None,
    days: Annotated[int, typer.Option(help="How long the link opens.")] = 7,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Mail the customer of a run a link by which they choose when the technician comes. Nothing is held for them."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            invited = await appliance.first_slots(db).invite(
                run_id=run_id, job=job, address=address, latitude=latitude, longitude=longitude, days=days, by=by
            )
        if json_:
            print_json(invited)
        else:
            until = minute(invited["expires_at"])
            say(f"invitation {invited['invitation_id']}: customer {invited['customer_id']} may choose until {until}")

    run(act, as_json=json_)


@app.command()
def invitations(
    every: Annotated[bool, typer.Option("--all", help="Also those by which nothing can be chosen any more.")] = False,
    before: Annotated[int | None, typer.Option(help="Only invitations behind this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List the customers who were invited to choose a time and have not yet, the newest first."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            known = Invitations(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            found = await known.invitations(only_open=not every, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("nobody is invited")
        else:
            head = ("invitation", "run", "customer", "until", "visit")
            print_list(head, [_invitation(each) for each in found])

    run(act, as_json=json_)


def _invitation(invited: InvitationRecord) -> Entry:
    visit = "" if invited["visit_id"] is None else str(invited["visit_id"])
    numbers = (str(invited[name]) for name in ("invitation_id", "run_id", "customer_id"))
    another = "; another one counts" if invited["superseded_at"] else ""
    return Entry(
        (*numbers, clock_minute(invited["expires_at"]), visit), f"{invited['job']}: {invited['address']}{another}"
    )


def _outcome(text: str) -> Outcome:
    match text:
        case "scanned" | "no_access" | "not_feasible" | "cancelled":
            return text
        case _:
            known = "is none of scanned, no_access, not_feasible, cancelled"
            raise InvalidRequest("The report", [Fault("outcome", f"{text} {known}")])


def _appointment(technician: int | None, date: datetime | None) -> Appointment | None:
    if technician is None and date is None:
        return None
    if technician is None or date is None:
        raise InvalidRequest("The report", [Fault("next appointment", "needs both a technician and a date")])
    return Appointment(technician_id=technician, scheduled_date=date)
