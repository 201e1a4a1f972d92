"""What brings in many subscribers gives way to those who log in meanwhile.

Both are answered by the same database, mostly on the same machine: without a rest between its batches an import takes a
quarter of the logins that two cores answer, just when a BNG came back and all its customers ask at once.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from radius.logins.logins import LoginLog

Sleep = Callable[[float], Awaitable[None]]
LOGINS_PER_SECOND_OF_REST = 250
COUNTED_OVER_SECONDS = 2.0
"""Before a batch, and while it lasts: logins that FreeRADIUS writes to files come into the log once a second, many at
once."""
LONGEST_REST = 16
"""In times of what was worked: it always comes to its end."""


def rest_seconds(worked_seconds: float, logins: int) -> float:
    """How long to rest from work of so long, in which so many logged in: hardly at all where few do."""
    return min(max(logins, 0) / LOGINS_PER_SECOND_OF_REST, worked_seconds * LONGEST_REST)


class GivingWay:
    """Batches of a long piece of work, each after a rest for those who logged in during the one before it. What comes
    late has rested."""

    def __init__(
        self, logins: LoginLog, *, sleep: Sleep = asyncio.sleep, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._logins = logins
        self._sleep = sleep
        self._monotonic = monotonic
        self._rests_until: float | None = None
        self._counts: deque[tuple[float, int]] = deque()

    @asynccontextmanager
    async def batch(self) -> AsyncIterator[None]:
        """Around one batch.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        await self.rest()
        async with self.work():
            yield

    async def rest(self) -> None:
        """Before a batch, where nobody waits for a lock of ours."""
        if self._rests_until is None:
            return
        owed_seconds = self._rests_until - self._monotonic()
        if owed_seconds > 0:
            await self._sleep(owed_seconds)

    @asynccontextmanager
    async def work(self) -> AsyncIterator[None]:
        """Around one batch that ``rest`` went before.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        before, began = await self._logins.newest_id(), self._monotonic()
        while self._counts and self._counts[0][0] < began - COUNTED_OVER_SECONDS:
            self._counts.popleft()
        self._counts.append((began, before))
        yield
        ended, after = self._monotonic(), await self._logins.newest_id()
        since, then = self._counts[0]
        self._counts.append((ended, after))
        share = (ended - began) / (ended - since) if ended > since else 1.0
        self._rests_until = ended + rest_seconds(ended - began, round((after - then) * share))
