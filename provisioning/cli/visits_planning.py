"""``firstlight visits ...`` that plan: find a slot, book, move, call off, and the kinds of jobs."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say
from provisioning.cli.running import AsJson, By, run
from provisioning.days import minute
from provisioning.field import JobRecord, Jobs, SlotOffer, VisitRecord
from provisioning.visits import Outcome

VisitNumber = Annotated[int, typer.Argument(help="The visit's number.")]
Job = Annotated[str, typer.Option(help="The kind of job, by its name.")]
Technician = Annotated[int, typer.Option(help="Who comes.")]
At = Annotated[datetime, typer.Option(help="When, with its UTC offset.", parser=as_moment)]
Place = Annotated[tuple[float, float] | None, typer.Option(help="Latitude and longitude of the customer's place.")]
Why = Annotated[str, typer.Option(help="In words; it is kept.")]
Anyway = Annotated[str | None, typer.Option(help="Why outside working hours, or without a skill that is needed.")]


def add_to(app: typer.Typer) -> None:
    """Beside the commands that list and report."""
    for name, command in (
        ("slots", slots),
        ("book", book),
        ("move", move),
        ("cancel", cancel),
        ("no-show", no_show),
        ("jobs", jobs),
        ("job", job),
    ):
        app.command(name)(command)


def slots(
    job: Job,
    place: Place = None,
    after: Annotated[
        datetime | None, typer.Option(help="Not before this, with its UTC offset.", parser=as_moment)
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=31, help="How many days to look at.")] = 7,
    technician: Annotated[int | None, typer.Option(help="Only this technician.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many at most.")] = 20,
    json_: AsJson = False,
) -> None:
    """Find when somebody can come who is able to do a job: day by day the best first, and why."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.dispatch_desk(db).slots(
                job=job,
                latitude=place[0] if place else None,
                longitude=place[1] if place else None,
                starts_after=after,
                days=days,
                technician_id=technician,
                limit=limit,
            )
        if json_:
            print_json(found)
        elif not found:
            say("nobody who is able to do this is free then")
        else:
            print_list(("from", "until", "technician"), [_offer(one) for one in found])

    run(act, as_json=json_)


def book(  # noqa: PLR0913, PLR0917 - each is a fact about the visit
    customer: Annotated[int, typer.Option(help="To whom.")],
    technician: Technician,
    at: At,
    address: Annotated[str, typer.Option(help="Where, in words.")],
    job: Job,
    place: Place = None,
    location: Annotated[str | None, typer.Option(help="The service location, LOC-...")] = None,
    order: Annotated[int | None, typer.Option(help="The order whose visit it is.")] = None,
    run_id: Annotated[
        int | None, typer.Option("--run", help="The run that waits for this visit, or is held for want of one.")
    ] = None,
    override_reason: Anyway = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Book a visit that was agreed on with a customer; the run that needs it goes on with it."""
    slot: dict[str, Any] = {"technician_id": technician, "starts_at": at, "job": job}
    slot["latitude"], slot["longitude"] = place or (None, None)
    visit: dict[str, Any] = {"customer_id": customer, "order_id": order, "address": address}
    why: dict[str, Any] = {"override_reason": override_reason, "by": by}

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            if run_id is None:
                asking = await appliance.dispatch_desk(db).refuse_taken(**slot)
            else:
                asking = await appliance.run_slots(db).look_ahead(run_id=run_id, **slot)
        if asking is not None:
            await asking()
        async with appliance.database.begin() as db:
            if run_id is None:
                booked = await appliance.dispatch_desk(db).book(**slot, **visit, **why, location=location)
            else:
                booked = await appliance.run_slots(db).book(run_id=run_id, **slot, **visit, **why)
        _told(booked, json_=json_)

    run(act, as_json=json_)


def move(
    visit: VisitNumber,
    technician: Technician,
    at: At,
    reason: Why,
    override_reason: Anyway = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Move a visit that is to come to another time, or to somebody else."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            desk = appliance.dispatch_desk(db)
            asking = await desk.look_ahead(visit_id=visit, technician_id=technician, starts_at=at)
        if asking is not None:
            await asking()
        async with appliance.database.begin() as db:
            moved = await appliance.dispatch_desk(db).reschedule(
                visit_id=visit,
                technician_id=technician,
                starts_at=at,
                reason=reason,
                override_reason=override_reason,
                by=by,
            )
        _told(moved, json_=json_)

    run(act, as_json=json_)


def cancel(visit: VisitNumber, reason: Why, by: By = "", json_: AsJson = False) -> None:
    """Call a visit off; the run that waits for it then waits until another time is agreed."""
    _report(visit, "cancelled", reason, by, json_=json_)


def no_show(visit: VisitNumber, reason: Why, by: By = "", json_: AsJson = False) -> None:
    """Report that nobody was there to open the door."""
    _report(visit, "no_access", reason, by, json_=json_)


def jobs(json_: AsJson = False) -> None:
    """List the kinds of jobs: how long each takes and what it needs."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await Jobs(db, tenant_id=appliance.tenant_id).jobs()
        if json_:
            print_json(found)
        elif not found:
            say("no kinds of jobs")
        else:
            headings = ("job", "minutes", "buffer", "window")
            print_list(headings, [_job(one) for one in found])

    run(act, as_json=json_)


def job(
    name: Annotated[str, typer.Argument(help="The kind of job.")],
    minutes: Annotated[int, typer.Option(help="How long it takes.")],
    buffer: Annotated[int, typer.Option(help="Minutes that are kept free after it.")] = 0,
    window: Annotated[int, typer.Option(help="Minutes after the start within which the customer is told to wait.")] = 0,
    skill: Annotated[
        list[str] | None, typer.Option(help="What a technician must be able to do; may be repeated.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Define a kind of job, or change one; visits that are booked stay as they are."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            defined = await Jobs(db, tenant_id=appliance.tenant_id).define(
                name=name, duration_minutes=minutes, buffer_minutes=buffer, window_minutes=window, skills=skill or ()
            )
        if json_:
            print_json(defined)
        else:
            say(f"job {name}: {minutes} minutes, then {buffer} kept free")

    run(act, as_json=json_)


def _report(visit: int, outcome: Outcome, reason: str, by: str, *, json_: bool) -> None:
    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            reported, told = await appliance.visit_desk(db).report(visit_id=visit, outcome=outcome, note=reason, by=by)
        if json_:
            print_json({"report": reported, "runs": told})
        else:
            say(f"visit {visit}: {outcome}; told: {', '.join(f'run {number}' for number in told) or 'no run'}")

    run(act, as_json=json_)


def _told(visit: VisitRecord, *, json_: bool) -> None:
    if json_:
        print_json(visit)
        return
    begins, ends = minute(visit["starts_at"]), minute(visit["ends_at"])
    say(f"visit {visit['visit_id']}: {visit['technician_name']} from {begins} to {ends}")


def _offer(offer: SlotOffer) -> Entry:
    return Entry(
        (clock_minute(offer["starts_at"]), clock_minute(offer["ends_at"]), offer["technician_name"]), offer["why"]
    )


def _job(one: JobRecord) -> Entry:
    minutes = (one["duration_minutes"], one["buffer_minutes"], one["window_minutes"])
    return Entry((one["name"], *map(str, minutes)), ", ".join(one["skills"]))
