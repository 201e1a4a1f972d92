"""``firstlight devices acs files | upload``: the firmware that CPEs can be told to fetch from an ACS."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from acs import DEFAULT_ACS, Done, NbiTimedOut, StoredFile, require_done
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import changes_elsewhere, tells
from provisioning.cli.faults import reason_faults
from provisioning.cli.printing import Entry, print_json, print_list, say
from provisioning.cli.running import AsJson, By, run
from provisioning.configured import acs_fleet
from provisioning.errors import Fault, InvalidRequest

FIRMWARE = "1 Firmware Upgrade Image"
"""TR-069 A.4.1.5."""
AcsName = Annotated[str, typer.Option("--acs", help="Which ACS, where there are several.")]

_OUI = re.compile("[0-9A-F]{6}")


def add_to(app: typer.Typer) -> None:
    """These commands, of the group that they belong to."""
    app.command()(files)
    app.command()(upload)


def files(acs: AcsName = DEFAULT_ACS, json_: AsJson = False) -> None:
    """List the files that CPEs can be told to fetch, and for which model each is."""

    async def act(appliance: Appliance) -> tuple[StoredFile, ...]:
        async with acs_fleet(appliance.settings) as fleet:
            return await fleet[acs].files()

    found = run(act, as_json=json_)
    if json_:
        print_json([_as_json(each) for each in found])
    elif not found:
        say("no files")
    else:
        print_list(("file", "version", "model", "OUI", "bytes"), [_entry(each) for each in found])


def upload(  # noqa: PLR0913, PLR0917 - each is a fact about the file
    file: Annotated[Path, typer.Argument(help="The firmware.")],
    model: Annotated[str, typer.Option(help="The product class of the CPEs that it is for, as they report it.")],
    oui: Annotated[str, typer.Option(help="The OUI of these CPEs: six hex digits.")],
    version: Annotated[str, typer.Option(help="The version that they report once they run it.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    name: Annotated[str | None, typer.Option(help="Its name at the ACS, if not the file's own.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="In the place of the one of that name.")] = False,
    acs: AcsName = DEFAULT_ACS,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Put a firmware at the ACS, for CPEs of one model; done when the ACS lists it whole. No CPE is sent it by that."""

    async def act(appliance: Appliance) -> StoredFile:
        content = file.read_bytes()
        wanted = StoredFile(name or file.name, len(content), FIRMWARE, oui.upper(), model, version)
        if faults := [*_faults(wanted), *reason_faults(reason)]:
            raise InvalidRequest("The firmware", faults)
        async with acs_fleet(appliance.settings) as fleet:
            nbi = fleet[acs]
            there = await nbi.file(wanted.name)
            if there is not None and not replace:
                known = f"{wanted.name} is there already, version {there.version or 'not said'}"
                raise InvalidRequest("The firmware", [Fault("name", f"{known}: another name, or --replace")])
            async with appliance.database.begin() as db:
                tells(subject=subject_of("acs_file", wanted.name), after={"acs": acs, "version": version})
                await changes_elsewhere(db)
            outcome = await nbi.put_file(
                wanted.name,
                content,
                file_type=wanted.file_type,
                oui=wanted.oui,
                product_class=wanted.product_class,
                version=wanted.version,
            )
            if not isinstance(outcome, Done) and there is not None:  # the former one may be listed just so
                require_done(outcome, f"the storing of {wanted.name}")
            stored = await nbi.file(wanted.name)
        if stored != wanted:
            require_done(outcome, f"the storing of {wanted.name}")
            raise NbiTimedOut(f"The ACS lists {wanted.name} otherwise than it was sent; once more, with --replace.")
        return stored

    stored = run(act, as_json=json_)
    if json_:
        print_json(_as_json(stored))
        return
    say(f"{stored.name} is at ACS {acs}: {stored.version} for {stored.product_class} ({stored.oui})")


def _faults(wanted: StoredFile) -> list[Fault]:
    """What would keep every CPE from being given it. The ACS's own rules are the client's."""
    faults = [] if wanted.product_class.strip() else [Fault("model", "is missing")]
    faults += [] if _OUI.fullmatch(wanted.oui) else [Fault("oui", f"{wanted.oui!r} is not six hex digits")]
    return faults + ([] if wanted.version.strip() else [Fault("version", "is missing")])


def _as_json(stored: StoredFile) -> dict[str, str | int]:
    return {
        "file": stored.name,
        "bytes": stored.length_bytes,
        "file_type": stored.file_type,
        "oui": stored.oui,
        "model": stored.product_class,
        "version": stored.version,
    }


def _entry(stored: StoredFile) -> Entry:
    cells = (stored.name, stored.version, stored.product_class, stored.oui, str(stored.length_bytes))
    return Entry(cells, "" if stored.file_type == FIRMWARE else stored.file_type or "its type is not said")
