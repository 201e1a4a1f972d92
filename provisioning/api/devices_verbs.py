"""What is done to CPEs: every verb writes an operation down and answers with it; the worker carries it out.

``/device-operations`` says what became of each. One is done when the CPE has shown it, not when the ACS took it.
"""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import Field

from acs import OperationRecord, OperationState
from provisioning.api.calls import Call, InCall
from provisioning.api.idempotency import key_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Page, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Reason, Wish
from provisioning.device_desk import DeviceDesk

doors = Doors(prefix="/devices", tags=["devices"])
records = Doors(prefix="/device-operations", tags=["devices"])

Serial = Annotated[str, Path(max_length=64)]
ParameterPath = Annotated[str, Field(min_length=1, max_length=256)]
LARGEST_OPERATION = 2**31 - 1
NOT_THERE = {404: problem(WORDS[404])}


class Asked(Wish):
    """How long it may wait for the CPE, in minutes; then it is taken back. Left out: as long as its kind does."""

    within_minutes: Annotated[int | None, Field(ge=1, le=43200)] = None

    @property
    def within(self) -> timedelta | None:
        return None if self.within_minutes is None else timedelta(minutes=self.within_minutes)


class DeviceReason(Asked):
    """Why, for the audit: the customer notices it."""

    reason: Reason


class Objects(Asked):
    """Which objects are read anew; none: those the CPE's settings are in."""

    paths: Annotated[list[ParameterPath], Field(default_factory=list, max_length=50)]


class Parameters(Asked):
    """Which parameters are read."""

    paths: Annotated[list[ParameterPath], Field(min_length=1, max_length=50)]


class Values(DeviceReason):
    """What is set, by the path of each parameter."""

    values: Annotated[dict[str, str | int | bool], Field(min_length=1, max_length=50)]


class Firmware(DeviceReason):
    """The file by its name at the ACS."""

    file: Annotated[str, Field(min_length=1, max_length=200)]


class Ping(Asked):
    """Whom the CPE pings, how often, with how many bytes; the timeout is each answer's."""

    host: Annotated[str, Field(min_length=1, max_length=253)]
    count: Annotated[int, Field(ge=1, le=100)] = 4
    timeout_ms: Annotated[int, Field(ge=100, le=60000)] = 2000
    size_bytes: Annotated[int, Field(ge=1, le=1472)] = 56


class Download(Asked):
    """What the CPE downloads: an http or ftp address."""

    url: Annotated[str, Field(min_length=1, max_length=256)]


class Swap(Wish):
    """Who takes its place; `template`: of another model; `line_by_hand`: whoever asks authorises it on the OLT."""

    new_serial: Annotated[str, Field(min_length=1, max_length=64)]
    template: Annotated[str | None, Field(min_length=1, max_length=64)] = None
    line_by_hand: bool = False
    reason: Reason


class DeviceMove(Wish):
    """The name of the ACS that it reports to from now on."""

    acs: Annotated[str, Field(min_length=1, max_length=63)]
    reason: Reason


class Wifi(Wish):
    """The WiFi's name and passphrase from now on; what is left out stays.

    `request_id` stands for the header Idempotency-Key, which would keep a print of the passphrase.
    """

    request_id: Annotated[str, Field(min_length=1, max_length=100)]
    ssid: Annotated[str | None, Field(min_length=1, max_length=32)] = None
    passphrase: Annotated[str | None, Field(min_length=8, max_length=63)] = None
    reason: Reason


@doors.post("/{serial}/reboot", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def reboot(call: InCall, response: Response, serial: Serial, wish: DeviceReason) -> OperationRecord:
    """Reboots the CPE once; done when it has reported a boot since."""
    verbs = _desk(call, wish.reason).operations
    asked = await verbs.reboot(device_serial=serial, by=call.by, request_id=_request_id(call), within=wish.within)
    return _accepted(call, response, asked)


@doors.post("/{serial}/factory-reset", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def factory_reset(call: InCall, response: Response, serial: Serial, wish: DeviceReason) -> OperationRecord:
    """Takes the CPE back to factory default; done when it has its settings again."""
    verbs = _desk(call, wish.reason).operations
    asked = await verbs.factory_reset(
        device_serial=serial, by=call.by, request_id=_request_id(call), within=wish.within
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/firmware", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def firmware(call: InCall, response: Response, serial: Serial, wish: Firmware) -> OperationRecord:
    """Gives the CPE a firmware that the ACS has for its model; done when it has booted with that version."""
    verbs = _desk(call, wish.reason).operations
    asked = await verbs.firmware(
        device_serial=serial, file=wish.file, by=call.by, request_id=_request_id(call), within=wish.within
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/refresh", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def refresh(call: InCall, response: Response, serial: Serial, wish: Objects) -> OperationRecord:
    """Has the ACS read whole objects of the CPE anew."""
    verbs = _desk(call).operations
    asked = await verbs.refresh(
        device_serial=serial, paths=wish.paths, by=call.by, request_id=_request_id(call), within=wish.within
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/get", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def get(call: InCall, response: Response, serial: Serial, wish: Parameters) -> OperationRecord:
    """Reads parameters from the CPE itself; a secret is not shown."""
    verbs = _desk(call).operations
    asked = await verbs.get(
        device_serial=serial, paths=wish.paths, by=call.by, request_id=_request_id(call), within=wish.within
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/set", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def set_(call: InCall, response: Response, serial: Serial, wish: Values) -> OperationRecord:
    """Sets parameters that no template sets, once; done when they were read back."""
    verbs = _desk(call, wish.reason).operations
    asked = await verbs.set(
        device_serial=serial, values=wish.values, by=call.by, request_id=_request_id(call), within=wish.within
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/ping", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def ping(call: InCall, response: Response, serial: Serial, wish: Ping) -> OperationRecord:
    """Lets the CPE ping a host, where its model can."""
    verbs = _desk(call).operations
    told = wish.model_dump(exclude={"within_minutes"})
    asked = await verbs.ping(device_serial=serial, **told, by=call.by, request_id=_request_id(call), within=wish.within)
    return _accepted(call, response, asked)


@doors.post("/{serial}/download", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def download(call: InCall, response: Response, serial: Serial, wish: Download) -> OperationRecord:
    """Lets the CPE download a file and tell how fast, where its model can."""
    verbs = _desk(call).operations
    asked = await verbs.download(
        device_serial=serial, url=wish.url, by=call.by, request_id=_request_id(call), within=wish.within
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/swap", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def swap(call: InCall, response: Response, serial: Serial, wish: Swap) -> OperationRecord:
    """Puts a CPE in the place of this one, with its service, its settings and its WiFi passphrase."""
    desk = _desk(call, wish.reason)
    asked = await desk.swap(
        serial,
        new_serial=wish.new_serial,
        template=wish.template,
        line_by_hand=wish.line_by_hand,
        by=call.by,
        request_id=_request_id(call),
    )
    return _accepted(call, response, asked)


@doors.post("/{serial}/move", permission="devices.operate", status_code=202, responses=NOT_THERE)
async def move(call: InCall, response: Response, serial: Serial, wish: DeviceMove) -> OperationRecord:
    """Looks for this CPE at another ACS from now on, and gives it its settings there; you have it report there."""
    desk = _desk(call, wish.reason)
    asked = await desk.move(serial, acs_name=wish.acs, by=call.by, request_id=_request_id(call))
    call.tells(before={"acs": asked["arguments"]["from"]}, after={"acs": asked["arguments"]["to"]})
    return _accepted(call, response, asked)


@doors.post("/{serial}/wifi", permission="devices.operate", status_code=202, keyed=False, responses=NOT_THERE)
async def wifi(call: InCall, response: Response, serial: Serial, wish: Wifi) -> OperationRecord:
    """Gives the customer's WiFi another name or passphrase; the passphrase is sealed, and nowhere told again."""
    desk = _desk(call, wish.reason)
    who = hashlib.sha256(f"{call.caller.token_id}/wifi/{wish.request_id}".encode()).hexdigest()[:32]
    asked = await desk.change_wifi(
        serial, ssid=wish.ssid, passphrase=wish.passphrase, by=call.by, request_id=f"api/{who}"
    )
    return _accepted(call, response, asked)


@records.get("", permission="devices.read")
async def list_(
    call: InCall,
    serial: Annotated[str | None, Query(max_length=64, description="Of this CPE")] = None,
    state: Annotated[OperationState | None, Query()] = None,
    after: After = None,
    limit: Limit = 50,
) -> Page[OperationRecord]:
    """Operations, the newest first."""
    verbs = call.appliance.device_desk(call.db).operations
    found = await verbs.operations(
        device_serial=serial, state=state, before_id=row_of(after, most=LARGEST_OPERATION), limit=limit + 1
    )
    return page_of(call, found, [each["operation_id"] for each in found], limit)


OperationNumber = Annotated[int, Path(ge=1, le=LARGEST_OPERATION)]


@records.get("/{operation_id}", permission="devices.read")
async def show(call: InCall, operation_id: OperationNumber) -> OperationRecord:
    """One operation: what became of it, and why."""
    return await call.appliance.device_desk(call.db).operations.operation(operation_id=operation_id)


@records.post("/{operation_id}/cancel", permission="devices.operate", responses=NOT_THERE)
async def cancel(call: InCall, operation_id: OperationNumber, wish: DeviceReason) -> OperationRecord:
    """Takes an operation back that the CPE has not been sent yet."""
    verbs = _desk(call, wish.reason).operations
    over = await verbs.cancel(operation_id=operation_id)
    call.tells(subject=f"device_operation/{operation_id}", customer_id=over["customer_id"])
    return over


def _desk(call: Call, reason: str | None = None) -> DeviceDesk:
    if reason is not None:
        call.tells(reason=reason)
    return call.appliance.device_desk(call.db)


def _accepted(call: Call, response: Response, asked: OperationRecord) -> OperationRecord:
    number = asked["operation_id"]
    response.headers["location"] = call.address(f"device-operations/{number}")
    call.tells(subject=f"device_operation/{number}", customer_id=asked["customer_id"])
    return asked


def _request_id(call: Call) -> str:
    """The request's key is one of its token."""
    who = f"{call.caller.token_id}/{key_of(call.request)}"
    return f"api/{hashlib.sha256(who.encode()).hexdigest()[:32]}"
