"""``firstlight subscribers truth | timeline | preview``: what is known of one, what happened, what an act touches."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.printing import (
    Entry,
    at_second,
    clock_time,
    print_indented,
    print_json,
    print_list,
    say,
    say_touches,
)
from provisioning.cli.running import AsJson, run
from provisioning.cli.whom import ByExternalId, ById, Username, whom
from provisioning.sight import ALL_SIGHT
from provisioning.truth import ACTS, Act, Comparison, Fact, TimelinePage, Truth

NAMES = {"wanted": "we want", "radius": "RADIUS has", "session": "session shows", "cpe": "CPE reports"}


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (truth, timeline, preview_):
        app.command(command.__name__.rstrip("_"))(command)


def truth(
    username: Username,
    ask_acs: Annotated[bool, typer.Option("--acs/--no-acs", help="Ask the ACS what it has read of the CPE.")] = True,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Show what we want, what RADIUS has, what the session shows and what the CPE reports, and what differs."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            seen = await appliance.truth_desk(db, ALL_SIGHT).look(whom(username, external_id, id_), ask_acs=ask_acs)
        print_json(seen) if json_ else _print(seen)

    run(act, as_json=json_)


def timeline(
    username: Username,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 50,
    after: Annotated[str | None, typer.Option(help="What the page before has said.")] = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Show what has happened to a subscriber: runs, changes, operations on its CPE, logins, sessions, the audit."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.timeline(db, ALL_SIGHT).page(
                whom(username, external_id, id_), after=after, limit=limit
            )
        print_json(found) if json_ else _print_page(found)

    run(act, as_json=json_)


def preview_(
    username: Username,
    act_: Annotated[str, typer.Argument(metavar="ACT", help=f"What is to be done: {', '.join(ACTS)}.")],
    plan: Annotated[str, typer.Option(help="The plan to change to.")] = "",
    garden: Annotated[str, typer.Option(help="The walled garden to suspend into.")] = "",
    serial: Annotated[str | None, typer.Option(help="Of the CPE that it is about.")] = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Say what an act on a subscriber or its CPE would touch; nothing is changed and no ACS is asked."""

    async def act(appliance: Appliance) -> None:
        wanted: Act = chosen("act", act_, Act)
        async with appliance.database.read() as db:
            desk = appliance.truth_desk(db, ALL_SIGHT)
            seen = await desk.look(whom(username, external_id, id_), ask_acs=False)
            found = await desk.preview(seen, wanted, plan=plan, garden=garden, serial=serial)
        print_json(found) if json_ else say_touches(found.touches, found.refused)

    run(act, as_json=json_)


def _print(seen: Truth) -> None:
    say(Text(seen.sentence, style="green" if seen.agrees else "bold yellow"))
    for each in seen.differences:
        fix = f" Fix: {each.fix}." if each.fix else ""
        print_indented(each.sentence + fix, first="  ! ", indent=4, style="yellow")
    for comparison in seen.comparisons:
        _print_comparison(comparison)
    for outcome in seen.asked:
        print_indented(
            f"{outcome.act}, {at_second(outcome.asked_at)}: {outcome.standing.replace('_', ' ')}. {outcome.sentence}",
            first="  ",
        )


def _print_comparison(comparison: Comparison) -> None:
    about = f" of {comparison.about}" if comparison.about else ""
    say(Text(f"{comparison.matter.replace('_', ' ')}{about}", style="bold"))
    for side, name in NAMES.items():
        fact: Fact = getattr(comparison, side)
        style = "yellow" if side in comparison.differs else "" if fact.is_known else "dim"
        print_indented(_in_words(fact), first=f"  {name:<14}", indent=16, style=style)


def _in_words(fact: Fact) -> str:
    if not fact.is_known:
        return f"not known: {fact.note} ({fact.source})"
    when = f", {at_second(fact.at)}" if fact.at else ""
    note = f"; {fact.note}" if fact.note else ""
    return f"{fact.value or 'none'} ({fact.source}{when}{note})"


def _print_page(found: TimelinePage) -> None:
    rows = [
        Entry((clock_time(each.at), each.kind, each.by or "", (each.standing or "").replace("_", " ")), each.sentence)
        for each in found.entries
    ]
    print_list(("when", "what", "by", ""), rows)
    for why in found.unread:
        say(f"not read: {why}")
    if found.after is not None:
        say(f"older ones: --after {found.after}")
