"""``firstlight addresses pools | usage``: how full the pools are, in numbers, as bars and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from ipam import DEFAULT_VRF, PlaceKind, PlaceUsage, PoolOutlook, PoolUsage
from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, at_second, print_json, print_list, say
from provisioning.cli.replacing import replacing
from provisioning.cli.running import AsJson, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.forecast import forecast
from provisioning.occupation_svg import occupation_svg

LEVEL_STYLES = {"ok": "green", "low": "yellow", "critical": "bold red", "exhausted": "bold red"}
BAR = 30
LONGEST_NAME = 30
"""Of a pool, beside its numbers: on 80 columns a longer one would push them out of sight."""
PARTS = (
    ("assigned", "█", "blue"),
    ("quarantined", "▓", "yellow"),
    ("reserved", "▒", "magenta"),
    ("draining", "▚", "red"),
)
"""Of what a bar is made, from the left; what is left is free."""
WORDS = {"quarantined": "cooling off"}


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(pools)
    app.command()(usage)


def pools(json_: AsJson = False) -> None:
    """List the pools: what is used, cooling, reserved and free, how bad that is, and how long it lasts."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).network_service.outlook()
        if json_:
            print_json(found)
        elif not found:
            say("no pools")
        else:
            headings = ("pool", "used", "free", "level", "forecast")
            entries = [Entry(_cells(each, appliance.clock()), _below(each)) for each in found]
            print_list(headings, entries, longest=LONGEST_NAME)

    run(act, as_json=json_, looks=True)


def usage(
    pool: Annotated[str | None, typer.Argument(help="Only this pool, by its name or its prefix.")] = None,
    by: Annotated[
        str | None, typer.Option(help="Rolled up by where pools are bound: bng, site or access_node.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Write a picture of the pool's occupation into this file.")] = None,
    json_: AsJson = False,
) -> None:
    """Show how full the pools are as bars, each or by place; of one pool also as a picture (SVG)."""

    async def act(appliance: Appliance) -> None:
        place = _place(pool, by, svg)
        if place is not None:
            async with appliance.database.read() as db:
                rolled_up = await appliance.address_lookup(db).usage_by_place(place)
            print_json(rolled_up) if json_ else _print_places(rolled_up)
            return
        async with appliance.database.read() as db:
            found = await appliance.services(db).network_service.utilisation()
            if pool is not None:
                found = [each for each in found if pool in (each["pool"], each["network"])]
                if not found:
                    await appliance.address_lookup(db).refuse_faults(pool=pool)
            drawn = await appliance.address_lookup(db).occupation(found[0]["pool"]) if svg is not None else None
        if svg is not None and drawn is not None:
            with replacing(svg) as target:
                target.write(occupation_svg(drawn))
        print_json(found) if json_ else _print_pools(found)

    run(act, as_json=json_, looks=True)


def _place(pool: str | None, by: str | None, svg: Path | None) -> PlaceKind | None:
    """By what it is rolled up.

    Raises: InvalidRequest with all that doesn't go together, or is no place.
    """
    faults: list[Fault] = []
    place: PlaceKind | None = None
    try:
        place = chosen("by", by, PlaceKind)
    except InvalidRequest as refused:
        faults += refused.faults
    if svg is not None and pool is None:
        faults.append(Fault("pool", "is needed with --svg"))
    if by is not None and pool is not None:
        faults.append(Fault("pool", "can't be given with --by"))
    if faults:
        raise InvalidRequest("The usage", faults)
    return place


def _cells(pool: PoolOutlook, now: datetime) -> tuple[str | Text, ...]:
    return (
        pool["pool"],
        f"{pool['used_percent']:g} %",
        f"{pool['free']} of {pool['size']}",
        Text(pool["level"], style=LEVEL_STYLES[pool["level"]]),
        forecast(pool, now),
    )


def _below(pool: PoolOutlook) -> str:
    """What it stands on, and of what its use is made."""
    role = f"{pool['role']} " if pool["role"] else ""
    soon = pool["next_available_at"]
    back = f"; the next one comes back {at_second(soon)}" if soon else ""
    return f"{role}{_network(pool)} ({pool['kind']}): {_made_of(pool)}{back}"


def _network(used: PoolUsage) -> str:
    """Two VRFs may have the same one."""
    return used["network"] if used["vrf"] in (None, DEFAULT_VRF) else f"{used['network']} in VRF {used['vrf']}"


def _made_of(used: PoolUsage | PlaceUsage) -> str:
    numbers = _numbers(used)
    return ", ".join(f"{numbers[name]} {WORDS.get(name, name)}" for name, *_ in PARTS if numbers[name]) or "none in use"


def _numbers(used: PoolUsage | PlaceUsage) -> dict[str, int]:
    return {
        "assigned": used["assigned"],
        "quarantined": used["quarantined"],
        "reserved": used["reserved"],
        "draining": used["draining"],
    }


def _print_pools(found: Sequence[PoolUsage]) -> None:
    if not found:
        say("no pools")
        return
    entries = [Entry((each["pool"], _bar(each), f"{each['used_percent']:g} %"), _line_below(each)) for each in found]
    print_list(("pool", "", "used"), entries, longest=LONGEST_NAME)


def _line_below(used: PoolUsage) -> str:
    return f"{_network(used)}: {_made_of(used)}, {used['free']} of {used['size']} free"


def _print_places(found: Sequence[PlaceUsage]) -> None:
    if not found:
        say("no pool is bound to such a place")
        return
    entries = [
        Entry(
            (each["place"], each["kind"], _bar(each), f"{each['used_percent']:g} %"),
            f"{', '.join(each['pools'])}: {_made_of(each)}, {each['free']} of {each['size']} free",
        )
        for each in found
    ]
    print_list(("place", "kind", "", "used"), entries)


def _bar(used: PoolUsage | PlaceUsage) -> Text:
    """What there is at all is seen, however little it is."""
    bar, size, numbers = Text(), max(used["size"], 1), _numbers(used)
    left = BAR - 1 if used["free"] else BAR
    for name, mark, style in PARTS:
        if numbers[name]:
            width = min(max(round(BAR * numbers[name] / size), 1), left)
            bar.append(mark * width, style=style)
            left -= width
    bar.append("░" * (BAR - bar.cell_len), style="dim")
    return bar
