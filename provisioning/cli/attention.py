"""``firstlight attention | figures``: what needs a person now, and calm numbers."""

from __future__ import annotations

import typer
from rich.text import Text

from provisioning.attention import Attention, Item
from provisioning.bootstrap import Appliance
from provisioning.cli.printing import print_indented, print_json, say
from provisioning.cli.running import AsJson, run
from provisioning.days import second
from provisioning.sight import ALL_SIGHT

STYLES = {"now": "bold red", "today": "yellow", "soon": ""}


def add_to(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command()(attention)
    app.command()(figures)


def attention(json_: AsJson = False) -> None:
    """Say what needs a person now, the worst first, or that all is quiet."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            seen = await appliance.attention_desk(db, ALL_SIGHT).look()
        print_json(seen) if json_ else _print(seen)

    run(act, as_json=json_)


def figures(json_: AsJson = False) -> None:
    """Say how many sessions are open, how many runs ended and how full the fullest pools are, now and before."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.figures_desk(db, ALL_SIGHT).look()
        if json_:
            print_json(found)
            return
        for figure in found:
            first = figure.points[0] if figure.points else None
            before = f" (was {first.value:g} at {second(first.at)})" if first else ""
            say(f"{figure.name}: {figure.now}{before}{'. ' if figure.gap else ''}{figure.gap}")

    run(act, as_json=json_)


def _print(seen: Attention) -> None:
    say(Text(seen.sentence, style="green" if seen.is_quiet else "bold"))
    for item in seen.items:
        _print_item(item)
    if seen.lost_elsewhere:
        say(f"sessions lost in the last ten minutes that are no outage: {seen.lost_elsewhere}")
    if seen.checked_at is not None:
        say(f"last check: {second(seen.checked_at)}")


def _print_item(item: Item) -> None:
    print_indented(item.sentence, first=f"{item.urgency:<7}", indent=7, style=STYLES[item.urgency])
    if item.since is not None:
        print_indented(f"since {second(item.since)}", indent=9, style="dim")
    if item.for_whom:
        print_indented(f"for {', '.join(item.for_whom)}", indent=9, style="dim")
    if item.handed_over:
        print_indented(item.handed_over, indent=9)
    for each in item.held_meanwhile:
        print_indented(each, first="         held meanwhile: ", indent=11)
    for each in item.folded:
        print_indented(each, indent=9)
