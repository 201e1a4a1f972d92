"""``firstlight addresses import | export | reconcile``: allocations as files, and RADIUS compared with them."""

from __future__ import annotations

import csv
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any, TextIO, cast, get_args

import typer

from ipam import ExportShape, ImportCounts, ImportFile, ImportRefused, ImportSource
from provisioning.access import subject_of
from provisioning.address_files import opened, with_errors
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, err, print_json, print_list, say
from provisioning.cli.replacing import replacing
from provisioning.cli.running import AsJson, run
from provisioning.intake import Faults
from provisioning.reconciliation import COLUMNS, KINDS, RadiusComparison, Reconciled, cells

MOST_SHOWN = 50
"""Of differences of a kind, so many stand on the screen."""
STATES = ("assigned", "reserved", "quarantine", "updated", "unchanged")


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command("import")(import_)
    app.command()(export)
    app.command("reconcile")(reconcile_)


def import_(
    file: Annotated[
        Path | None, typer.Argument(help="The file; radreply without one is read from the radius database.")
    ] = None,
    from_: Annotated[
        str, typer.Option("--from", help="Whose file it is: csv (ours), netbox, phpipam, radreply.")
    ] = "csv",
    mapping: Annotated[
        Path | None,
        typer.Option(help="CSV that says whose addresses are: username or address; customer_id, location, plan, vrf."),
    ] = None,
    errors: Annotated[
        Path | None, typer.Option(help="Write the file again, with a column of what is wrong with each line.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None,
    json_: AsJson = False,
) -> None:
    """Take existing allocations over, all of a file or nothing; what has no owner is held as a reservation."""

    async def act(appliance: Appliance) -> ImportCounts:
        source = _meant(from_, reason)
        content, known = (None if path is None else path.read_bytes() for path in (file, mapping))
        read = await opened(appliance, source, content=content, mapping=known)
        try:
            # Written first: what was brought in isn't told to have failed for want of this file.
            with _errors(errors, read, {}):
                return await _brought_in(appliance, read, file, dry_run=dry_run)
        except ImportRefused as refused:
            with _errors(errors, read, refused.by_line):
                pass
            raise

    counts = run(act, as_json=json_)
    if json_:
        print_json({**counts, "dry_run": dry_run})
        return
    numbers: dict[str, Any] = {**counts}
    made = ", ".join(f"{numbers[name]} {name}" for name in STATES if numbers[name]) or "nothing"
    say(f"{counts['lines']} lines, {counts['skipped']} left out: {made}; {counts['services']} new services")
    if counts["outside_pools"]:
        some = _some(counts["outside_pools"], counts["first_outside"])
        say(f"of what is left out, outside of every pool: {some}")
    if counts["mapping_unused"]:
        say(f"of the mapping, in no line of the file: {_some(counts['mapping_unused'], counts['first_unused'])}")
    if dry_run:
        say("nothing was written")


def _some(number: int, first: Sequence[str]) -> str:
    """How many, and the first of them."""
    return f"{number} ({', '.join(first)}{', ...' if number > len(first) else ''})"


def _meant(from_: str, reason: str | None) -> ImportSource:
    """
    Raises: InvalidRequest
    """
    faults, known = Faults("The import"), get_args(ImportSource)
    if from_ not in known:
        faults.add("from", f"{from_} is none of {', '.join(known)}")
    if reason is not None:
        faults.line("reason", reason, longest=1000)
    faults.refuse_if_any()
    return cast(ImportSource, from_)


async def _brought_in(appliance: Appliance, read: ImportFile, file: Path | None, *, dry_run: bool) -> ImportCounts:
    """
    Raises: ImportRefused
    """
    if dry_run:
        async with appliance.database.read() as db:
            checked = await appliance.inventory(db).check(read)
        if checked.faults:
            raise ImportRefused(checked.faults, read.places)
        return checked.counts
    async with appliance.database.begin() as db:
        counts = await appliance.inventory(db).bring_in(read)
        named = file.name if file is not None else "radius database"
        tells(subject=subject_of("import", read.source), after={"file": named, **counts})
    return counts


@contextmanager
def _errors(errors: Path | None, read: ImportFile, faults: Mapping[int, Sequence[str]]) -> Iterator[None]:
    if errors is None:
        yield
        return
    with replacing(errors) as target:
        target.write(with_errors(read, faults))
        target.flush()
        yield


def export(
    pool: Annotated[str | None, typer.Option(help="Only this pool.")] = None,
    to: Annotated[Path | None, typer.Option(help="Into this file; else on standard output.")] = None,
    as_: Annotated[
        str, typer.Option("--as", help="In which columns: csv (ours), netbox-addresses or netbox-prefixes.")
    ] = "csv",
    json_: AsJson = False,
) -> None:
    """Write everything that is held, reserved or cooling as CSV, as `addresses import` reads it, or NetBox."""

    async def act(appliance: Appliance) -> tuple[int, list[int]]:
        shape: ExportShape = chosen("as", as_, ExportShape)
        async with appliance.database.read() as db:
            inventory = appliance.inventory(db)
            columns, found = inventory.columns(shape), inventory.export(pool=pool, shape=shape)
            unlisted = await inventory.not_exported() if pool is None and shape == "csv" else []
            if json_ and to is None:
                rows = [dict(zip(columns, row, strict=True)) async for row in found]
                print_json(rows)
                return len(rows), unlisted
            if to is None:
                return await _write(sys.stdout, columns, found), unlisted
            with replacing(to) as target:
                return await _write(target, columns, found), unlisted

    written, unlisted = run(act, as_json=json_)
    if to is not None and json_:
        print_json({"file": str(to), "lines": written, "left_out": unlisted})
    elif to is not None:
        say(f"{written} lines in {to}")
    if unlisted and not json_:
        some = _some(len(unlisted), list(map(str, unlisted[:MOST_SHOWN])))
        err.print(f"without a line, since they hold nothing of their own: services {some}")


async def _write(target: TextIO, columns: Sequence[str], rows: AsyncIterator[Sequence[str]]) -> int:
    writer, row, count = csv.writer(target, lineterminator="\n"), await anext(rows, None), 0
    writer.writerow(columns)  # not before the first row is there: a pool that isn't there is refused without it
    while row is not None:
        writer.writerow(row)
        row, count = await anext(rows, None), count + 1
    return count


def reconcile_(
    csv_: Annotated[Path | None, typer.Option("--csv", help="Write the differences as CSV into this file.")] = None,
    json_: AsJson = False,
) -> None:
    """Compare RADIUS' replies with what is allocated; status 1 if they differ. Each line has its command."""

    async def act(appliance: Appliance) -> tuple[list[Reconciled], RadiusComparison]:
        comparison = RadiusComparison(appliance)
        # Opened before the long look, which is in vain if it can't be written.
        with nullcontext() if csv_ is None else replacing(csv_) as target:
            found = [each async for each in comparison.differences()]
            if target is not None:
                csv.writer(target, lineterminator="\n").writerows([COLUMNS, *map(cells, found)])
        return found, comparison

    found, comparison = run(act, as_json=json_)
    if json_:
        told: dict[str, Any] = {kind: [each for each in found if each["difference"] == kind] for kind in KINDS}
        print_json({**told, "left_out": {"anothers": comparison.anothers, "under_way": comparison.under_way}})
    else:
        if found:
            _print_differences(found)
        else:
            say("RADIUS gives what is allocated, and nothing else")
        if left_out := comparison.left_out():
            say(left_out)
    if found:
        raise typer.Exit(1)


def _print_differences(found: Sequence[Reconciled]) -> None:
    """Of each kind so many as somebody reads, and how many there are."""
    by_kind = {kind: [each for each in found if each["difference"] == kind] for kind in KINDS}
    shown = [each for kind in KINDS for each in by_kind[kind][:MOST_SHOWN]]
    print_list(("difference", "username", "service"), [_entry(each) for each in shown])
    for kind, all_of_it in by_kind.items():
        if len(all_of_it) > MOST_SHOWN:
            say(f"{kind}: {len(all_of_it)}, of which {MOST_SHOWN} are shown; --csv FILE writes all of them")


def _entry(found: Reconciled) -> Entry:
    service = str(found["service_id"] or "")
    sides = (("here", found["ipam"]), ("RADIUS", found["radius"]))
    told = "; ".join(f"{side} has {', '.join(values)}" for side, values in sides if values)
    return Entry((found["difference"], found["username"], service), f"{told}: {found['command']}")
