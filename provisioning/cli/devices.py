"""``firstlight devices``: CPEs by serial number, what each is to have, and how far it has come."""

from __future__ import annotations

from typing import Annotated

import typer

from acs import DeviceRecord, DeviceState
from provisioning.bootstrap import Appliance
from provisioning.cli import (
    device_settings,
    devices_acs,
    devices_binding,
    devices_files,
    devices_looking,
    devices_verbs,
    devices_wishes,
)
from provisioning.cli.printing import Entry, at_second, clock_time, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.fleet import holder_of

app = typer.Typer(no_args_is_help=True, help="CPEs: what each is to have, and how far it has come.")
app.add_typer(devices_acs.app, name="acs")
device_settings.add_to(app)
devices_verbs.add_to(app)
devices_wishes.add_to(app)
devices_binding.add_to(app)
devices_files.add_to(app)
devices_looking.add_to(app)

Serial = Annotated[str, typer.Argument(help="The CPE's serial number, in any spelling of it.")]


@app.command("list")
def list_(
    customer: Annotated[int | None, typer.Option(help="Only those of this customer.")] = None,
    state: Annotated[DeviceState | None, typer.Option(help="Only those in this state.")] = None,
    refused: Annotated[
        bool, typer.Option("--refused", help="Only those that wait and were told nothing in their first session.")
    ] = False,
    before: Annotated[int | None, typer.Option(help="Only bindings behind this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List the CPEs, the newest binding first, withdrawn ones among them."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            acs = appliance.services(db).genieacs_service
            found = await acs.devices(customer_id=customer, state=state, refused=refused, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no such CPE" if customer or state or refused or before else "no CPEs")
        else:
            headings = ("#", "serial", "state", "customer", "template", "last inform")
            print_list(headings, [_entry(device, refused=refused) for device in found])

    run(act, as_json=json_)


@app.command()
def show(serial: Serial, json_: AsJson = False) -> None:
    """Show the CPE that is bound under this serial number: how far it has come, and why no further."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            device = await appliance.services(db).genieacs_service.device(device_serial=serial)
            holder = await holder_of(db, device["device_serial"], tenant_id=appliance.tenant_id)
        if json_:
            print_json(device)
        else:
            _print_device(device, holder)

    run(act, as_json=json_)


def _entry(device: DeviceRecord, *, refused: bool) -> Entry:
    told = device["reason"] if device["state"] in ("drifted", "faulted", "unreachable") else ""
    if refused and (why := device["first_session_refused"]) is not None:
        told = f"{at_second(why['refused_at'])}: {why['words']} {why['remedy']}"
    return Entry(
        (
            str(device["device_row_id"]),
            device["device_serial"],
            state_text(device["state"]),
            str(device["customer_id"]),
            device["template"],
            clock_time(device["last_inform_at"]),
        ),
        told,
    )


def _print_device(device: DeviceRecord, holder: str | None) -> None:
    service = f", service {device['service_id']}" if device["service_id"] is not None else ""
    say(f"{device['device_serial']}  customer {device['customer_id']}{service}, bound {at_second(device['bound_at'])}")
    say(state_text(device["state"]))
    say(device["reason"])
    if holder is not None:
        say(f"left to {holder}; what happens to it meanwhile is not repaired by itself")
    for each in device["details"]:
        say("  " + ", ".join(f"{name} {value}" for name, value in each.items() if value is not None))
    say(f"template {device['template']} ({device['data_model']}), revision {device['revision']}")
    say(f"at the ACS: {device['device_id'] or 'not seen yet'}")
    for name, row in device["rows"].items():
        say(f"{name}: {row}")
    if (refused := device["first_session_refused"]) is not None:
        say(f"told nothing in a first session at ACS {refused['acs_name']} {at_second(refused['refused_at'])}")
        say(f"  {refused['words']}")
        say(f"  {refused['remedy']}")
    if device["inform_reason"]:
        say(device["inform_reason"])
    for what in ("last_inform_at", "handed_out_at", "queued_at", "applied_at", "verified_at", "withdrawn_at"):
        if moment := at_second(device[what]):
            say(f"{what.removesuffix('_at').replace('_', ' ')} {moment}")
