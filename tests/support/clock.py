"""Time for a whole laboratory: it passes as it does, and a test may skip what it would have to wait for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

QUICKER = 10.0
"""So much faster than the real time does it pass while somebody sleeps between two looks."""


class MovableClock:
    """The real time, plus what was skipped so far; the appliance, the ACS and whoever asks it share this clock."""

    def __init__(self) -> None:
        self._skipped = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self._skipped

    async def sleep(self, seconds: float, *, background: bool = False) -> None:
        """A background sleeper (a periodic Inform, an idle connection) takes its real time."""
        if background:
            await asyncio.sleep(seconds)
            return
        await asyncio.sleep(seconds / QUICKER)
        self.skip(seconds=seconds * (1 - 1 / QUICKER))

    def skip(self, **how_long: float) -> None:
        """So many ``days``, ``hours``, ``minutes`` are over."""
        self._skipped += timedelta(**how_long)

    def skip_to(self, moment: datetime) -> None:
        self._skipped += max(moment - self.now(), timedelta())
