"""``firstlight subscribers list``: who there is, by what a person asks for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from radius import State, SubscriberView


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    app.command("list")(list_)


def list_(
    plan: Annotated[str | None, typer.Option(help="Only those on this plan.")] = None,
    state: Annotated[
        str | None, typer.Option(help="Only these: pending, testing, active, suspended or terminated.")
    ] = None,
    customer: Annotated[int | None, typer.Option(min=1, help="Only those of this customer, by your number.")] = None,
    only_hash: Annotated[
        bool, typer.Option("--only-hash", help="Only those of whose password no more than a hash is known.")
    ] = False,
    before: Annotated[int | None, typer.Option(min=1, help="Those made before this number.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
    json_: AsJson = False,
) -> None:
    """List subscribers, the newest first: their state, plan and customer, and what is out of the ordinary."""

    async def act(appliance: Appliance) -> None:
        wanted: State | None = chosen("state", state, State)
        async with appliance.database.read() as db:
            radius = appliance.services(db).radius_service
            if plan is not None:
                await radius.plan(name=plan)
            found = await radius.subscribers(
                plan=plan,
                customer_id=customer,
                state=wanted,
                only_hash=only_hash,
                before_id=before,
                limit=limit + 1,
            )
        shown = found[:limit]
        if json_:
            print_json(shown)
        elif not shown:
            say("no such subscriber")
        else:
            print_list(("number", "state", "username", "plan", "customer"), [_entry(each) for each in shown])
            if len(found) > limit:
                say(f"there are more: --before {shown[-1]['subscriber_id']}")

    run(act, as_json=json_)


def _entry(each: SubscriberView) -> Entry:
    cells: tuple[Any, ...] = (
        str(each["subscriber_id"]),
        each["state"],
        each["username"],
        each["plan"],
        str(each["customer_id"]),
    )
    return Entry(cells, "; ".join(_unusual(each)))


def _unusual(each: SubscriberView) -> Iterator[str]:
    if each["garden"] is not None:
        yield f"in garden {each['garden']}"
    if each["capped"] is not None:
        yield f"served by {each['capped']} since its data cap is used up"
    if each["password_hash_kind"] is not None:
        yield f"only its {each['password_hash_kind']} hash is known"
    if not each["projected"]:
        yield "its last change is not carried over yet"
