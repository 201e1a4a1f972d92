"""``firstlight devices acs``: the ACSes themselves, and the presets and scripts that are ours there."""

from __future__ import annotations

import difflib
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from acs import (
    DEFAULT_ACS,
    Change,
    InstallOutcome,
    NbiError,
    PresetInstaller,
)
from provisioning.bootstrap import Appliance
from provisioning.cli import devices_acs_files, devices_codes
from provisioning.cli.devices_acs_files import AcsName
from provisioning.cli.printing import Entry, print_indented, print_json, print_list, say
from provisioning.cli.running import AsJson, By, run
from provisioning.configured import acs_baseline, acs_fleet

app = typer.Typer(no_args_is_help=True, help="The ACSes: presets and scripts of ours, and firmware.")

T = TypeVar("T")


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List the ACSes: where each answers, its version, how many CPEs have ever reported to it."""

    async def act(appliance: Appliance) -> None:
        found = []
        async with acs_fleet(appliance.settings) as fleet:
            for name, nbi in fleet.items():
                try:
                    cpes, trouble = await nbi.count("devices", {}), ""
                except NbiError as error:
                    cpes, trouble = None, str(error)
                version = nbi.genieacs_version
                found.append({"acs": name, "url": nbi.base_url, "version": version, "cpes": cpes, "trouble": trouble})
        if json_:
            print_json(found)
            return
        rows = [
            Entry(
                (
                    str(one["acs"]),
                    str(one["url"]),
                    str(one["version"] or ""),
                    "?" if one["cpes"] is None else str(one["cpes"]),
                ),
                str(one["trouble"]),
            )
            for one in found
        ]
        print_list(("acs", "address", "version", "CPEs"), rows)

    run(act, as_json=json_)


@app.command()
def diff(acs: AcsName = DEFAULT_ACS, json_: AsJson = False) -> None:
    """Show what the ACS has instead of the presets and scripts it should have from us; nothing is changed."""

    async def act(appliance: Appliance) -> None:
        found = await _at(appliance, acs, lambda installer: installer.differences())
        if json_:
            print_json(found)
            return
        for change in found["changes"]:
            say(f"{_SIGNS[change['action']]} {change['kind']} {change['name']}")
            if change["action"] == "change":
                for line in _lines_that_differ(change):
                    say(f"    {line}")
        if not found["changes"]:
            say("the ACS has everything as it should be")
        say(f"{found['foreign']} presets and scripts of others stay as they are")
        for poison in found["poison"]:
            print_indented(f"preset {poison['name']} stops all CPE sessions: {', '.join(poison['faults'])}", first="✗ ")

    run(act, as_json=json_)


@app.command()
def install(
    acs: AcsName = DEFAULT_ACS,
    patience: Annotated[
        float, typer.Option(min=10, max=3600, help="Within how many seconds a CPE must report afterwards.")
    ] = 120,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Put what differs, read it back, and take it all back if CPEs then stop reporting; status 1 if it was."""

    async def act(appliance: Appliance) -> InstallOutcome:
        return await _at(
            appliance, acs, lambda installer: installer.install(requested_by=by, patience_seconds=patience)
        )

    outcome = run(act, as_json=json_)
    _print(outcome, json_=json_)
    if outcome["state"] == "rolled_back":
        raise typer.Exit(1)


@app.command()
def rollback(acs: AcsName = DEFAULT_ACS, by: By = "", json_: AsJson = False) -> None:
    """Put back what was there before the newest install, also of one that was killed."""

    async def act(appliance: Appliance) -> InstallOutcome:
        return await _at(appliance, acs, lambda installer: installer.roll_back(requested_by=by))

    _print(run(act, as_json=json_), json_=json_)


devices_codes.add_to(app)
devices_acs_files.add_to(app)


async def _at(appliance: Appliance, acs: str, act: Callable[[PresetInstaller], Awaitable[T]]) -> T:
    async with acs_fleet(appliance.settings) as fleet:
        installer = PresetInstaller(
            appliance.database.begin,
            fleet[acs],
            acs_name=acs,
            tenant_id=appliance.tenant_id,
            now=appliance.clock,
            wanted=acs_baseline(appliance.settings, acs),
        )
        return await act(installer)


_SIGNS = {"add": "+", "change": "~", "remove": "-"}


def _print(outcome: InstallOutcome, *, json_: bool) -> None:
    if json_:
        print_json(outcome)
        return
    say(f"{outcome['state'].replace('_', ' ')} at ACS {outcome['acs_name']}: {outcome['reason']}")
    for name in outcome["changed"]:
        say(f"  {name}")


def _lines_that_differ(change: Change) -> list[str]:
    """Of a script its lines, of a preset its fields."""
    before, after = change["before"], change["after"]
    if isinstance(before, str) and isinstance(after, str):
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
        return [line for line in lines if not line.startswith(("---", "+++", "@@"))]
    keys = [key for key in sorted({*before, *after}) if before.get(key) != after.get(key)]
    return [f"{key}: {before.get(key)!r} becomes {after.get(key)!r}" for key in keys]
