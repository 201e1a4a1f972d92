"""``firstlight addresses pools``: how full the pools are, and how long they will last."""

from __future__ import annotations

import typer
from rich.text import Text

from ipam import PoolOutlook
from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, clock_time, print_json, print_list, say
from provisioning.cli.running import AsJson, run

LEVEL_STYLES = {"ok": "green", "low": "yellow", "critical": "bold red", "exhausted": "bold red"}


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(pools)


def pools(json_: AsJson = False) -> None:
    """List the pools: what is used, cooling off, reserved and free, how bad that is, and in how many days it is full."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).network_service.outlook()
        if json_:
            print_json(found)
        elif not found:
            say("no pools")
        else:
            headings = ("pool", "used", "free", "level", "full in days")
            print_list(headings, [Entry(_cells(each), _below(each)) for each in found])

    run(act, as_json=json_)


def _cells(pool: PoolOutlook) -> tuple[str | Text, ...]:
    days = pool["days_to_exhaustion"]
    return (
        pool["pool"],
        f"{pool['used_percent']:g} %",
        f"{pool['free']} of {pool['size']}",
        Text(pool["level"], style=LEVEL_STYLES[pool["level"]]),
        "" if days is None else f"{days:g}",
    )


def _below(pool: PoolOutlook) -> str:
    """What it stands on, and of what its use is made."""
    role = f"{pool['role']} " if pool["role"] else ""
    parts = {
        "assigned": pool["assigned"],
        "cooling off": pool["quarantined"],
        "reserved": pool["reserved"],
        "draining": pool["draining"],
    }
    made_of = ", ".join(f"{number} {state}" for state, number in parts.items() if number) or "nothing in use"
    soon = pool["next_available_at"]
    back = f"; the next one comes back {clock_time(soon)}" if soon else ""
    return f"{role}{pool['network']} ({pool['kind']}): {made_of}{back}"
