"""``firstlight visits``: the calendar, and what the technician reports."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.field import Visits
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
    next_date: Annotated[
        datetime | None, typer.Option(help="When, with its UTC offset.", formats=["%Y-%m-%dT%H:%M%z"])
    ] = None,
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
