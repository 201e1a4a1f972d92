"""The door for what is done to a customer's CPE, within the caller's transaction.

ProvisioningError
`-- OltHasOldCpe    the OLT lets in the CPE that is to be replaced, and no other
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from acs import (
    CustomerWishes,
    DeviceMoving,
    DeviceOperations,
    DeviceRecord,
    GenieAcsService,
    OperationRecord,
    canonical_serial,
    same_serial,
)
from provisioning.errors import ProvisioningError
from provisioning.line import LineService
from provisioning.projections import ALLOCATION
from provisioning.under_way import refuse_under_way


class OltHasOldCpe(ProvisioningError):
    """The OLT lets in the CPE that is to be replaced, and no other."""

    code = "device.olt_has_old_cpe"

    def __init__(self, old: str, new: str, access_node: str) -> None:
        super().__init__(
            f"{access_node} lets CPE {old} in on this line; CPE {new} would never reach the ACS. Nothing was changed."
            " Authorise the new one there and say so (--line-by-hand), or have it scanned at a visit, which does both."
        )


class DeviceDesk:
    """``operations`` are the verbs that change nothing of ours; the others stand here with what keeps them."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        operations: DeviceOperations,
        wishes: CustomerWishes,
        moving: DeviceMoving,
        devices: GenieAcsService,
        lines: LineService,
        tenant_id: str,
    ) -> None:
        self._db = db
        self.operations = operations
        self._wishes = wishes
        self._moving = moving
        self._devices = devices
        self._lines = lines
        self._tenant_id = tenant_id

    async def of_service(self, service_id: int) -> list[DeviceRecord]:
        """The CPEs that are bound to it, the oldest binding first."""
        return await self._devices.devices_of_service(service_id=service_id)

    async def change_wifi(
        self,
        serial: str,
        *,
        ssid: str | None,
        passphrase: str | None,
        by: str,
        request_id: str | None = None,
    ) -> OperationRecord:
        """Raises: ServiceUnderWay, and as ``CustomerWishes.change_wifi``."""
        await self._not_under_way(serial)
        return await self._wishes.change_wifi(
            device_serial=serial, ssid=ssid, passphrase=passphrase, by=by, request_id=request_id
        )

    async def swap(
        self,
        serial: str,
        *,
        new_serial: str,
        template: str | None = None,
        line_by_hand: bool,
        by: str,
        request_id: str | None = None,
    ) -> OperationRecord:
        """Put a CPE in the place of another one; ``template`` where that is another model.

        Raises: ServiceUnderWay, OltHasOldCpe unless whoever asks looks after the line, and as ``CustomerWishes.swap``.
        """
        if request_id is None or await self.operations.by_request(request_id) is None:
            service_id = await self._not_under_way(serial)
            line = None if service_id is None else await self._lines.find_live_line_order(service_id=service_id)
            if line is not None and not line_by_hand and not same_serial(line["device_serial"], new_serial):
                raise OltHasOldCpe(canonical_serial(serial), new_serial.strip()[:80], line["access_node"])
        return await self._wishes.swap(
            device_serial=serial, new_serial=new_serial, template=template, by=by, request_id=request_id
        )

    async def move(self, serial: str, *, acs_name: str, by: str, request_id: str | None = None) -> OperationRecord:
        """Look for a CPE at another ACS from now on. Raises: ServiceUnderWay, and as ``DeviceMoving.move``."""
        if request_id is None or await self.operations.by_request(request_id) is None:
            await self._not_under_way(serial)
        return await self._moving.move(device_serial=serial, acs_name=acs_name, by=by, request_id=request_id)

    async def _not_under_way(self, serial: str) -> int | None:
        """The service of that CPE, which no run is bringing in. Raises: DeviceUnknown, ServiceUnderWay."""
        service_id = (await self._devices.device(device_serial=serial))["service_id"]
        if service_id is not None:
            await refuse_under_way(self._db, self._tenant_id, [service_id], steps=[ALLOCATION])
        return service_id
