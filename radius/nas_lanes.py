"""How many requests one NAS is asked at once and in a second, and that a silent one is left alone for a while.

Of this process only. Without it a NAS that is down would hold up everybody else's changes, and one that is up would
drop what it cannot take.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from radius.doors import KnownNas

IN_FLIGHT = 32
SILENT_FOR_SECONDS = 20.0


@dataclass
class _Lane:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    free_at: float = 0.0
    silent_until: float = 0.0


class NasLanes:
    """One lane for each NAS, by its address."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._sleep = sleep

    @asynccontextmanager
    async def turn(self, nas: KnownNas) -> AsyncIterator[bool]:
        """Waits until the NAS may be asked; True when it was silent just now and should not be."""
        lane = self._lanes.setdefault(nas.door.address, _Lane())
        async with lane.room:
            clock = asyncio.get_running_loop().time
            if nas.coa.per_second is not None and clock() >= lane.silent_until:
                at = max(clock(), lane.free_at)
                lane.free_at = at + 1 / nas.coa.per_second
                if at > clock():
                    await self._sleep(at - clock())
            yield clock() < lane.silent_until

    def was_silent(self, nas: KnownNas) -> None:
        """It answered nothing, however often it was asked."""
        lane = self._lanes.setdefault(nas.door.address, _Lane())
        lane.silent_until = asyncio.get_running_loop().time() + SILENT_FOR_SECONDS
