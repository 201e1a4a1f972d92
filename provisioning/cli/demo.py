"""``firstlight demo``: the main job in a laboratory, and a laboratory to play in."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import open_worker
from provisioning.cli.printing import err, out, print_json
from provisioning.cli.running import AsJson, guarded
from provisioning.lab.errors import DemoFailed
from provisioning.logs import configure_logs
from radius.testing import RadiusLabError

if TYPE_CHECKING:
    from provisioning.lab.demo import Lab
    from provisioning.lab.proof import Proof

EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"


def add_to(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    ticket: Annotated[Path, typer.Option(help="JSON file of the ticket.")] = EXAMPLES / "install-ticket.json",
    estate: Annotated[Path, typer.Option(help="TOML file of the estate.")] = EXAMPLES / "lab-estate.toml",
    home: Annotated[Path, typer.Option(help="Folder of the laboratory; it is emptied first.")] = Path(".lab/demo"),
    once: Annotated[bool, typer.Option("--once", help="End after the proof instead of staying open.")] = False,
    json_: AsJson = False,
) -> None:
    """Turn a ticket into a live subscriber on real parts, and prove it. With --json the last line is the proof."""
    console = err if json_ else out
    configure_logs(level="error", form="console")

    begun = time.monotonic()

    def say(sentence: str) -> None:
        console.print(f"{time.monotonic() - begun:6.1f} s  {sentence}")

    async def act() -> Proof:
        try:
            return await _demo(home, estate, ticket, say, stay=not once)
        except RadiusLabError as error:
            raise DemoFailed(str(error)) from error

    proof = guarded(lambda: asyncio.run(act()), as_json=json_)
    for sentence in proof.broken:
        err.print(Text.assemble(("not proven: ", "bold red"), sentence))
    if json_:
        print_json(proof.report)
    if proof.broken:
        raise typer.Exit(1)


async def _demo(home: Path, estate: Path, ticket: Path, say: Callable[[str], None], *, stay: bool) -> Proof:
    try:
        from provisioning.lab.demo import install, open_lab
        from provisioning.lab.proof import prove
    except ModuleNotFoundError as error:  # the other commands need nothing of the laboratory
        raise DemoFailed(f"the laboratory needs {error.name}; install firstlight[lab]") from error
    async with open_lab(home, estate, say) as lab, open_worker(lab.appliance):
        view, before_scan = await install(lab, ticket, say)
        proof = await prove(lab.world, lab.appliance, view, before_scan)
        if not proof.broken:
            say("proven: its own CPE has logged in with what it was given, the bill runs, the mail is there:")
            say(f"  {proof.report['mail']['file']}")
        if stay:
            await _stay_open(lab, say)
        return proof


async def _stay_open(lab: Lab, say: Callable[[str], None]) -> None:
    """Keeps the laboratory running for a person to play in, until Ctrl-C."""
    settings = lab.appliance.settings
    say("the laboratory stays open; in another terminal:")
    shown = settings.shown()
    for name in ("data_dir", "database_url", "radius_database_url", "genieacs_nbi_url", "tenant_id", "username_realm"):
        say(f"  export FIRSTLIGHT_{name.upper()}='{shown[f'FIRSTLIGHT_{name.upper()}']}'")
    say("  .venv/bin/firstlight runs list        (Ctrl-C here ends it)")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
