"""``firstlight technicians``: when they work, from where, and when they are away."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli import technicians_stock
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say
from provisioning.cli.running import AsJson, By, run
from provisioning.days import minute
from provisioning.field import LeaveRecord, Override, PlannedTechnician
from provisioning.intake import Faults

app = typer.Typer(no_args_is_help=True, help="Technicians: when they work, when they are away, what their vans hold.")
app.add_typer(technicians_stock.app, name="stock")

Number = Annotated[int, typer.Argument(help="The technician's number.")]
Anyway = Annotated[str | None, typer.Option(help="Why visits outside these hours are made all the same.")]


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List the technicians: skills, van and working week."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.planning(db).technicians()
        if json_:
            print_json(found)
        elif not found:
            say("no technicians")
        else:
            entries = [
                Entry((str(one["technician_id"]), one["name"], one["van"] or "-", ", ".join(one["skills"])), _week(one))
                for one in found
            ]
            print_list(("technician", "name", "van", "skills"), entries)

    run(act, as_json=json_)


@app.command()
def add(
    technician: Number,
    name: Annotated[str, typer.Option(help="Their name.")],
    email: Annotated[str | None, typer.Option(help="Their mail address.")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="What they are able to do; may be repeated.")] = None,
    override_reason: Annotated[
        str | None, typer.Option(help="Why visits that need a skill that goes are made all the same.")
    ] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Make a technician known, under the ISP's own number; one who is known gets e-mail and skills anew.

    Visits that need a skill that goes are named, and refuse it.
    """

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            registered = await appliance.planning(db).register(
                technician_id=technician,
                name=name,
                email=email,
                skills=skill or (),
                override=Override(override_reason, by) if override_reason else None,
            )
        if json_:
            print_json(registered)
        else:
            say(f"technician {technician}: {registered['name']}")

    run(act, as_json=json_)


@app.command()
def plan(  # noqa: PLR0913, PLR0917 - each is a fact about how they work
    technician: Number,
    day: Annotated[
        list[str] | None,
        typer.Option(help="A weekday and its hours, as mon=08:00-12:00,12:30-17:00; once for each day of work."),
    ] = None,
    time_zone: Annotated[str | None, typer.Option(help="Of these hours, as Europe/Berlin.")] = None,
    holidays: Annotated[str | None, typer.Option(help="Whose public holidays, as DE or DE-BY.")] = None,
    home: Annotated[
        tuple[float, float] | None, typer.Option(help="Latitude and longitude of where they set out.")
    ] = None,
    van: Annotated[str | None, typer.Option(help="The van they drive.")] = None,
    team: Annotated[str | None, typer.Option(help="The team whose calendar has their visits too.")] = None,
    override_reason: Anyway = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Say how a technician works from now on, as a whole: what is left out isn't known any more."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            planned = await appliance.planning(db).plan(
                technician_id=technician,
                team=team,
                van=van,
                home_latitude=home[0] if home else None,
                home_longitude=home[1] if home else None,
                week=_days(day) if day else None,
                time_zone=time_zone,
                holidays=holidays,
                override=Override(override_reason, by) if override_reason else None,
            )
        if json_:
            print_json(planned)
        else:
            say(f"technician {technician}, {planned['name']}: {_week(planned)}")

    run(act, as_json=json_)


@app.command()
def away(
    technician: Number,
    starts_at: Annotated[datetime, typer.Option("--from", help="With its UTC offset.", parser=as_moment)],
    ends_at: Annotated[datetime, typer.Option("--until", help="With its UTC offset.", parser=as_moment)],
    reason: Annotated[str, typer.Option(help="Holiday, illness, training.")],
    override_reason: Anyway = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Say that a technician isn't there for a time; visits that are booked then are named, and refuse it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            taken = await appliance.planning(db).take_leave(
                technician_id=technician,
                starts_at=starts_at,
                ends_at=ends_at,
                reason=reason,
                override=Override(override_reason, by) if override_reason else None,
            )
        _told(taken, json_=json_)

    run(act, as_json=json_)


@app.command("away-list")
def away_list(
    technician: Annotated[int | None, typer.Option(help="Only this technician's.")] = None, json_: AsJson = False
) -> None:
    """List who is away, or will be."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.planning(db).leave(technician_id=technician)
        if json_:
            print_json(found)
        elif not found:
            say("nobody is away")
        else:
            entries = [
                Entry(
                    (
                        str(one["leave_id"]),
                        str(one["technician_id"]),
                        clock_minute(one["starts_at"]),
                        clock_minute(one["ends_at"]),
                    ),
                    one["reason"],
                )
                for one in found
            ]
            print_list(("leave", "technician", "from", "until"), entries)

    run(act, as_json=json_)


@app.command()
def back(leave: Annotated[int, typer.Argument(help="The leave's number.")], json_: AsJson = False) -> None:
    """Say that a technician is there after all."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            withdrawn = await appliance.planning(db).withdraw_leave(leave)
        if json_:
            print_json(withdrawn)
        else:
            say(f"leave {leave} of technician {withdrawn['technician_id']} is withdrawn")

    run(act, as_json=json_)


def _told(leave: LeaveRecord, *, json_: bool) -> None:
    if json_:
        print_json(leave)
        return
    begins, ends = minute(leave["starts_at"]), minute(leave["ends_at"])
    say(f"leave {leave['leave_id']}: technician {leave['technician_id']} is away from {begins} to {ends}")


def _week(one: PlannedTechnician) -> str:
    if one["week"] is None:
        return "hours not told: 08:00-18:00 is offered, every day"
    days = "; ".join(f"{day} {', '.join(hours)}" for day, hours in one["week"].items())
    holidays = f"; holidays of {one['holidays']}" if one["holidays"] else ""
    return f"{days or 'no day'} ({one['time_zone']}){holidays}"


def _days(texts: Sequence[str]) -> dict[str, list[str]]:
    """Raises: InvalidRequest, since a day without its hours, or told twice, would be another week than was meant."""
    faults, week = Faults("The working week"), dict[str, list[str]]()
    for text in texts:
        name, _, hours = (each.strip() for each in text.partition("="))
        if not hours:
            faults.add("day", f"{text} has no hours; say {name or 'mon'}=08:00-17:00, or leave out a day that is free")
        elif name in week:
            faults.add("day", f"{name} is told twice; say its periods at once, as {name}=08:00-12:00,12:30-17:00")
        else:
            week[name] = [each.strip() for each in hours.split(",") if each.strip()]
    faults.refuse_if_any()
    return week
