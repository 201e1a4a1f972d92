"""``firstlight events``: what has happened, and which run it has started or why it started none."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from workflows import EventView, list_events

app = typer.Typer(no_args_is_help=True, help="Events: what starts journeys, and what became of each.")

State = Literal["pending", "started", "ignored", "refused"]


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="Only pending, started, ignored or refused ones.")] = None,
    type_: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    before: Annotated[int | None, typer.Option(help="Only events older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List events, the newest first: what each was about, and the run it started or why it was refused."""

    async def act(appliance: Appliance) -> None:
        wanted: State | None = chosen("state", state, State)
        async with appliance.database.read() as db:
            found = await list_events(
                db,
                tenant_id=appliance.tenant_id,
                states=[wanted] if wanted else [],
                event_type=type_,
                before_id=before,
                limit=limit,
            )
        if json_:
            print_json(found)
        elif not found:
            say("no events")
        else:
            print_list(("event", "state", "run", "since", "type"), [_entry(event) for event in found])

    run(act, as_json=json_)


@app.command()
def retry(
    event: Annotated[int, typer.Argument(help="The event's number.")],
    json_: AsJson = False,
) -> None:
    """Have an event taken up again that was refused; put right first what was in its way."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            await appliance.events.retry(db, event)
        print_json({"event": event, "state": "pending"}) if json_ else say(f"event {event} is pending")

    run(act, as_json=json_)


@app.command("set-aside")
def set_aside(
    event: Annotated[int, typer.Argument(help="The event's number.")],
    reason: Annotated[str, typer.Option(help="Why nothing shall come of it; it stands beside.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Let nothing come of an event that was refused: nobody is asked to look at it any more. `retry` still takes it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            await appliance.events.set_aside(db, event, why=reason, by=by)
        print_json({"event": event, "state": "ignored"}) if json_ else say(f"event {event} is set aside")

    run(act, as_json=json_)


def _entry(event: EventView) -> Entry:
    run_id = "" if event.run_id is None else str(event.run_id)
    facts = (event.subject, event.reason)
    return Entry(
        (str(event.id), state_text(event.state), run_id, clock_minute(event.occurred_at), event.type),
        ": ".join(fact for fact in facts if fact),
    )
