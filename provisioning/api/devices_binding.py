"""Which CPE serves whom, where no run says so: bound by hand, and taken away again.

An installation binds its own; ``devices_verbs`` has the swap.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response
from pydantic import Field

from provisioning.access import subject_of
from provisioning.api.calls import Call, InCall
from provisioning.api.idempotency import key_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.device_binding import BoundDevice

doors = Doors(prefix="/devices", tags=["devices"])

Reason = Annotated[str, Field(min_length=1, max_length=500, description="Why, for the audit")]
Name = Annotated[str, Field(min_length=1, max_length=100)]


class Provision(Wish):
    """Whom it serves, and what it is to have: a template and its inputs, of which the login is the subscriber's.

    `line_by_hand`: whoever asks authorises it on the OLT.
    """

    username: Annotated[str, Field(min_length=1, max_length=253)]
    serial: Annotated[str, Field(min_length=1, max_length=64)]
    template: Name
    values: Annotated[dict[Name, str | int], Field(default_factory=dict, max_length=50)]
    line_by_hand: bool = False
    reason: Reason


class Why(Wish):
    """Why, for the audit."""

    reason: Reason


@doors.post("", permission="devices.operate", status_code=201, responses={404: problem(WORDS[404])})
async def provision(call: InCall, wish: Provision, response: Response) -> BoundDevice:
    """Binds a CPE to a subscriber who is served, and writes down what it is to have; it need not have reported yet."""
    call.tells(reason=wish.reason)
    bound = await call.appliance.device_binding(call.db).provision(
        wish.serial,
        who=wish.username,
        template=wish.template,
        values=wish.values,
        line_by_hand=wish.line_by_hand,
        request_id=f"{call.caller.token_id}/{key_of(call.request)}",
    )
    _tell(call, bound)
    response.headers["Location"] = call.address(f"devices/{bound['device_serial']}")
    return bound


@doors.post("/{serial}/withdraw", permission="devices.operate", responses={404: problem(WORDS[404])})
async def withdraw(call: InCall, serial: Annotated[str, Path(max_length=64)], wish: Why) -> BoundDevice:
    """Takes a CPE from whom it serves: nothing is sent to it any more; what it holds stays on it."""
    call.tells(reason=wish.reason)
    withdrawn = await call.appliance.device_binding(call.db).withdraw(serial)
    _tell(call, withdrawn)
    return withdrawn


def _tell(call: Call, device: BoundDevice) -> None:
    after = {"state": device["state"], "template": device["template"], "revision": device["revision"]}
    call.tells(subject=subject_of("device", device["device_serial"]), customer_id=device["customer_id"], after=after)
