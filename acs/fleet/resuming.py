"""A person has looked at a CPE: it is converged again, also when repairing it was given up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.errors import DeviceUnknown
from acs.fleet.repairing import resume
from acs.serials import canonical_serial
from acs.tables import AcsDevice


async def resume_devices(db: AsyncSession, serials: Sequence[str], *, tenant_id: str, now: datetime) -> list[str]:
    """Their canonical serials; the counts of their repairs begin anew.

    Raises: SerialMalformed, DeviceUnknown for the first that nobody has bound; nothing is changed then.
    """
    wanted = list(dict.fromkeys(canonical_serial(serial) for serial in serials))
    found = await db.scalars(
        select(AcsDevice)
        .where(AcsDevice.tenant_id == tenant_id, AcsDevice.serial.in_(wanted), AcsDevice.state != "withdrawn")
        .order_by(AcsDevice.id)
        .with_for_update()
    )
    devices = {device.serial: device for device in found}
    for serial in wanted:
        if serial not in devices:
            raise DeviceUnknown(serial)
    for device in devices.values():
        resume(device, now=now)
    return wanted
