"""``firstlight doctor``: what will hurt in the FreeRADIUS that runs here, and the line that ends it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import print_indented, print_json, say
from provisioning.cli.running import AsJson, run
from provisioning.doctor import examine_freeradius
from radius import Examination


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(doctor)


def doctor(
    config: Annotated[
        Path | None,
        typer.Option(help="FreeRADIUS' configuration; left out, FIRSTLIGHT_RADIUS_CONFIG_DIR.", file_okay=False),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Look for what is known to hurt in FreeRADIUS: its text, its database, its answers; status 1 if there is any."""

    async def act(appliance: Appliance) -> bool:
        found = await examine_freeradius(appliance, config)
        print_json(found) if json_ else _print(found)
        return not found["traps"]

    if not run(act, as_json=json_):
        raise typer.Exit(1)


def _print(found: Examination) -> None:
    for trap in found["traps"]:
        say(Text.assemble(("✗ ", "bold red"), f"{trap['trap']}: {trap['what']}"))
        print_indented(trap["why"], indent=4)
        say(f"    {trap['fix']}")
    for unseen in found["not_looked_at"]:
        print_indented(unseen, first="? not looked at: ", indent=4)
    if not found["traps"]:
        say("nothing that is known to hurt" + (" where it was looked" if found["not_looked_at"] else ""))
