"""``firstlight subscribers import``: subscribers from a file, or from the tables of another FreeRADIUS."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from provisioning import subscriber_files
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.bars import bar
from provisioning.cli.printing import print_json, say
from provisioning.cli.replacing import replacing
from provisioning.cli.running import AsJson, Reason, run
from provisioning.cli.whom import CustomersElsewhere
from provisioning.errors import Fault, InvalidRequest
from provisioning.subscriber_files import BATCH, MOST_IN_BATCH, Imported
from radius import ImportRefused, Settled, SubscriberFile

OWNER_ONLY = 0o600
WHAT = "The import"
SUBJECT = subject_of("import", "subscribers")


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    app.command("import")(import_)


def import_(  # noqa: PLR0913, PLR0917 - each says what is taken over, or how
    reason: Reason,
    file: Annotated[
        Path | None, typer.Argument(help="CSV: username, customer_id, plan, and what else docs/radius-import.md names.")
    ] = None,
    from_radcheck: Annotated[
        str | None,
        typer.Option(help="In its place: the URL of another FreeRADIUS' database, or `configured` for the one in use."),
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="CSV with what those tables don't say: username, customer_id, plan, ...")
    ] = None,
    leave_out: Annotated[
        list[str] | None,
        typer.Option(
            help="An attribute of those tables that is not taken over, or user=NAME, or user=* for all names"
            " without a mapping; may be repeated."
        ),
    ] = None,
    batch: Annotated[int, typer.Option(min=1, max=MOST_IN_BATCH, help="How many lines are committed at once.")] = BATCH,
    errors: Annotated[
        Path | None, typer.Option(help="Write the list again, with a column of what is wrong with each line.")
    ] = None,
    customers_elsewhere: CustomersElsewhere = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to.")] = False,
    json_: AsJson = False,
) -> None:
    """Take subscribers over with their passwords, and tell FreeRADIUS of them; the same again changes nothing."""

    async def act(appliance: Appliance) -> Imported:
        content, beside = (None if path is None else path.read_bytes() for path in (file, mapping))
        list_ = await _opened(appliance, content, from_radcheck, beside, leave_out or [])
        named = file.name if file is not None else "radcheck"
        try:
            if dry_run:
                checked = await subscriber_files.check(appliance, list_, customers_elsewhere=customers_elsewhere)
                _refuse(checked)
                _write_errors(errors, list_, {})
                return Imported(len(list_.lines), len(checked.new), len(checked.unchanged))
            with bar("subscribers", total=len(list_.lines), shown=not json_) as advance:
                return await subscriber_files.bring_in(
                    appliance,
                    list_,
                    batch=batch,
                    audited=lambda counts: tells(subject=SUBJECT, after={"file": named, **counts}),
                    carrying=lambda: carrying(appliance),
                    progress=advance,
                    customers_elsewhere=customers_elsewhere,
                )
        except ImportRefused as refused:
            _write_errors(errors, list_, refused.by_line)
            if from_radcheck is None:
                raise
            raise ImportRefused(refused.by_line, {line.number: line.username for line in list_.lines}) from refused

    done = run(act, as_json=json_)
    _tell(done, dry_run=dry_run, as_json=json_)
    if done.failed:
        raise typer.Exit(1)


async def _opened(
    appliance: Appliance, content: bytes | None, url: str | None, beside: bytes | None, left_out: Sequence[str]
) -> SubscriberFile:
    """
    Raises: InvalidRequest, ImportUnreadable, RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    if (content is None) == (url is None):
        raise InvalidRequest(WHAT, [Fault("file", "is needed, or --from-radcheck, and not both")])
    if content is not None:
        if beside is not None or left_out:
            raise InvalidRequest(WHAT, [Fault("mapping", "and --leave-out go with --from-radcheck")])
        return await subscriber_files.opened(content)
    return await subscriber_files.opened_tables(appliance, url or "", beside=beside, left_out=left_out)


def _refuse(checked: Settled) -> None:
    if checked.faults:
        raise ImportRefused(checked.faults)


def _write_errors(errors: Path | None, list_: SubscriberFile, faults: Mapping[int, Sequence[str]]) -> None:
    """It has passwords in it, so it is its owner's alone."""
    if errors is None:
        return
    with replacing(errors, mode=OWNER_ONLY) as target:
        target.write(subscriber_files.with_errors(list_, faults))


def _tell(done: Imported, *, dry_run: bool, as_json: bool) -> None:
    if as_json:
        print_json({**vars(done), "dry_run": dry_run})
        return
    say(f"{done.lines} lines: {done.created} new subscribers, {done.unchanged} here already")
    if dry_run:
        say("nothing was written")
        return
    for name, reason in done.failed:
        say(f"{name}: {reason}")
    say(f"FreeRADIUS knows {done.projected} of them" + ("; the worker tries the others again" if done.failed else ""))
