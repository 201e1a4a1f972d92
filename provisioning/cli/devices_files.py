"""``firstlight devices import``: which CPEs serve whom, from a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning import device_files
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import changes_nothing, tells
from provisioning.cli.bars import bar
from provisioning.cli.devices_asking import Reason
from provisioning.cli.faults import reason_faults
from provisioning.cli.printing import print_json, say
from provisioning.cli.replacing import replacing
from provisioning.cli.running import AsJson, run
from provisioning.device_files import BATCH, MOST_IN_BATCH, BoundCpes, CpeListRefused
from provisioning.errors import InvalidRequest


def add_to(app: typer.Typer) -> None:
    """Adds this command."""
    app.command("import")(import_)


def import_(
    file: Annotated[
        Path,
        typer.Argument(
            help="CSV: serial, username or external_id, template, leave_alone, and a column for each input of it."
        ),
    ],
    reason: Reason,
    template: Annotated[str | None, typer.Option(help="The template of lines that name none.")] = None,
    line_by_hand: Annotated[
        bool, typer.Option("--line-by-hand", help="You authorise them on the OLT; needed where that has another.")
    ] = False,
    batch: Annotated[int, typer.Option(min=1, max=MOST_IN_BATCH, help="How many lines are committed at once.")] = BATCH,
    errors: Annotated[
        Path | None, typer.Option(help="Write the list again, with a column of what is wrong with each line.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it comes to.")] = False,
    json_: AsJson = False,
) -> None:
    """Bind CPEs to subscribers who are served, as `provision` does one; the same again changes nothing."""

    async def act(appliance: Appliance) -> BoundCpes:
        if faults := reason_faults(reason):
            raise InvalidRequest("The list", faults)
        async with appliance.database.read() as db:
            inputs = {name for each in appliance.device_settings(db).templates() for name in each["inputs"]}
        list_ = await device_files.opened(file.read_bytes(), inputs=inputs, template=template)

        def audited(db: AsyncSession, counts: Mapping[str, int]) -> None:
            tells(subject=subject_of("import", "devices"), after={"file": file.name, **counts})
            if not counts["bound"]:
                changes_nothing(db)

        try:
            with bar("checked", total=len(list_.lines), shown=not json_) as check:
                found = await device_files.check(appliance, list_, line_by_hand=line_by_hand, progress=check)
            if dry_run:
                return found
            with bar("bound", total=len(list_.lines), shown=not json_) as bind:
                return await device_files.bring_in(
                    appliance, list_, line_by_hand=line_by_hand, batch=batch, audited=audited, progress=bind
                )
        except CpeListRefused as refused:
            if errors is not None:
                with replacing(errors) as target:
                    target.write(device_files.with_errors(list_, refused.by_line))
            raise

    done = run(act, as_json=json_)
    if json_:
        print_json({**vars(done), "dry_run": dry_run})
        return
    say(f"{done.lines} lines: {done.bound} CPEs {'to be ' if dry_run else ''}bound, {done.unchanged} bound already")
    say("nothing was written" if dry_run else "the worker gives them their settings once they report")
