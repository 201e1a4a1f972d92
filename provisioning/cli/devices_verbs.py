"""``firstlight devices reboot | refresh | get | set | firmware | wifi | ...``: what is done to a CPE, and what it says.

A command writes an operation down and answers with it; the worker carries it to the CPE. With ``--wait`` the command
does that itself, and ends when the operation has, or with status 1 if that takes too long.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from acs import DeviceReading, OperationRecord, OperationState
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.printing import Entry, clock_time, print_indented, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.device_desk import DeviceDesk
from provisioning.device_operations import acs_side, by_port
from provisioning.errors import Fault, InvalidRequest

Serial = Annotated[str, typer.Argument(help="The CPE's serial number, in any spelling of it.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit: the customer notices it.")]
Request = Annotated[str | None, typer.Option(help="Names this act: the same again is the same operation.")]
Wait = Annotated[bool, typer.Option("--wait", help="Carry it out now, and say how far it comes.")]
WaitSeconds = Annotated[int, typer.Option(min=1, max=86400, help="How long --wait waits; the worker goes on then.")]
Hours = Annotated[
    int | None, typer.Option(min=1, max=720, help="How long it may wait for the CPE; then it is taken back.")
]
Paths = Annotated[list[str], typer.Argument(help="Parameters by their full paths.")]

UNITS = {"optical_rx": "dBm", "wan_uptime": "s", "cpe_uptime": "s"}


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (reboot, factory_reset, firmware, refresh, get, ping, download, swap, wifi, cancel):
        app.command()(command)
    app.command("set")(set_)
    for looking in (operations, operation, readings, missed_informs):
        app.command()(looking)


def reboot(
    serial: Serial,
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 600,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Reboot a CPE once; done when it has reported a boot since."""
    _ask(
        lambda desk: desk.operations.reboot(device_serial=serial, by=by, request_id=request, within=_within(hours)),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def factory_reset(
    serial: Serial,
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 900,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Take a CPE back to factory default; done when it has reported as a new one and has its settings again."""
    _ask(
        lambda desk: desk.operations.factory_reset(
            device_serial=serial, by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def firmware(
    serial: Serial,
    file: Annotated[str, typer.Argument(help="The file by its name at the ACS.")],
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 1800,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Give a CPE a firmware that the ACS has for its model; done when it has booted with that version."""
    _ask(
        lambda desk: desk.operations.firmware(
            device_serial=serial, file=file, by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def refresh(
    serial: Serial,
    objects: Annotated[
        list[str] | None, typer.Argument(help="Objects by their full paths; without any those its settings are in.")
    ] = None,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Have the ACS read whole objects of a CPE anew; never ManagementServer, which would cut connection requests."""
    _ask(
        lambda desk: desk.operations.refresh(
            device_serial=serial, paths=objects or [], by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def get(
    serial: Serial,
    paths: Paths,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Read parameters from a CPE itself; a secret is not shown."""
    _ask(
        lambda desk: desk.operations.get(
            device_serial=serial, paths=paths, by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def set_(
    serial: Serial,
    values: Annotated[list[str], typer.Argument(help="PATH=VALUE, once or more; all are set or none.")],
    reason: Reason,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    hours: Hours = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Set parameters that no template sets, once; done when they were read back in a later session."""
    _ask(
        lambda desk: desk.operations.set(
            device_serial=serial, values=_assignments(values), by=by, request_id=request, within=_within(hours)
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def ping(
    serial: Serial,
    host: Annotated[str, typer.Argument(help="Whom it pings, by name or address.")],
    count: Annotated[int, typer.Option(help="How often.")] = 4,
    size_bytes: Annotated[int, typer.Option(help="Size of each, in bytes.")] = 56,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 120,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Let a CPE ping a host, where its model can."""
    _ask(
        lambda desk: desk.operations.ping(
            device_serial=serial,
            host=host,
            count=count,
            size_bytes=size_bytes,
            by=by,
            request_id=request,
        ),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def download(
    serial: Serial,
    url: Annotated[str, typer.Argument(help="The file: an http or ftp address.")],
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 300,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Let a CPE download a file and tell how fast, where its model can."""
    _ask(
        lambda desk: desk.operations.download(device_serial=serial, url=url, by=by, request_id=request),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def swap(
    serial: Serial,
    new_serial: Annotated[str, typer.Argument(help="The serial number of the CPE that takes its place.")],
    reason: Reason,
    line_by_hand: Annotated[
        bool,
        typer.Option("--line-by-hand", help="You authorise the new one on the OLT; needed where that has the old."),
    ] = False,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 900,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Put a CPE in the place of another one, with its service, its settings and its WiFi passphrase."""
    _ask(
        lambda desk: desk.swap(serial, new_serial=new_serial, line_by_hand=line_by_hand, by=by, request_id=request),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def wifi(
    serial: Serial,
    reason: Reason,
    ssid: Annotated[str | None, typer.Option(help="The WiFi's name from now on.")] = None,
    passphrase_file: Annotated[
        str | None, typer.Option(help="The file with the passphrase, - is standard input; its first line counts.")
    ] = None,
    request: Request = None,
    wait: Wait = False,
    wait_seconds: WaitSeconds = 300,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Give the customer's WiFi another name or passphrase; it is applied, read back, and stays so after a reset."""
    passphrase = None if passphrase_file is None else _first_line(passphrase_file)
    _ask(
        lambda desk: desk.change_wifi(serial, ssid=ssid, passphrase=passphrase, by=by, request_id=request),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def cancel(
    operation: Annotated[int, typer.Argument(help="The operation's number.")],
    reason: Annotated[str, typer.Option(help="Why, for the audit.")],
    wait: Wait = False,
    wait_seconds: WaitSeconds = 60,
    json_: AsJson = False,
) -> None:
    """Take an operation back that the CPE has not been sent yet."""
    _ask(
        lambda desk: desk.operations.cancel(operation_id=operation),
        wait=wait_seconds if wait else None,
        as_json=json_,
    )


def operations(
    serial: Annotated[str | None, typer.Argument(help="Only those of this CPE.")] = None,
    state: Annotated[OperationState | None, typer.Option(help="Only those in this state.")] = None,
    before: Annotated[int | None, typer.Option(help="Only those with a lower number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List the operations on CPEs, the newest first."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            verbs = appliance.device_desk(db).operations
            found = await verbs.operations(device_serial=serial, state=state, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no such operation" if serial or state or before else "no operations")
        else:
            print_list(("#", "serial", "what", "state", "requested", "by"), [_entry(each) for each in found])

    run(act, as_json=json_)


def operation(number: Annotated[int, typer.Argument(help="The operation's number.")], json_: AsJson = False) -> None:
    """Show one operation: what became of it, and why."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.device_desk(db).operations.operation(operation_id=number)
        if json_:
            print_json(found)
        else:
            _print(found)

    run(act, as_json=json_)


def readings(
    serial: Serial,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Ask the CPE first; otherwise what the ACS read last.")
    ] = False,
    stale_minutes: Annotated[int, typer.Option(min=1, help="What was read longer ago is marked.")] = 15,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Show a CPE's light, PPP, WiFi and version as the ACS has them, each with the time it was read."""

    async def act(appliance: Appliance) -> None:
        async with acs_side(appliance) as acs:
            if fresh:
                paths = await acs.readings.paths(serial)
                async with appliance.database.begin() as db:
                    verbs = appliance.device_desk(db).operations
                    asked = await verbs.get(device_serial=serial, paths=paths, as_far_as_there=True, by=by)
                    tells(subject=subject_of("device_operation", asked["operation_id"]))
                with carrying(appliance):
                    asked = await acs.carrier.wait(asked["operation_id"], seconds=60)
                if asked["state"] != "done" and not json_:
                    say(f"not asked anew: {asked['reason']}")
            found = await acs.readings.of(serial, stale_after=timedelta(minutes=stale_minutes))
        if json_:
            print_json(found)
        else:
            _print_readings(found)

    run(act, as_json=json_)


def missed_informs(
    at_least: Annotated[int, typer.Option(min=1, help="Only CPEs that have missed so many in a row.")] = 2,
    json_: AsJson = False,
) -> None:
    """Count the CPEs that have missed Informs by access port, so that a cut fibre shows as one port."""

    async def act(appliance: Appliance) -> None:
        async with acs_side(appliance) as acs:
            late = await acs.readings.late(missed_at_least=at_least)
        async with appliance.database.read() as db:
            ports = by_port(late, await appliance.services(db).network_service.all_resources())
        if json_:
            print_json(ports)
        elif not ports:
            say("every CPE that has reported once reports as it should")
        else:
            rows = [
                Entry(
                    (
                        each["access_node"] or "not known",
                        each["port"] or "not known",
                        f"{each['silent']} of {each['cpes']}",
                        str(each["longest_missed"]),
                    ),
                    "all of them: look at the port or its fibre" if each["all_silent"] else "",
                )
                for each in ports
            ]
            print_list(("access node", "port", "silent", "missed"), rows)

    run(act, as_json=json_)


def _ask(act: Callable[[DeviceDesk], Awaitable[OperationRecord]], *, wait: int | None, as_json: bool) -> None:
    """Commits an operation; with ``wait`` it is carried out at once, so many seconds long."""

    async def done(appliance: Appliance) -> bool:
        async with appliance.database.begin() as db:
            asked = await act(appliance.device_desk(db))
            tells(subject=subject_of("device_operation", asked["operation_id"]), customer_id=asked["customer_id"])
        if wait is not None and asked["ended_at"] is None:
            asked = await _carried(appliance, asked, seconds=wait, heard=None if as_json else _progress())
        if as_json:
            print_json(asked)
        else:
            _print(asked)
        return (
            wait is None
            or asked["state"] == "done"
            or (asked["state"] == "cancelled" and asked["ended_at"] is not None)
        )

    if not run(done, as_json=as_json):
        raise typer.Exit(1)


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


def _within(hours: int | None) -> timedelta | None:
    return None if hours is None else timedelta(hours=hours)


def _assignments(words: list[str]) -> dict[str, Any]:
    """Raises: InvalidRequest for a word that is no PATH=VALUE, or a path that is there twice."""
    values: dict[str, Any] = {}
    faults = []
    for word in words:
        path, equals, value = word.partition("=")
        if not equals or not path:
            faults.append(Fault("values", f"{path[:80]!r} is no PATH=VALUE"))
        elif path in values:
            faults.append(Fault("values", f"{path} is set twice"))
        else:
            values[path] = value
    if faults:
        raise InvalidRequest("The command", faults)
    return values


def _first_line(file: str) -> str:
    text = sys.stdin.readline() if file == "-" else Path(file).read_text(encoding="utf-8")
    return text.split("\n", 1)[0].rstrip("\r")


def _entry(record: OperationRecord) -> Entry:
    return Entry(
        (
            str(record["operation_id"]),
            record["device_serial"],
            record["kind"].replace("_", " "),
            state_text(record["state"]),
            clock_time(record["requested_at"]),
            record["requested_by"],
        ),
        "" if record["state"] == "done" else record["reason"],
    )


def _print(record: OperationRecord) -> None:
    say(f"operation {record['operation_id']}: {record['kind'].replace('_', ' ')} of CPE {record['device_serial']}")
    say(state_text(record["state"]))
    print_indented(record["reason"], first="  ")
    for name, value in (record["result"] or {}).items():
        _print_result(name, value)
    for what in ("requested_at", "queued_at", "ended_at", "expires_at"):
        if (moment := clock_time(record[what])) and not (what == "expires_at" and record["ended_at"] is not None):
            say(f"{what.removesuffix('_at')} {moment}")


def _print_result(name: str, value: Any) -> None:
    if isinstance(value, dict):
        for path, found in value.items():
            shown = found["value"] if isinstance(found, dict) and "value" in found else found
            say(f"  {path} = {'(not shown)' if shown is None else shown}")
    elif value not in (None, []):
        say(f"  {name.replace('_', ' ')}: {', '.join(map(str, value)) if isinstance(value, list) else value}")


def _print_readings(found: DeviceReading) -> None:
    model = " ".join(each for each in (found["manufacturer"], found["product_class"]) if each)
    say(f"{found['device_serial']}  {model}, last inform {clock_time(found['last_inform_at'])}")
    rows = []
    for each in found["readings"]:
        value = "" if each["value"] is None else f"{each['value']} {UNITS.get(each['reading'], '')}".strip()
        marks = [each["note"], "stale" if each["is_stale"] else ""]
        marks.append(
            f"path {each['sure']}, not tried on a CPE of ours" if each["sure"] not in (None, "standard") else ""
        )
        note = ", ".join(mark for mark in marks if mark)
        rows.append(Entry((each["reading"].replace("_", " "), value or "-", clock_time(each["read_at"])), note))
    print_list(("reading", "value", "read"), rows)
