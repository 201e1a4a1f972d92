"""``firstlight doctor``: what will hurt in FreeRADIUS and the ACSes, and the line that ends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from acs import AcsTrap
from provisioning.bootstrap import Appliance
from provisioning.cli.printing import print_indented, print_json, say
from provisioning.cli.running import AsJson, run
from provisioning.doctor import examine_acses, examine_freeradius
from radius import Trap


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
    """Look for what is known to hurt in FreeRADIUS and in the ACSes; status 1 if there is any."""

    async def act(appliance: Appliance) -> bool:
        radius, acs = await examine_freeradius(appliance, config), await examine_acses(appliance)
        traps: list[Trap | AcsTrap] = [*radius["traps"], *acs["traps"]]
        unseen = [*radius["not_looked_at"], *acs["not_looked_at"]]
        print_json({"traps": traps, "not_looked_at": unseen}) if json_ else _print(traps, unseen)
        return not traps

    if not run(act, as_json=json_):
        raise typer.Exit(1)


def _print(traps: Sequence[Trap | AcsTrap], not_looked_at: Sequence[str]) -> None:
    for trap in traps:
        say(Text.assemble(("✗ ", "bold red"), f"{trap['trap']}: {trap['what']}"))
        print_indented(trap["why"], indent=4)
        say(f"    {trap['fix']}")
    for unseen in not_looked_at:
        print_indented(unseen, first="? not looked at: ", indent=4)
    if not traps:
        say("nothing that is known to hurt" + (" where it was looked" if not_looked_at else ""))
