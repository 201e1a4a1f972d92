"""``firstlight devices provision | withdraw``: which CPE serves whom, where no run says so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import changes_nothing, tells
from provisioning.cli.devices_asking import Reason, Serial
from provisioning.cli.faults import reason_faults, unless_faulty
from provisioning.cli.printing import print_json, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.cli.whom import ByExternalId, ById, Username, whom
from provisioning.device_binding import BoundDevice, DeviceBinding, state_of
from provisioning.errors import Fault


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (provision, withdraw):
        app.command()(command)


def provision(  # noqa: PLR0913, PLR0917 - each is a fact about the CPE
    serial: Serial,
    username: Username,
    template: Annotated[str, typer.Option(help="The CPE template, as `devices templates` lists them.")],
    reason: Reason,
    values: Annotated[
        list[str] | None, typer.Argument(help="NAME=VALUE: an input of the template; the login is the subscriber's.")
    ] = None,
    line_by_hand: Annotated[
        bool, typer.Option("--line-by-hand", help="You authorise it on the OLT; needed where that has another.")
    ] = False,
    leave_alone: Annotated[
        list[str] | None,
        typer.Option(
            help="An input or a parameter in which it keeps what it has; once or more. wifi_passphrase: else it gets a"
            " new one."
        ),
    ] = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Bind a CPE to a subscriber who is served, and write down what it is to have; it need not have reported yet."""

    faults = [Fault(each, "is not NAME=VALUE") for each in values or () if "=" not in each]
    texts = dict(each.split("=", 1) for each in values or () if "=" in each)

    async def act(binding: DeviceBinding) -> BoundDevice:
        return await binding.provision(
            serial,
            who=whom(username, external_id, id_),
            template=template,
            values=binding.settings.typed_inputs(template=template, texts=texts),
            leave_alone=leave_alone or (),
            line_by_hand=line_by_hand,
        )

    _told(serial, act, faults=[*faults, *reason_faults(reason)], as_json=json_)


def withdraw(serial: Serial, reason: Reason, by: By = "", json_: AsJson = False) -> None:
    """Take a CPE from whom it serves: nothing is sent to it any more; what it holds stays on it."""
    _told(serial, lambda binding: binding.withdraw(serial), faults=reason_faults(reason), as_json=json_)


def _told(
    serial: str, act: Callable[[DeviceBinding], Awaitable[BoundDevice]], *, faults: Sequence[Fault], as_json: bool
) -> None:
    async def done(appliance: Appliance) -> BoundDevice:
        async with appliance.database.begin() as db:
            binding = appliance.device_binding(db)
            before = await binding.live(serial)
            made = await unless_faulty(act(binding), faults, what="The CPE")
            if before is not None and before == await binding.live(serial):
                changes_nothing(db)
            tells(
                subject=subject_of("device", made["device_serial"]),
                customer_id=made["customer_id"],
                before=before and state_of(before),
                after=state_of(made),
            )
        return made

    made = run(done, as_json=as_json)
    if as_json:
        print_json(made)
        return
    say(f"{made['device_serial']}  {state_text(made['state'])}, customer {made['customer_id']}")
    say(f"template {made['template']}, revision {made['revision']}")
