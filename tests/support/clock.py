"""Time for a whole laboratory: it passes as it does, and a test may skip what it would have to wait for."""

from __future__ import annotations

import asyncio
import mmap
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

QUICKER = 10.0
"""So much faster than the real time does it pass while somebody sleeps between two looks."""
MICROSECOND = timedelta(microseconds=1)
BYTES = 8


class MovableClock:
    """The real time, plus what was skipped so far; the appliance, the ACS and whoever asks it share this clock.

    ``behind``: so much before the real time it begins.
    """

    def __init__(self, *, behind: timedelta = timedelta()) -> None:
        self._skipped = -behind

    @property
    def skipped(self) -> timedelta:
        return self._skipped

    def now(self) -> datetime:
        return datetime.now(UTC) + self.skipped

    async def sleep(self, seconds: float, *, background: bool = False) -> None:
        """A background sleeper (a periodic Inform, an idle connection) takes its real time."""
        if background:
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(seconds / QUICKER)
        self.skip(seconds=seconds * (1 - 1 / QUICKER))

    def skip(self, **how_long: float) -> None:
        """So many ``days``, ``hours``, ``minutes`` are over."""
        self._move(timedelta(**how_long))

    def skip_to(self, moment: datetime) -> None:
        self._move(max(moment - self.now(), timedelta()))

    def _move(self, by: timedelta) -> None:
        self._skipped += by


class SharedClock(MovableClock):
    """A clock of several processes: what was skipped stands in a file that each of them has mapped.

    One process moves it, the others read; a read is one word of memory, so that it is never half of two.
    """

    def __init__(self, file: Path) -> None:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT)
        try:
            os.ftruncate(descriptor, BYTES)  # a new file holds zeros, and one that is there keeps what it holds
            self._word = memoryview(mmap.mmap(descriptor, BYTES)).cast("q")
        finally:
            os.close(descriptor)

    @property
    def skipped(self) -> timedelta:
        return self._word[0] * MICROSECOND

    def _move(self, by: timedelta) -> None:
        self._word[0] += by // MICROSECOND
