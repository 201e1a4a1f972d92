"""How a command asks for something to be done to a CPE: written down, carried at once where wanted, and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from acs import OperationRecord
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.faults import reason_faults, unless_faulty
from provisioning.cli.printing import at_second, print_indented, print_json, say, state_text
from provisioning.cli.running import run
from provisioning.device_desk import DeviceDesk
from provisioning.device_operations import acs_side
from provisioning.errors import Fault

Serial = Annotated[str, typer.Argument(help="The CPE's serial number, in any spelling of it.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit: the customer notices it.")]
Request = Annotated[str | None, typer.Option(help="Names this act: the same again is the same operation.")]
Wait = Annotated[bool, typer.Option("--wait", help="Carry it out now, and say how far it comes.")]
WaitSeconds = Annotated[int, typer.Option(min=1, max=86400, help="How long --wait waits; the worker goes on then.")]
Hours = Annotated[
    int | None, typer.Option(min=1, max=720, help="How long it may wait for the CPE; then it is taken back.")
]


def ask(
    act: Callable[[DeviceDesk], Awaitable[OperationRecord]],
    *,
    reason: str | None = None,
    faults: Sequence[Fault] = (),
    wait: int | None,
    as_json: bool,
) -> None:
    """Commits an operation; with ``wait`` it is carried out at once, so many seconds long.

    ``reason``: None where none is asked for. ``faults``: what is wrong with the words that were typed.
    """
    wrong = [*faults, *(reason_faults(reason) if reason is not None else ())]

    async def done(appliance: Appliance) -> bool:
        async with appliance.database.begin() as db:
            asked = await unless_faulty(act(appliance.device_desk(db)), wrong, what="The request")
            tells(subject=subject_of("device_operation", asked["operation_id"]), customer_id=asked["customer_id"])
        if wait is not None and asked["ended_at"] is None:
            asked = await _carried(appliance, asked, seconds=wait, heard=None if as_json else _progress())
        if as_json:
            print_json(asked)
        else:
            print_operation(asked)
        return (
            wait is None
            or asked["state"] == "done"
            or (asked["state"] == "cancelled" and asked["ended_at"] is not None)
        )

    if not run(done, as_json=as_json):
        raise typer.Exit(1)


def print_operation(record: OperationRecord) -> None:
    say(f"operation {record['operation_id']}: {record['kind'].replace('_', ' ')} of CPE {record['device_serial']}")
    for name, value in record["arguments"].items():
        if name != "as_far_as_there":
            print_indented(f"{name.replace('_', ' ')}: {_asked(value)}", first="  ")
    say(state_text(record["state"]))
    print_indented(record["reason"], first="  ")
    for name, value in (record["result"] or {}).items():
        _print_result(name, value)
    for what in ("requested_at", "queued_at", "ended_at", "expires_at"):
        if (moment := at_second(record[what])) and not (what == "expires_at" and record["ended_at"] is not None):
            say(f"{what.removesuffix('_at')} {moment}")


async def _carried(
    appliance: Appliance,
    asked: OperationRecord,
    *,
    seconds: int,
    heard: Callable[[OperationRecord], None] | None,
) -> OperationRecord:
    with carrying(appliance):
        async with acs_side(appliance) as acs:
            return await acs.carrier.wait(asked["operation_id"], seconds=seconds, heard=heard)


def _progress() -> Callable[[OperationRecord], None]:
    """Says each reason once."""
    said: list[str] = []

    def heard(record: OperationRecord) -> None:
        if record["ended_at"] is None and record["reason"] not in said[-1:]:
            said.append(record["reason"])
            print_indented(record["reason"], first="… ")

    return heard


def _asked(value: Any) -> str:
    """What was asked for, in one line."""
    if isinstance(value, dict):
        return ", ".join(f"{path}={each}" for path, each in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "(not shown)" if str(value).startswith("secret:") else str(value)


def _print_result(name: str, value: Any) -> None:
    if name == "refusals":  # the reason says them in words
        return
    if isinstance(value, dict):
        for path, found in value.items():
            shown = found["value"] if isinstance(found, dict) and "value" in found else found
            say(f"  {path} = {'(not shown)' if shown is None else shown}")
    elif value not in (None, []):
        say(f"  {name.replace('_', ' ')}: {', '.join(map(str, value)) if isinstance(value, list) else value}")
