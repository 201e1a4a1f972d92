"""Looks at what CPEs are to have and how far they have come: our rows alone, nobody is asked anything."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.bindings import Bindings
from acs.device_records import DEVICE, RECORDS, DeviceRecord, DeviceState, record_of
from acs.errors import DeviceUnknown
from acs.ports import Now
from acs.provisioning_codes import WAITING
from acs.serials import canonical_serial
from acs.tables import AcsDevice


class DeviceLooks:
    """The CPEs of one tenant, within the caller's transaction."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Now) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._bindings = Bindings(db, tenant_id=tenant_id, now=now)

    async def device(self, *, device_serial: str) -> DeviceRecord:
        """All we know of the CPE bound under that serial. Raises: SerialMalformed, DeviceUnknown."""
        serial = canonical_serial(device_serial)
        device = await self._bindings.live(serial, locked=False)
        if device is None:
            raise DeviceUnknown(serial)
        return record_of(device)

    async def devices(
        self,
        *,
        customer_id: int | None = None,
        state: DeviceState | None = None,
        unreached_why: str | None = None,
        handed_over: bool = False,
        refused: bool = False,
        before_id: int | None = None,
        limit: int = 50,
    ) -> list[DeviceRecord]:
        """CPEs of any state, the newest binding first, a page at a time (``before_id``). ``unreached_why``: only bound
        ones that cannot be reached for this cause; ``handed_over``: only bound ones that were left to a person;
        ``refused``: only those that wait for their first settings, and were told nothing in a session."""
        query = RECORDS.where(DEVICE.tenant_id == self._tenant_id).order_by(DEVICE.id.desc()).limit(limit)
        if customer_id is not None:
            query = query.where(DEVICE.customer_id == customer_id)
        if state is not None:
            query = query.where(DEVICE.state == state)
        if unreached_why is not None:
            query = query.where(DEVICE.unreached_why == unreached_why, DEVICE.state != "withdrawn")
        if handed_over:
            query = query.where(DEVICE.handed_over_at.is_not(None), DEVICE.state != "withdrawn")
        if refused:
            query = query.where(DEVICE.refused_at.is_not(None), DEVICE.state.in_(WAITING))
        if before_id is not None:
            query = query.where(DEVICE.id < before_id)
        return [record_of(device) for device in await self._db.execute(query)]

    async def devices_of_service(self, *, service_id: int) -> list[DeviceRecord]:
        """The CPEs bound to one service, oldest first."""
        found = await self._db.scalars(
            select(AcsDevice)
            .where(
                AcsDevice.tenant_id == self._tenant_id,
                AcsDevice.service_id == service_id,
                AcsDevice.state != "withdrawn",
            )
            .order_by(AcsDevice.id)
        )
        return [record_of(device) for device in found]

    async def holds_generated_wifi(self, *, device_serial: str) -> bool:
        """Whether a CPE is bound under that serial whose WiFi passphrase we keep, since nobody gave it one.

        Raises: SerialMalformed.
        """
        serial = canonical_serial(device_serial)
        device = await self._bindings.live(serial)
        return device is not None and wifi_ref(serial) in [value for _, value, *_ in device.parameters]

    async def held_back(self, *, device_serials: Sequence[str]) -> list[str]:
        """Those of the canonical serials that are not sent what they are to have until their campaign goes on, or its
        window opens: a change of theirs waits for as long."""
        found = await self._db.scalars(
            select(AcsDevice.serial)
            .where(
                AcsDevice.tenant_id == self._tenant_id,
                AcsDevice.serial.in_(device_serials),
                AcsDevice.state != "withdrawn",
                AcsDevice.send_until <= self._now(),
            )
            .order_by(AcsDevice.id)
        )
        return list(found)


def wifi_ref(serial: str) -> str:
    """Where the WiFi passphrase that we keep for a CPE is sealed."""
    return f"secret:device/{canonical_serial(serial)}/wifi"
