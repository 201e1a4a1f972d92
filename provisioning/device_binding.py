"""Binding a CPE by hand to a subscriber who is served, and taking it from them, within the caller's transaction.

An installation binds its CPE itself; this is for who was served before there was Firstlight, who brings a router of
their own, and for trying CPEs out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncSession

from acs import (
    DeviceRecord,
    DeviceSettings,
    DeviceUnknown,
    GenieAcsService,
    ProvisionedDevice,
    canonical_serial,
    same_serial,
)
from provisioning.device_desk import OltHasOldCpe
from provisioning.errors import Fault, InvalidRequest
from provisioning.line import LineService
from provisioning.projections import ALLOCATION
from provisioning.subscriber_cpes import LOGIN_INPUT
from provisioning.subscriber_looks import Who
from provisioning.under_way import refuse_under_way
from radius import SubscriberView

PASSWORD_INPUT = "pppoe_password"  # noqa: S105 - the name of an input, no password


class BoundDevice(ProvisionedDevice):
    """A CPE, how far it has come, and whom it serves, or has served."""

    customer_id: int
    service_id: int | None


class DeviceBinding:
    """``settings`` knows the templates; ``named`` finds the subscriber and ``hold`` keeps others from changing it,
    ``node_of`` is the access node of a username's line."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        devices: GenieAcsService,
        settings: DeviceSettings,
        lines: LineService,
        named: Callable[[Who], Awaitable[SubscriberView]],
        hold: Callable[[int], Awaitable[SubscriberView]],
        node_of: Callable[[str], Awaitable[str | None]],
        tenant_id: str,
    ) -> None:
        self._db = db
        self._devices = devices
        self.settings = settings
        self._lines = lines
        self._named = named
        self._hold = hold
        self._node_of = node_of
        self._tenant_id = tenant_id

    async def provision(
        self,
        serial: str,
        *,
        who: Who,
        template: str,
        values: Mapping[str, str | int | None],
        leave_alone: Sequence[str] = (),
        line_by_hand: bool = False,
    ) -> BoundDevice:
        """Bind a CPE to a subscriber's service and write down what it is to have; one that is bound there already is to
        have this instead. Its login is the subscriber's, where the template has one and ``values`` say no other.
        ``leave_alone``: inputs or parameters of the template in which the CPE keeps what it has. The same again changes
        nothing.

        Raises:
            InvalidRequest: the subscriber is not served by a service, or by another CPE already; or a secret is
                somebody else's.
            SubscriberUnknown, ServiceUnderWay, OltHasOldCpe unless whoever asks looks after the line, and as
                ``GenieAcsService.provision_device``.
        """
        named = await self._named(who)
        subscriber = await self._hold(named["subscriber_id"])  # else two at once would each find it served by none
        service_id = await self._service_of(subscriber, serial)
        await refuse_under_way(self._db, self._tenant_id, [service_id], steps=[ALLOCATION])
        line = await self._lines.find_live_line_order(service_id=service_id)
        if line is not None and not line_by_hand and not same_serial(line["device_serial"], serial):
            raise OltHasOldCpe(line["device_serial"], serial.strip()[:80], line["access_node"])
        login = {LOGIN_INPUT: subscriber["username"], PASSWORD_INPUT: subscriber["password"]}
        wanted = self.settings.inputs_of(template)
        if PASSWORD_INPUT in wanted and PASSWORD_INPUT not in {*values, *leave_alone}:
            _refuse_unknown_password(subscriber)
        _refuse_secrets_of_others(values, own=(subscriber["password"], f"secret:device/{canonical_serial(serial)}/"))
        bound = await self._devices.provision_device(
            customer_id=subscriber["customer_id"],
            device_serial=serial,
            config_template=template,
            service_id=service_id,
            values={name: value for name, value in login.items() if name in wanted} | dict(values),
            access_node=await self._node_of(subscriber["username"]),
            plan=subscriber["plan"],
        )
        if kept := self.settings.left_alone(template=template, names=leave_alone):
            rendered = await self.settings.override(device_serial=serial, changes=kept)
            bound["revision"], bound["state"] = rendered["revision"], rendered["state"]
        return BoundDevice(**bound, customer_id=subscriber["customer_id"], service_id=service_id)

    async def live(self, serial: str) -> DeviceRecord | None:
        """The CPE as it is bound now, if it is. Raises: SerialMalformed."""
        with suppress(DeviceUnknown):
            return await self._devices.device(device_serial=serial)
        return None

    async def withdraw(self, serial: str) -> BoundDevice:
        """Take a CPE from whom it serves: nothing is sent to it any more, and the worker takes back what waits for it.

        Raises: SerialMalformed, DeviceUnknown, ServiceUnderWay.
        """
        device = await self._devices.device(device_serial=serial)
        service_id = device["service_id"]
        if service_id is not None:
            await refuse_under_way(self._db, self._tenant_id, [service_id], steps=[ALLOCATION])
        withdrawn = await self._devices.withdraw_device(device_serial=serial, service_id=service_id)
        if withdrawn is None:
            raise DeviceUnknown(canonical_serial(serial))
        return BoundDevice(**withdrawn, customer_id=device["customer_id"], service_id=service_id)

    async def _service_of(self, subscriber: SubscriberView, serial: str) -> int:
        """Raises: InvalidRequest with everything that is in the way."""
        service_id, username = subscriber["service_id"], subscriber["username"]
        faults: list[Fault] = []
        if subscriber["state"] == "terminated":
            faults.append(Fault(username, "has ended"))
        if service_id is None:
            faults.append(
                Fault(
                    username,
                    "has no service, by which a CPE is bound to it: an installation gives one, or an import of its"
                    " addresses and of the subscriber with that service_id",
                )
            )
            raise InvalidRequest("The CPE", faults)
        for each in await self._devices.devices_of_service(service_id=service_id):
            if not same_serial(each["device_serial"], serial):
                other = each["device_serial"]
                faults.append(Fault(username, f"is served by CPE {other}, which `firstlight devices swap` replaces"))
        if faults:
            raise InvalidRequest("The CPE", faults)
        return service_id


def state_of(device: DeviceRecord | BoundDevice) -> dict[str, str]:
    """What an audit entry tells of a binding: no value of it."""
    return {"state": device["state"], "template": device["template"], "revision": device["revision"]}


def _refuse_unknown_password(subscriber: SubscriberView) -> None:
    """A CPE cannot be told a password that nobody here knows. Raises: InvalidRequest."""
    if subscriber["password_hash_kind"] is None:
        return
    known = f"only the {subscriber['password_hash_kind']} hash of {subscriber['username']}'s password is known here"
    act = "leave the CPE the one it has (leave_alone), or rotate the password first"
    raise InvalidRequest("The CPE", [Fault(PASSWORD_INPUT, f"cannot be told: {known}; {act}")])


def _refuse_secrets_of_others(values: Mapping[str, str | int | None], *, own: tuple[str, str]) -> None:
    """A reference opens whatever secret it names, on the CPE. Raises: InvalidRequest."""
    given = {name: value for name, value in values.items() if isinstance(value, str) and value.startswith("secret:")}
    password, of_the_cpe = own
    faults = [
        Fault(name, "refers to a secret that is neither this subscriber's nor this CPE's")
        for name, value in given.items()
        if value != password and not value.startswith(of_the_cpe)
    ]
    if faults:
        raise InvalidRequest("The CPE", faults)
