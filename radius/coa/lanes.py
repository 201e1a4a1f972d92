"""How many requests one NAS is asked at once and in a second, and that a silent one is left alone for a while.

Of this process only. Without it a NAS that is down would hold up everybody else's changes, and one that is up would
drop what it cannot take. A NAS of which nobody here knows that it answers is asked by one at a time: the others wait
for that answer, though not for long. Nor is it waited for longer than ``PATIENCE_SECONDS`` when it is slow or to be
spared: who would have to is told when to come again, and makes room for who is told by another NAS. Who comes before
that, since something else was to be looked at, keeps its place.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
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
LONGEST_PUT_OFF_SECONDS = 600.0
"""Nobody is told to come later than that: a NAS may have become faster by then, and who restarts knows of no places."""
SOON_SECONDS = 1.0
"""Who comes so much too early has come in time."""
_SMOOTHED = 0.2

Why = Literal["silent", "busy", "unknown"]
"""Why a NAS is not asked now: it has just answered nothing; it has enough to answer; nobody knows yet whether it
answers at all, since the first request is still open or came to nothing."""


@dataclass(frozen=True)
class Later:
    """A NAS is not asked now. ``seconds``: when it is worth while to come again."""

    why: Why
    seconds: float

    def in_words(self, nas: KnownNas) -> str:
        """Why, for whoever reads what became of a session."""
        if self.why == "silent":
            return f"NAS {nas.door.name} has just been silent, and is asked again later"
        if self.why == "unknown":
            return (
                f"NAS {nas.door.name} has not answered the first request yet, and is asked when it is known that it"
                " answers"
            )
        return f"NAS {nas.door.name} has as many to answer as it can for now, and is asked when these are through"


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
    places: dict[Hashable, tuple[Why, float]] = field(default_factory=dict)
    """Who was put off, why, and until when: the earliest first, since nobody is sent in before who came before."""

    def is_silent(self) -> bool:
        return self.silent_until > 0.0 and _clock() < self.silent_until

    def per_second(self, nas: KnownNas) -> float:
        """How many it serves, as far as anybody knows."""
        paced = float("inf") if nas.coa.per_second is None else float(nas.coa.per_second)
        return min(paced, IN_FLIGHT / self.takes_seconds if self.takes_seconds else float("inf"))

    def took(self, seconds: float) -> None:
        """The first one counts whole: there is nothing yet to smooth it with."""
        known = self.takes_seconds
        self.takes_seconds = known + _SMOOTHED * (seconds - known) if known else seconds

    def place_of(self, who: Hashable | None) -> Later | None:
        """What is left of the time for which it was put off, unless that is over."""
        if who not in self.places:
            return None
        why, at = self.places.pop(who)
        left = at - _clock()
        if left <= SOON_SECONDS:
            return None
        self.places[who] = why, at
        return Later(why, left)

    def later(self, nas: KnownNas, why: Why, who: Hashable | None) -> Later:
        """Those who are put off come again one after the other, no faster than they can be served."""
        now, per_second = _clock(), self.per_second(nas)
        earliest = self.silent_until if why == "silent" else now + self.waiting / per_second
        rate = COME_AGAIN_PER_SECOND if per_second == float("inf") else per_second
        at = max(self.come_again_at, earliest, now) + 1 / rate
        self.come_again_at = at = min(at, now + LONGEST_PUT_OFF_SECONDS)
        while self.places and self.places[first := next(iter(self.places))][1] < now:  # it did not come
            del self.places[first]
        if who is not None:
            self.places[who] = why, at
        return Later(why, at - now)


class NasLanes:
    """One lane for each NAS, by its address."""

    def __init__(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._lanes: dict[str, _Lane] = {}
        self._sleep = sleep

    @asynccontextmanager
    async def turn(self, nas: KnownNas, *, who: Hashable | None = None) -> AsyncIterator[Later | None]:
        """Waits until the NAS may be asked. ``Later``: it should not be now, since it seems to be silent, has as many
        waiting as it can serve for a while, or may not answer at all. ``who``: keeps its place if it was put off.

        Who asks says in the block whether it has ``answered``.
        """
        lane = self._lane(nas)
        if (place := lane.place_of(who)) is not None:
            yield place
            return
        if lane.probe is not None:
            await self._wait_for(lane.probe)
        if lane.is_silent() or lane.probe is not None:
            yield lane.later(nas, "silent" if lane.is_silent() else "unknown", who)
            return
        probe = None
        if not lane.answers:
            probe = lane.probe = _Probe(_clock())
        try:
            if not await self._got_room(lane, nas):
                yield lane.later(nas, "busy", who)
                return
            try:
                if lane.is_silent():  # by now
                    yield lane.later(nas, "silent", who)
                    return
                await self.pace(nas)
                began = _clock()
                yield None
                if lane.answers:
                    lane.took(_clock() - began)
            finally:
                lane.room.release()
        finally:
            if probe is not None:
                lane.probe = None
                probe.over.set()

    @asynccontextmanager
    async def place(self, nas: KnownNas) -> AsyncIterator[Later | None]:
        """As ``turn``, for who comes again at a pace of its own: one that seems to be silent is asked all the same."""
        lane = self._lane(nas)
        if not await self._got_room(lane, nas):
            yield Later("busy", lane.waiting / lane.per_second(nas))
            return
        try:
            await self.pace(nas)
            yield None
        finally:
            lane.room.release()

    def paced(self, nas: KnownNas) -> KnownNas:
        """Within its turn: every datagram counts for what it is sent in a second; the turn was for the first one."""
        if nas.coa.per_second is None:
            return nas
        first = True

        async def pace() -> None:
            nonlocal first
            if not first:
                await self.pace(nas)
            first = False

        return replace(nas, door=replace(nas.door, pace=pace))

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
                    async with asyncio.timeout(min(until - began, STALLED_SECONDS)):
                        return await lane.room.acquire()
                if lane.heard_at < began:
                    return False
            return False
        finally:
            lane.waiting -= 1

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
    return time.monotonic()  # asking for the loop and its time takes far longer, and it is asked many times a request
