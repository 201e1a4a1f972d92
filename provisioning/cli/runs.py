"""``firstlight runs``: start, look, and decide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import print_json, say
from provisioning.cli.run_views import print_preview, print_run, print_runs, run_json
from provisioning.cli.running import AsJson, By, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.run_desk import Decision
from provisioning.run_previews import Verb
from provisioning.tickets import read_ticket
from workflows import RunState, RunView, list_runs, show_run

app = typer.Typer(no_args_is_help=True, help="Runs of journeys: start, list, show, and what an operator may decide.")

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what it would touch.")]
RunId = Annotated[int, typer.Argument(help="The run's number.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the run's log.")]


@app.command()
def start(
    ticket: Annotated[Path, typer.Argument(help="JSON file of the ticket.")], by: By = "", json_: AsJson = False
) -> None:
    """Start the installation that a ticket asks for; the same ticket again is the same run."""

    async def act(appliance: Appliance) -> None:
        data = read_ticket(ticket)
        async with appliance.database.begin() as db:
            started = await appliance.desk(db).accept(data, by=by)
            tells(subject=subject_of("run", started.run_id))
        if json_:
            print_json({"run": started.run_id, "new": started.is_new})
        else:
            say(f"run {started.run_id} " + ("started" if started.is_new else "was started by this ticket before"))

    run(act, as_json=json_)


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(help="Only runs in this state; may be given several times.")
    ] = None,
    held: Annotated[bool, typer.Option("--held", help="Only runs that need a person; short for --state held.")] = False,
    journey: Annotated[str | None, typer.Option(help="Only runs of this journey.")] = None,
    customer: Annotated[int | None, typer.Option(help="Only runs for this customer.")] = None,
    before: Annotated[int | None, typer.Option(help="Only runs older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List runs, the newest first: how each stands, for whom and why."""

    async def act(appliance: Appliance) -> None:
        wanted = _states([*(state or ()), *(["held"] if held else [])])
        async with appliance.database.read() as db:
            found = await list_runs(
                db,
                tenant_id=appliance.tenant_id,
                states=wanted,
                journey=journey,
                customer_id=customer,
                before_id=before,
                limit=limit,
            )
        print_json(found) if json_ else print_runs(found)

    run(act, as_json=json_)


@app.command()
def show(run_id: RunId, json_: AsJson = False) -> None:
    """Show one run: how it stands and why, what it keeps meanwhile, what you can type, its steps and its log."""

    async def act(appliance: Appliance) -> None:
        _print(await _view(appliance, run_id), json_)

    run(act, as_json=json_)


@app.command()
def signal(
    run_id: RunId,
    name: Annotated[str, typer.Argument(help="What is told, e.g. appointment; visits and lines have commands.")],
    payload: Annotated[str, typer.Option(help="JSON object with the particulars.")] = "{}",
    key: Annotated[
        str | None, typer.Option(help="The same key again is the same signal; default: name and payload.")
    ] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Tell a run something it waits for, or will wait for."""

    async def act(appliance: Appliance) -> None:
        told = _json("payload", payload)
        async with appliance.database.begin() as db:
            new = await appliance.signal_desk(db).tell(run_id, name, told, key=key, by=by)
        if json_:
            print_json({"run": run_id, "signal": name, "new": new})
        else:
            say(f"run {run_id} was told {name}" if new else f"run {run_id} knows that {name} already")

    run(act, as_json=json_)


@app.command()
def retry(
    run_id: RunId,
    from_step: Annotated[
        str | None, typer.Option(help="Undo back to and with this step first, then go forward again.")
    ] = None,
    dry_run: DryRun = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Try a held run again, or at once one that waits for its next try."""
    if dry_run:
        return _preview(run_id, "retry-from" if from_step else "retry", json_, from_step)
    _decide(run_id, "retry", json_, by=by, from_step=from_step)


@app.command()
def skip(
    run_id: RunId,
    reason: Reason,
    result: Annotated[str | None, typer.Option(help="JSON: the step's result, if later steps need it.")] = None,
    dry_run: DryRun = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Pass over the held step; the run will end as partial."""
    if dry_run:
        return _preview(run_id, "skip", json_)
    _decide(run_id, "skip", json_, by=by, reason=reason, result=result)


@app.command("roll-back")
def roll_back(run_id: RunId, reason: Reason, dry_run: DryRun = False, by: By = "", json_: AsJson = False) -> None:
    """Undo a held run, newest step first; it ends as failed."""
    if dry_run:
        return _preview(run_id, "roll-back", json_)
    _decide(run_id, "roll_back", json_, by=by, reason=reason)


@app.command()
def cancel(run_id: RunId, reason: Reason, dry_run: DryRun = False, by: By = "", json_: AsJson = False) -> None:
    """Ask a run to undo itself; a step under way is finished first."""
    if dry_run:
        return _preview(run_id, "cancel", json_)
    _decide(run_id, "cancel", json_, by=by, reason=reason)


@app.command()
def note(
    run_id: RunId,
    text: Annotated[str, typer.Argument(help="One line for the run's log.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Write a line into a run's log; nothing else of it changes."""
    _decide(run_id, "note", json_, by=by, text=text)


@app.command("hand-over")
def hand_over(
    run_id: RunId,
    team: Annotated[str, typer.Option(help="The team that is to see to it.")],
    reason: Reason,
    priority: Annotated[str, typer.Option(help="How much it hurries: low, normal, high or urgent.")] = "normal",
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Open a ticket for a team with what is held, why, and what it keeps; the run stays held."""

    async def act(appliance: Appliance) -> None:
        decision = Decision("hand-over", reason=reason, team=team, priority=priority)
        async with appliance.database.begin() as db:
            decided = await appliance.run_desk(db).decide(run_id, decision, by=by)
        if json_:
            print_json({"run": run_id, "ticket": decided.ticket_id})
        else:
            say(f"run {run_id} is handed over to {team} as ticket {decided.ticket_id}")

    run(act, as_json=json_)


def _preview(run_id: int, verb: Verb, as_json: bool, from_step: str | None = None) -> None:
    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            _, seen = await appliance.run_desk(db).preview(run_id, verb, from_step=from_step)
        print_json(seen) if as_json else print_preview(seen)

    run(act, as_json=as_json)


def _decide(run_id: int, decision: str, as_json: bool, **arguments: Any) -> None:
    async def act(appliance: Appliance) -> None:
        if arguments.get("result") is not None:
            arguments["result"] = _json("result", arguments["result"])
        async with appliance.database.begin() as db:
            await getattr(appliance.runs, decision)(db, run_id, **arguments)
        _print(await _view(appliance, run_id), as_json)

    run(act, as_json=as_json)


async def _view(appliance: Appliance, run_id: int) -> RunView:
    async with appliance.database.read() as db:
        return await show_run(db, run_id, tenant_id=appliance.tenant_id, definitions=appliance.definitions)


def _print(view: RunView, as_json: bool) -> None:
    print_json(run_json(view)) if as_json else print_run(view)


def _states(wanted: list[str]) -> list[str]:
    unknown = [state for state in wanted if state not in list(RunState)]
    if unknown:
        known = ", ".join(RunState)
        raise InvalidRequest("The list", [Fault("state", f"{state} is none of {known}") for state in unknown])
    return wanted


def _json(field: str, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"The {field}", [Fault(field, f"is not JSON: {error}")]) from error
