"""``/devices/imports``: which CPEs serve whom, from a list; the worker gives them their settings."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from provisioning import device_files
from provisioning.access import subject_of
from provisioning.api.calls import InCall
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish
from provisioning.errors import Fault, InvalidRequest

doors = Doors(prefix="/devices", tags=["devices"])

MOST_BYTES = 1024 * 1024
MOST_LINES = 500
"""Nobody else writes to SQLite while they are bound."""


class CpeListWish(Wish):
    """A list of CPEs as CSV; `line_by_hand`: whoever asks authorises them on the OLT."""

    content: Annotated[str, Field(description="CSV: serial, username or external_id, template, leave_alone, inputs")]
    template: Annotated[
        str | None, Field(min_length=1, max_length=100, description="The template of lines that name none")
    ] = None
    line_by_hand: bool = False
    file_name: Annotated[str | None, Field(max_length=200, description="For the audit")] = None
    dry_run: Annotated[bool, Field(description="Only say what it comes to")] = False
    reason: Reason


class BoundFromList(BaseModel):
    """How many lines there were, how many CPEs were bound, and how many were bound just so."""

    lines: int
    bound: int
    unchanged: int
    dry_run: bool


@doors.post("/imports", permission="devices.operate", name="import", most_bytes=MOST_BYTES)
async def import_(call: InCall, wish: CpeListWish) -> BoundFromList:
    """Binds CPEs to subscribers who are served, all of a list or nothing; each line's faults stand in the refusal."""
    inputs = {name for each in call.appliance.device_settings(call.db).templates() for name in each["inputs"]}
    file = await device_files.opened(wish.content.encode(), inputs=inputs, template=wish.template)
    if len(file.rows) > MOST_LINES:
        fault = f"has {len(file.rows)} lines, and a request takes {MOST_LINES} at most: send it in parts"
        raise InvalidRequest(device_files.WHAT, [Fault("content", fault)])
    done = await device_files.bind_all(
        call.appliance, call.db, file, line_by_hand=wish.line_by_hand, dry_run=wish.dry_run
    )
    if wish.dry_run or not done.bound:
        call.changes_nothing()
    counts = {"lines": done.lines, "bound": done.bound, "unchanged": done.unchanged}
    named = wish.file_name or "a body"
    call.tells(subject=subject_of("import", "devices"), reason=wish.reason, after={"file": named, **counts})
    return BoundFromList(**counts, dry_run=wish.dry_run)
