"""``firstlight devices operations | operation | readings | missed-informs``: what was done, and what CPEs say."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from acs import DeviceReading, LateCpes, OperationRecord, OperationState
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.devices_asking import Serial, print_operation
from provisioning.cli.each_acs import end_without, of_each_acs
from provisioning.cli.printing import Entry, at_second, clock_time, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.configured import acs_names
from provisioning.device_operations import acs_side, by_port

UNITS = {"optical_rx": "dBm", "wan_uptime": "s", "cpe_uptime": "s"}


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (operations, operation, readings, missed_informs):
        app.command()(command)


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
            print_operation(found)

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

    async def act(appliance: Appliance) -> dict[str, str]:
        late = LateCpes(late=[], service_ids=[])
        async with acs_side(appliance) as acs:

            async def at(name: str) -> None:
                found = await acs.readings.late(missed_at_least=at_least, acs_name=name)
                late["late"] += found["late"]
                late["service_ids"] += found["service_ids"]

            without = await of_each_acs(acs_names(appliance.settings), at)
        async with appliance.database.read() as db:
            ports = by_port(late, await appliance.services(db).network_service.all_resources())
        if json_:
            print_json(ports)
        elif not ports:
            of_these = " of the ACSes that were asked" if without else ""
            say(f"every CPE{of_these} that has reported once reports as it should")
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
        return without

    end_without(run(act, as_json=json_))


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


def _print_readings(found: DeviceReading) -> None:
    model = " ".join(each for each in (found["manufacturer"], found["product_class"]) if each)
    say(f"{found['device_serial']}  {model}, last inform {at_second(found['last_inform_at'])}")
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
