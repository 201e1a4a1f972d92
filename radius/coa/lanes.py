"""How many requests one NAS is asked at once and in a second, and that a silent one is left alone for a while.

Of this process only. Without it a NAS that is down would hold up everybody else's changes, and one that is up would
drop what it cannot take. A NAS of which nobody here knows that it answers is asked by one at a time: the others wait
for that answer, though not for long. Nor is it waited for longer than ``PATIENCE_SECONDS`` when it is slow or to be
spared: who would have to is told when to come again, and makes room for who is told by another NAS.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from radius.coa.doors import KnownNas

IN_FLIGHT = 32
SILENT_FOR_SECONDS = 20.0
PROBE_SECONDS = 1.0
"""A NAS that is up has answered by then."""
PATIENCE_SECONDS = 10.0
"""A NAS holds as many places as it serves in that time."""
STALLED_SECONDS = 3.0
"""Nor does it hold one when it has answered nobody for so long."""
COME_AGAIN_PER_SECOND = 100.0
"""At most so many come again for a NAS of which nobody knows how fast it is."""
_SMOOTHED = 0.2


@dataclass(frozen=True)
class Later:
    """A NAS is not asked now. ``seconds``: when it is worth while to come again."""

    why: Literal["silent", "busy"]
    seconds: float


@dataclass
class _Probe:
    """The request of which it will be known whether the NAS answers."""

    began: float
    over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass
class _Lane:
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(IN_FLIGHT))
    waiting: int = 0
    free_at: float = 0.0
    silent_until: float = 0.0
    heard_at: float = 0.0
    takes_seconds: float = 0.0
    """From its turn to its answer, as it was of late."""
    come_again_at: float = 0.0
    """When the last one comes that was put off."""
    answers: bool = False
    """It did when it was asked last."""
    probe: _Probe | None = None

    def is_silent(self) -> bool:
        return self.silent_until > 0.0 and _clock() < self.silent_until

    def per_second(self, nas: KnownNas) -> float:
        """How many it serves, as far as anybody knows."""
        paced = float("inf") if nas.coa.per_second is None else float(nas.coa.per_second)
        return min(paced, IN_FLIGHT / self.takes_seconds if self.takes_seconds else float("inf"))


class NasLanes:
    """One lane for each NAS, by its address."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._sleep = sleep

    @asynccontextmanager
    async def turn(self, nas: KnownNas) -> AsyncIterator[Later | None]:
        """Waits until the NAS may be asked. ``Later``: it should not be now, since it seems to be silent or has as many
        waiting as it can serve for a while.

        Who asks says in the block whether it has ``answered``.
        """
        lane = self._lane(nas)
        if lane.probe is not None:
            await self._wait_for(lane.probe)
        if lane.probe is not None or lane.is_silent():
            yield self._later(lane, nas, "silent")
            return
        probe = None
        if not lane.answers:
            probe = lane.probe = _Probe(_clock())
        try:
            if not await self._got_room(lane, nas):
                yield self._later(lane, nas, "busy")
                return
            try:
                if lane.is_silent():  # by now
                    yield self._later(lane, nas, "silent")
                    return
                await self.pace(nas)
                began = _clock()
                yield None
                if lane.answers:
                    lane.takes_seconds += _SMOOTHED * (_clock() - began - lane.takes_seconds)
            finally:
                lane.room.release()
        finally:
            if probe is not None:
                lane.probe = None
                probe.over.set()

    def answered(self, nas: KnownNas, *, silent: bool) -> None:
        """What came of asking it; ``silent``: it answered nothing, however often it was asked."""
        lane, now = self._lane(nas), _clock()
        lane.answers = not silent
        lane.silent_until = now + SILENT_FOR_SECONDS if silent else 0.0
        if not silent:
            lane.heard_at = now

    def _lane(self, nas: KnownNas) -> _Lane:
        lane = self._lanes.get(nas.door.address)
        if lane is None:
            lane = self._lanes[nas.door.address] = _Lane()
        return lane

    @staticmethod
    async def _wait_for(probe: _Probe) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(probe.over.wait(), max(0.0, probe.began + PROBE_SECONDS - _clock()))

    @staticmethod
    async def _got_room(lane: _Lane, nas: KnownNas) -> bool:
        """False when it would take too long, or has."""
        if not lane.room.locked():
            return await lane.room.acquire()
        if lane.waiting > PATIENCE_SECONDS * lane.per_second(nas):
            return False
        lane.waiting += 1
        try:
            until = _clock() + PATIENCE_SECONDS
            while (began := _clock()) < until:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(min(until, began + STALLED_SECONDS)):
                        return await lane.room.acquire()
                if lane.heard_at < began:
                    return False
            return False
        finally:
            lane.waiting -= 1

    @staticmethod
    def _later(lane: _Lane, nas: KnownNas, why: Literal["silent", "busy"]) -> Later:
        """Those who are put off come again one after the other, no faster than they can be served."""
        now = _clock()
        earliest = lane.silent_until if why == "silent" else now + lane.waiting / lane.per_second(nas)
        rate = min(lane.per_second(nas), COME_AGAIN_PER_SECOND)
        lane.come_again_at = max(lane.come_again_at, earliest, now) + 1 / rate
        return Later(why, lane.come_again_at - now)

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
