"""Which CPE serves whom, where no run says so: bound by hand, and taken away again.

An installation binds its own; ``devices_verbs`` has the swap.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from acs import DeviceRecord
from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish
from provisioning.device_binding import BoundDevice, state_of

doors = Doors(prefix="/devices", tags=["devices"])

Name = Annotated[str, Field(min_length=1, max_length=100)]


class Provision(Wish):
    """Whom it serves, and what it is to have: a template and its inputs, secrets as references; the login is the
    subscriber's where `values` say nothing else. `line_by_hand`: whoever asks authorises it on the OLT.
    """

    username: Annotated[str, Field(min_length=1, max_length=253)]
    serial: Annotated[str, Field(min_length=1, max_length=64)]
    template: Name
    values: Annotated[dict[Name, str | int], Field(default_factory=dict, max_length=50)]
    leave_alone: Annotated[
        list[Annotated[str, Field(min_length=1, max_length=256)]],
        Field(
            default_factory=list,
            max_length=50,
            description="Inputs of the template, or its parameters by path, in which the CPE keeps what it has:"
            " `wifi_passphrase`, for which a new one is made else",
        ),
    ]
    line_by_hand: bool = False
    reason: Reason


class BindingWithdrawal(Wish):
    """Why, for the audit."""

    reason: Reason


@doors.post("", permission="devices.operate", status_code=201, responses={404: problem(WORDS[404])})
async def provision(call: InCall, wish: Provision, response: Response) -> BoundDevice:
    """Binds a CPE to a subscriber who is served, and writes down what it is to have; it need not have reported yet.
    What is so already is answered 200."""
    call.tells(reason=wish.reason)
    binding = call.appliance.device_binding(call.db)
    before = await binding.live(wish.serial)
    bound = await binding.provision(
        wish.serial,
        who=wish.username,
        template=wish.template,
        values=wish.values,
        leave_alone=wish.leave_alone,
        line_by_hand=wish.line_by_hand,
    )
    _tell(call, before, bound)
    if before is not None and before == await binding.live(wish.serial):
        call.changes_nothing()
        response.status_code = 200
    response.headers["Location"] = call.address(f"devices/{bound['device_serial']}")
    return bound


@doors.post("/{serial}/withdraw", permission="devices.operate", responses={404: problem(WORDS[404])})
async def withdraw(call: InCall, serial: Annotated[str, Path(max_length=64)], wish: BindingWithdrawal) -> BoundDevice:
    """Takes a CPE from whom it serves: nothing is sent to it any more; what it holds stays on it."""
    call.tells(reason=wish.reason)
    binding = call.appliance.device_binding(call.db)
    before = await binding.live(serial)
    withdrawn = await binding.withdraw(serial)
    _tell(call, before, withdrawn)
    return withdrawn


def _tell(call: Call, before: DeviceRecord | None, after: BoundDevice) -> None:
    subject = subject_of("device", after["device_serial"])
    call.tells(
        subject=subject, customer_id=after["customer_id"], before=before and state_of(before), after=state_of(after)
    )
