"""What a customer asks for: another WiFi name or passphrase, or a CPE in the place of a broken one.

Both change what a CPE is to have. That and the operation that carries it there are one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.device_looks import wifi_ref
from acs.errors import RequestConflict, SerialBoundElsewhere
from acs.operations.errors import OperationRefused
from acs.operations.records import OperationRecord, record_of_operation
from acs.operations.service import DeviceOperations
from acs.operations.tables import AcsOperation
from acs.ports import Now, Secrets
from acs.serials import canonical_serial
from acs.service import GenieAcsService
from acs.tables import AcsDevice
from acs.templates.library import TemplateLibrary

log = structlog.get_logger(__name__)

SSID_INPUT, PASSPHRASE_INPUT = "wifi_ssid", "wifi_passphrase"


class CustomerWishes:
    """Changes of what a CPE is to have, each with the operation that carries it."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        tenant_id: str,
        now: Now,
        templates: TemplateLibrary,
        secrets: Secrets,
        devices: GenieAcsService,
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._templates = templates
        self._secrets = secrets
        self._devices = devices
        self._operations = DeviceOperations(db, tenant_id=tenant_id, now=now, templates=templates)

    async def change_wifi(
        self,
        *,
        device_serial: str,
        ssid: str | None = None,
        passphrase: str | None = None,
        by: str,
        request_id: str | None = None,
    ) -> OperationRecord:
        """Another name or passphrase of the WiFi: a new revision, which is applied and read back.

        The passphrase is sealed and goes on by its reference.

        Raises: SerialMalformed, DeviceUnknown, OperationRefused, TemplateInputsRefused, RequestConflict.
        """
        serial = canonical_serial(device_serial)
        ref = wifi_ref(serial)
        arguments: dict[str, Any] = {} if ssid is None else {"ssid": ssid}
        arguments |= {} if passphrase is None else {"passphrase": ref}
        earlier = await self._operations.earlier(request_id, "wifi", arguments)
        if earlier is not None:
            return await self._same_wifi(earlier, serial, passphrase, str(request_id))
        record = await self._devices.device(device_serial=serial)
        faults = _wifi_faults(ssid, passphrase)
        if faults:
            raise OperationRefused(serial, "The change of the WiFi", faults)
        values = {
            **record["inputs"],
            **({} if ssid is None else {SSID_INPUT: ssid}),
            **({} if passphrase is None else {PASSPHRASE_INPUT: ref}),
        }
        if passphrase is not None:
            await self._secrets.seal(self._db, ref, passphrase)
        await self._devices.provision_device(
            customer_id=record["customer_id"],
            service_id=record["service_id"],
            device_serial=serial,
            config_template=record["template"],
            values=values,
            plan=record["plan"],
        )
        if passphrase is not None:
            await self._devices.secret_changed(ref=ref)
        row = await self._row(serial)
        if kept := _kept_by_overrides(row, {"name": ssid, "passphrase": None if passphrase is None else ref}):
            raise OperationRefused(serial, "The change of the WiFi", kept)
        return await self._operations.keep("wifi", row, arguments, by=by, request_id=request_id)

    async def swap(
        self,
        *,
        device_serial: str,
        new_serial: str,
        template: str | None = None,
        by: str,
        request_id: str | None = None,
    ) -> OperationRecord:
        """Put a CPE in the place of another one, with all that one was to have; the old one is unbound.

        A WiFi passphrase that we keep goes along, so that the customer's own devices find the network again.
        ``template``: of a new one that is another model; of the inputs those go along that it has.

        Raises: SerialMalformed, DeviceUnknown, SerialBoundElsewhere, TemplateUnknown, TemplateInputsRefused,
            OverridesRefused, OperationRefused, RequestConflict.
        """
        old, new = canonical_serial(device_serial), canonical_serial(new_serial)
        arguments = {"old_serial": old} | ({} if template is None else {"template": template})
        earlier = await self._operations.earlier(request_id, "swap", arguments)
        if earlier is not None:
            if earlier.device_serial != new:
                raise RequestConflict(str(request_id))
            return record_of_operation(earlier)
        if old == new:
            raise OperationRefused(old, "The swap", ["both serials are the same CPE's"])
        record = await self._devices.device(device_serial=old)
        await self._require_free(new, record["customer_id"])
        known = self._templates.get(template).inputs if template is not None else record["inputs"]
        inputs: dict[str, str | int | None] = {name: value for name, value in record["inputs"].items() if name in known}
        for name, value in list(inputs.items()):
            if value == wifi_ref(old):
                await self._secrets.seal(self._db, wifi_ref(new), await self._secrets.reveal(self._db, wifi_ref(old)))
                inputs[name] = wifi_ref(new)
        acs_name = (await self._row(old)).acs_name
        await self._devices.withdraw_device(device_serial=old)
        await self._devices.provision_device(
            customer_id=record["customer_id"],
            service_id=record["service_id"],
            device_serial=new_serial,
            config_template=template or record["template"],
            values=inputs,
            plan=record["plan"],
        )
        await self._devices.take_over_overrides(former_serial=old, device_serial=new)
        row = await self._row(new)
        row.acs_name = acs_name  # the line is where it was, so the new one reports where the old one did
        await self._db.flush()
        log.info("cpe swapped", old_serial=old, serial=new, customer_id=record["customer_id"])
        return await self._operations.keep("swap", row, arguments, by=by, request_id=request_id)

    async def _same_wifi(
        self, earlier: AcsOperation, serial: str, passphrase: str | None, request_id: str
    ) -> OperationRecord:
        """The same request again; with another passphrase it is another request, as far as that can be told.

        The record has no passphrase, nor a print of one: until a later change, what is sealed is this request's.
        """
        if earlier.device_serial != serial:
            raise RequestConflict(request_id)
        later = await self._db.scalars(
            select(AcsOperation.id)
            .where(
                AcsOperation.tenant_id == self._tenant_id,
                AcsOperation.device_serial == serial,
                AcsOperation.kind == "wifi",
                AcsOperation.id > earlier.id,
            )
            .limit(1)
        )
        device = await self._db.get(AcsDevice, earlier.device_row_id)
        is_kept = later.first() is None and device is not None and device.state != "withdrawn"
        if passphrase is not None and is_kept and await self._secrets.reveal(self._db, wifi_ref(serial)) != passphrase:
            raise RequestConflict(request_id)
        return record_of_operation(earlier)

    async def _require_free(self, serial: str, customer_id: int) -> None:
        """Raises: SerialBoundElsewhere."""
        found = await self._live(serial)
        if found is not None:
            raise SerialBoundElsewhere(
                serial,
                customer_id=customer_id,
                bound_service_id=found.service_id,
                bound_customer_id=found.customer_id,
            )

    async def _row(self, serial: str) -> AcsDevice:
        device = await self._live(serial)
        assert device is not None, "it was bound in this transaction"
        return device

    async def _live(self, serial: str) -> AcsDevice | None:
        found = await self._db.scalars(
            select(AcsDevice).where(
                AcsDevice.tenant_id == self._tenant_id, AcsDevice.serial == serial, AcsDevice.state != "withdrawn"
            )
        )
        return found.one_or_none()


def _wifi_faults(ssid: str | None, passphrase: str | None) -> list[str]:
    """What is wrong, in words that do not repeat a passphrase."""
    faults = [] if ssid is not None or passphrase is not None else ["neither a name nor a passphrase is given"]
    if ssid is not None and not (1 <= len(ssid.encode()) <= 32 and ssid.isprintable()):
        faults.append("the name has 1 to 32 bytes, all printable (IEEE 802.11)")
    if passphrase is not None:
        printable = all(" " <= letter <= "~" for letter in passphrase)
        if not (8 <= len(passphrase) <= 63 and printable):
            faults.append("the passphrase has 8 to 63 characters of printable ASCII (IEEE 802.11)")
    return faults


def _kept_by_overrides(device: AcsDevice, wanted: Mapping[str, str | None]) -> list[str]:
    """Of what is wanted that which its settings do not have after all, since an override goes before it."""
    has = [value for _, value, *_ in device.parameters]
    return [
        f"the {what} is left alone or set by an override (`firstlight devices render` shows it), which goes before it"
        for what, value in wanted.items()
        if value is not None and value not in has
    ]
