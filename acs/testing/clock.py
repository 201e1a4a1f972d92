"""The lab's time: every wait of the lab (a connection request nobody answers, a drained worker) runs on one of these.

`LabClock` is virtual: nothing really waits. It advances by itself to the next wake-up as soon as the event loop has
nothing else to do, or by hand (`auto_advance=False`, then `advance`). `WallClock` is real time, its waits scaled.
A *background* wait (a periodic Inform, an idle connection) never makes a `LabClock` advance; it is woken when time
that somebody else waits for passes by it.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

LAB_EPOCH = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
# Turns that the event loop gets before virtual time moves on, so that bytes on loopback sockets arrive first.
IDLE_TURNS = 12


class Clock(Protocol):
    """What the lab needs to know about time."""

    def now(self) -> datetime:
        """Aware UTC."""

    async def sleep(self, seconds: float, *, background: bool = False) -> None:
        """Wait; a background wait doesn't make virtual time advance."""


@dataclass(order=True)
class _Waiter:
    deadline: datetime
    number: int
    background: bool = field(compare=False)
    woken: asyncio.Future[None] = field(compare=False)


class LabClock:
    """Virtual time, starting at a fixed instant."""

    def __init__(self, start: datetime = LAB_EPOCH, *, auto_advance: bool = True) -> None:
        self.auto_advance = auto_advance
        self._now = start
        self._numbers = itertools.count()
        self._waiters: list[_Waiter] = []
        self._driver: asyncio.Task[None] | None = None

    def now(self) -> datetime:
        return self._now

    def set(self, instant: datetime) -> None:
        """Put the clock to an instant (a restored snapshot); waits keep their deadlines."""
        self._now = instant

    async def sleep(self, seconds: float, *, background: bool = False) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiter = _Waiter(self._now + timedelta(seconds=seconds), next(self._numbers), background, woken)
        heapq.heappush(self._waiters, waiter)
        if not background and self.auto_advance and (self._driver is None or self._driver.done()):
            self._driver = asyncio.get_running_loop().create_task(self._drive())
        await woken

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass, waking everybody on the way in order of their deadlines."""
        until = self._now + timedelta(seconds=seconds)
        await _idle()
        while (waiter := self._next()) is not None and waiter.deadline <= until:
            self._wake(waiter)
            await _idle()
        self._now = max(self._now, until)
        await _idle()

    async def _drive(self) -> None:
        while True:
            await _idle()
            if not any(not waiter.background and not waiter.woken.done() for waiter in self._waiters):
                return
            waiter = self._next()
            if waiter is not None:
                self._wake(waiter)

    def _next(self) -> _Waiter | None:
        while self._waiters and self._waiters[0].woken.done():
            heapq.heappop(self._waiters)
        return self._waiters[0] if self._waiters else None

    def _wake(self, waiter: _Waiter) -> None:
        heapq.heappop(self._waiters)
        self._now = max(self._now, waiter.deadline)
        waiter.woken.set_result(None)


class WallClock:
    """Real time. `factor` stretches or shortens the lab's waits (0.1: a 21 s hang takes 2.1 s); `now` stays true."""

    def __init__(self, factor: float = 1.0) -> None:
        self.factor = factor

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float, *, background: bool = False) -> None:
        del background
        await asyncio.sleep(max(0.0, seconds) * self.factor)


async def _idle() -> None:
    for _ in range(IDLE_TURNS):
        await asyncio.sleep(0)
