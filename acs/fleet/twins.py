"""CPEs that share a serial number: nothing is sent to any of them, and a person is told which they are."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.convergence.seen_devices import seen_of
from acs.convergence.unreached import AMBIGUOUS
from acs.errors import SerialAmbiguous
from acs.nbi.client import NbiClient
from acs.serials import canonical_serial, is_serial, spellings
from acs.tables import AcsDevice
from acs.wishes import mark_left_standing

AT_ONCE = 25


async def ids_at_the_acs(nbi: NbiClient, serials: Sequence[str]) -> dict[str, list[str]]:
    """Under which ids the ACS knows each serial, by serial. Raises: NbiError."""
    ids: dict[str, list[str]] = {}
    for start in range(0, len(serials), AT_ONCE):
        some = serials[start : start + AT_ONCE]
        asked = sorted({spelling for serial in some for spelling in spellings(serial)})
        found = await nbi.find("devices", {"_deviceId._SerialNumber": {"$in": asked}}, ("_id", "_deviceId"))
        for seen in map(seen_of, found.documents):
            if is_serial(seen["serial"]) and (serial := canonical_serial(seen["serial"])) in some:
                ids.setdefault(serial, []).append(seen["device_id"])
    return {serial: sorted(them) for serial, them in ids.items()}


async def note_twins(
    db: AsyncSession, ids: Mapping[str, Sequence[str]], *, tenant_id: str, now: datetime
) -> frozenset[str]:
    """Write down of these serials whether several CPEs report them; the serials that are so.

    One that is not has another id at the ACS than we knew.
    """
    found = await db.scalars(
        select(AcsDevice)
        .where(AcsDevice.tenant_id == tenant_id, AcsDevice.serial.in_(sorted(ids)), AcsDevice.state != "withdrawn")
        .order_by(AcsDevice.id)
        .with_for_update()
    )
    for device in found:
        its = ids[device.serial]
        if len(its) == 1:
            device.device_id = its[0]
        elif device.unreached_why != AMBIGUOUS:
            device.reason = str(SerialAmbiguous(device.serial, its))
            device.unreached_why, device.unreached_since = AMBIGUOUS, device.unreached_since or now
            device.updated_at = now
            mark_left_standing(device)
    return frozenset(serial for serial, its in ids.items() if len(its) > 1)


async def forget_twins(db: AsyncSession, *, but: Collection[str], tenant_id: str, acs_name: str, now: datetime) -> None:
    """All others have their serial for themselves by now."""
    found = await db.scalars(
        select(AcsDevice)
        .where(
            AcsDevice.tenant_id == tenant_id,
            AcsDevice.acs_name == acs_name,
            AcsDevice.state != "withdrawn",
            AcsDevice.unreached_why == AMBIGUOUS,
        )
        .order_by(AcsDevice.id)
        .with_for_update()
    )
    for device in found:
        if device.serial not in but:
            device.unreached_why = device.unreached_since = None
            device.reason, device.updated_at = "It alone has its serial number at the ACS now.", now
