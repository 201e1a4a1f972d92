"""``firstlight plans``: what FreeRADIUS tells NASes of a rate, who is served by it, and telling open sessions of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.printing import Entry, print_json, print_list, say
from provisioning.cli.running import AsJson, Reason, run
from provisioning.plans import read_plan
from radius import ListedPlan, PlanTerms, RadiusError, RenderedPlan, UntoldPlan

app = typer.Typer(no_args_is_help=True, help="Plans: rates, and what NASes are told of them.")

Name = Annotated[str, typer.Argument(help="The plan by its name.")]
OneDialect = Annotated[str | None, typer.Option("--dialect", help="Of NASes of this dialect; left out, of each.")]
PlanFile = Annotated[
    Path, typer.Argument(help="TOML (or .json): plan (its name) and its terms, as a rate of an estate has them.")
]


@app.command("list")
def list_(
    after: Annotated[int, typer.Option(min=0, help="Those made after this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    json_: AsJson = False,
) -> None:
    """List plans: their rates, and how many subscribers each has."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).radius_service.plans(after_id=after, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no plans")
        else:
            headings = ("plan", "download", "upload", "subscribers", "in garden")
            print_list(headings, [_entry(plan) for plan in found])

    run(act, as_json=json_)


@app.command()
def show(name: Name, json_: AsJson = False) -> None:
    """Show the terms of a plan, and how many sessions are open that may have its earlier ones."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            radius = appliance.services(db).radius_service
            plan, untold = await radius.plan(name=name), await radius.untold_plans(plan=name)
        behind = await appliance.plan_changes.behind(name)
        if json_:
            print_json({**plan, "sessions_behind": behind, "untold": untold})
            return
        say(f"{name}: {_terms(plan['terms'])}")
        say_untold(untold)
        say("carried over to FreeRADIUS" if plan["projected"] else "its last change is not carried over yet")
        _say_behind(name, behind)

    run(act, as_json=json_)


@app.command()
def subscribers(
    name: Name,
    before: Annotated[int | None, typer.Option(help="Those made before this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
    json_: AsJson = False,
) -> None:
    """List who is on a plan."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            radius = appliance.services(db).radius_service
            await radius.plan(name=name)
            found = await radius.subscribers(plan=name, before_id=before, limit=limit)
        if json_:
            print_json(found)
            return
        for each in found:
            say(f"{each['subscriber_id']}  {each['username']}  {each['state']}")

    run(act, as_json=json_)


@app.command()
def render(name: Name, dialect: OneDialect = None, json_: AsJson = False) -> None:
    """Show the rows that tell NASes of a plan, as FreeRADIUS has them."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            told = await appliance.services(db).radius_service.render_plan(name=name, dialect=dialect)
        print_json(told) if json_ else _print_rows(told)

    run(act, as_json=json_)


@app.command()
def define(
    file: PlanFile,
    reason: Reason,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the rows; write nothing.")] = False,
    dialect: OneDialect = None,
    json_: AsJson = False,
) -> None:
    """Make a plan, or bring it to the terms of a file, for every login from now on; sessions keep what they have."""

    async def act(appliance: Appliance) -> None:
        spec = read_plan(file)
        if dry_run:
            async with appliance.database.read() as db:
                radius = appliance.services(db).radius_service
                told = await radius.render_plan(name=spec.plan, terms=spec.terms, dialect=dialect)
            print_json(told) if json_ else _print_rows(told)
            return
        async with appliance.database.begin() as db:
            radius = appliance.services(db).radius_service
            plan = await radius.define_plan(name=spec.plan, terms=spec.terms)
            untold = await radius.untold_plans(plan=spec.plan)
            tells(subject=subject_of("plan", plan["plan_id"]))
        not_carried = None
        try:
            with carrying(appliance):
                await appliance.projector.project_one("plan", plan["plan_id"])
        except RadiusError as error:
            not_carried = str(error)
        behind = await appliance.plan_changes.behind(spec.plan) if not_carried is None else None
        if json_:
            how_far = {"projected": not_carried is None, "sessions_behind": behind}
            print_json({**plan, **how_far, "not_carried_over": not_carried, "untold": untold})
        elif behind is None:
            say(f"{spec.plan}: committed, not carried over yet: {not_carried}")
        else:
            say(f"{spec.plan}: {_terms(plan['terms'])}")
            say_untold(untold)
            _say_behind(spec.plan, behind)

    run(act, as_json=json_)


@app.command()
def apply(
    name: Name,
    reason: Reason,
    limit: Annotated[int | None, typer.Option(min=1, help="So many subscribers at most; again does the next.")] = None,
    json_: AsJson = False,
) -> None:
    """Let every open session that may have a plan's earlier terms be told: the worker asks their NASes."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            plan = await appliance.services(db).radius_service.plan(name=name)
        tells(subject=subject_of("plan", plan["plan_id"]))
        done = await appliance.plan_changes.apply(name, limit=limit)
        if json_:
            print_json(done)
        else:
            say(f"{name}: {done['sessions']} open sessions of {done['subscribers']} subscribers are being told of it")

    run(act, as_json=json_)


def _entry(plan: ListedPlan) -> Entry:
    terms = plan["terms"]
    rates = (f"{terms.download_kbps} kbit/s", f"{terms.upload_kbps} kbit/s")
    return Entry((plan["name"], *rates, str(plan["subscribers"]), str(plan["in_garden"])))


def _terms(terms: PlanTerms) -> str:
    said = {field.name: getattr(terms, field.name) for field in fields(terms)}
    return ", ".join(
        f"{name} {' '.join(value) if isinstance(value, tuple) else value}"
        for name, value in said.items()
        if value not in (None, ())
    )


def say_untold(untold: Sequence[UntoldPlan]) -> None:
    """A line for each plan and NAS where it keeps its subscribers out."""
    for each in untold:
        say(f"nobody of plan {each['plan']} is let in at {each['nas']}: {'; '.join(each['faults'])}")


def _say_behind(name: str, sessions: int) -> None:
    if sessions:
        many = "session" if sessions == 1 else "sessions"
        say(f"{sessions} open {many} may have earlier terms: firstlight plans apply {name} --reason ...")
    else:
        say("no open session has earlier terms")


def _print_rows(told: list[RenderedPlan]) -> None:
    for each in told:
        say("every NAS" if each["dialect"] == "every" else each["dialect"])
        for row in each["rows"]:
            checked = "  (radgroupcheck)" if row["table"] == "radgroupcheck" else ""
            say(f"  {row['group']}  {row['attribute']} {row['op']} {row['value']}{checked}")
        for fault in each["faults"]:
            say(f"  not to be told: {fault}")
