"""Do CPEs go on reporting? A bad preset stops all sessions of an ACS, and its NBI answers as if nothing were."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from acs.convergence.seen_devices import moment
from acs.nbi.client import NbiClient
from acs.nbi.outcomes import Done
from acs.ports import Sleep

TAKE_EFFECT_SECONDS = 10.0
"""The workers' copy is 5 s old at most; as long again for sessions that began with the old one."""
LOOK_SECONDS = 5.0
CALLED = 5
"""CPEs that reported last and are called, so that an ACS with few of them need not be waited for."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The newest Inform that an ACS has seen, and who reported last; nobody at all for a new ACS."""

    last_inform: datetime | None
    devices: tuple[str, ...]


async def mark(nbi: NbiClient) -> Mark:
    """Reads the time of every CPE's last Inform, in constant memory: a sort without an index fails on many.

    Raises: NbiError.
    """
    newest: list[tuple[datetime, str]] = []
    async for device in nbi.stream("devices", {}, ("_id", "_lastInform")):
        informed = moment(device.get("_lastInform"))
        if informed is not None:
            newest = sorted([*newest, (informed, str(device.get("_id", "")))], reverse=True)[:CALLED]
    return Mark(newest[0][0] if newest else None, tuple(device_id for _, device_id in newest))


async def goes_on(nbi: NbiClient, *, patience_seconds: float, sleep: Sleep) -> bool | None:
    """Whether a CPE reports within that time, from 10 s on; None where none has ever reported, so nobody can tell.

    Raises: NbiError.
    """
    await sleep(TAKE_EFFECT_SECONDS)
    before = await mark(nbi)
    if before.last_inform is None:
        return None
    newer = {"_lastInform": {"$gt": before.last_inform.isoformat().replace("+00:00", "Z")}}
    waited = 0.0
    while True:
        if waited % 60 < LOOK_SECONDS:
            await _call(nbi, before.devices)
        if await nbi.count("devices", newer) > 0:
            return True
        if waited >= patience_seconds:
            return False
        await sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS


async def _call(nbi: NbiClient, device_ids: tuple[str, ...]) -> None:
    """Until one answers; whether it then begins a session is what is looked for."""
    for device_id in device_ids:
        if isinstance(await nbi.call(device_id), Done):
            return


async def faults_of(nbi: NbiClient, channels: tuple[str, ...]) -> int:
    """How many CPEs fail at what we have installed. Raises: NbiError."""
    return await nbi.count("faults", {"channel": {"$in": list(channels)}}) if channels else 0
