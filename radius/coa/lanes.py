"""How many requests one NAS is asked at once and in a second, and that a silent one is left alone for a while.

Of this process only. Without it a NAS that is down would hold up everybody else's changes, and one that is up would
drop what it cannot take. A NAS of which nobody here knows that it answers is asked by one at a time: the others wait
for that answer, though not for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from radius.coa.doors import KnownNas

IN_FLIGHT = 32
SILENT_FOR_SECONDS = 20.0
PROBE_SECONDS = 1.0
"""A NAS that is up has answered by then."""


@dataclass
class _Probe:
    """The request of which it will be known whether the NAS answers."""

    began: float
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Lane:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    free_at: float = 0.0
    silent_until: float = 0.0
    answers: bool = False
    """It did when it was asked last."""
    probe: _Probe | None = None


class NasLanes:
    """One lane for each NAS, by its address."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._sleep = sleep

    @asynccontextmanager
    async def turn(self, nas: KnownNas) -> AsyncIterator[bool]:
        """Waits until the NAS may be asked; True when it seems to be silent just now and should not be.

        Who asks says in the block whether it has ``answered``.
        """
        lane = self._lane(nas)
        if lane.probe is not None:
            await self._wait_for(lane.probe)
        if lane.probe is not None or _clock() < lane.silent_until:
            yield True
            return
        probe = None
        if not lane.answers:
            probe = lane.probe = _Probe(_clock())
        try:
            async with lane.room:
                await self.pace(nas)
                yield False
        finally:
            if probe is not None:
                lane.probe = None
                probe.over.set()

    def answered(self, nas: KnownNas, *, silent: bool) -> None:
        """What came of asking it; ``silent``: it answered nothing, however often it was asked."""
        lane = self._lane(nas)
        lane.answers = not silent
        lane.silent_until = _clock() + SILENT_FOR_SECONDS if silent else 0.0

    def _lane(self, nas: KnownNas) -> _Lane:
        return self._lanes.setdefault(nas.door.address, _Lane())

    @staticmethod
    async def _wait_for(probe: _Probe) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(probe.over.wait(), max(0.0, probe.began + PROBE_SECONDS - _clock()))

    async def pace(self, nas: KnownNas) -> None:
        """Waits until it may be sent one more datagram."""
        lane = self._lane(nas)
        if nas.coa.per_second is None:
            return
        at = max(_clock(), lane.free_at)
        lane.free_at = at + 1 / nas.coa.per_second
        if at > _clock():
            await self._sleep(at - _clock())


def _clock() -> float:
    return asyncio.get_running_loop().time()
