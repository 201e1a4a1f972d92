"""How many CPEs may be in a session at once because we called them: as many as the ACS shows that it bears.

A CWMP worker of GenieACS takes 20 sessions and answers a CPE beyond these 503, which then stays away for a minute and
more: at 64 calls at once every tenth CPE was lost that way, at 16 none (observed). So the window begins small, grows by
one for each window of sessions that ended, and is halved when a called CPE did not come to a session in time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

Answer = TypeVar("Answer")

ANSWERED_SECONDS = 0.5
"""A CPE that answers a connection request does so in some 20 ms; one that takes longer is in no session."""
SESSION_SECONDS = 4.0
"""The ACS itself counts a CPE that has not come by then as one that does not come."""


class SessionWindow:
    """Room for called CPEs; begins at ``size`` and stays within 1 and ``largest``."""

    def __init__(self, size: int, *, largest: int) -> None:
        self.size = float(size)
        self.largest = largest
        self.taken = 0
        self.stalls = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @classmethod
    def boundless(cls) -> SessionWindow:
        """For whoever calls one CPE at a time."""
        return cls(1_000_000, largest=1_000_000)

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[Slot]:
        """Waits for room; it is given back at the end of the block, or earlier (see ``Slot``)."""
        while self.taken >= int(self.size):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._wake()  # the room that was ours is the next one's
                raise
        self.taken += 1
        slot = Slot(self)
        try:
            yield slot
        finally:
            slot.give_back()

    def grow(self) -> None:
        self.size = min(self.size + 1 / self.size, float(self.largest))

    def halve(self) -> None:
        self.stalls += 1
        self.size = max(self.size / 2, 1.0)

    def release(self) -> None:
        self.taken -= 1
        self._wake()

    def _wake(self) -> None:
        room = int(self.size) - self.taken
        while room > 0 and self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                room -= 1


class Slot:
    """One CPE's place in the window, which it gives back as soon as it is not, or no longer, in a session."""

    def __init__(self, window: SessionWindow) -> None:
        self._window = window
        self._held = True

    async def called(self, call: Awaitable[Answer]) -> Answer:
        """The answer of a connection request. One that is not answered soon begins no session."""
        asked = asyncio.ensure_future(call)
        try:
            done, _ = await asyncio.wait({asked}, timeout=ANSWERED_SECONDS)
            if not done:
                self.give_back()
            answer = await asked
        finally:
            asked.cancel()
        if answer is not None:  # not reached
            self.give_back()
        return answer

    def waited(self, seconds: float) -> None:
        """So long a called CPE has not been done."""
        if self._held and seconds >= SESSION_SECONDS:
            self._window.halve()
            self.give_back()

    def ended(self) -> None:
        if self._held:
            self._window.grow()

    def give_back(self) -> None:
        if self._held:
            self._held = False
            self._window.release()
