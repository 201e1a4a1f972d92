"""When a CPE informs without being asked: periodically, and again after the ACS turned it away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acs.testing.cpe import LabCpe

_RETRY_SECONDS = 10.0
_RETRY_SECONDS_MAXIMUM = 600.0


class InformTimers:
    """The timers of one CPE; their waits are background waits, so that they never make virtual time run."""

    def __init__(self, cpe: LabCpe) -> None:
        self._cpe = cpe
        self._periodic: asyncio.Task[None] | None = None
        self._refusals = 0

    def restart(self, *, first_after_seconds: float | None = None) -> None:
        """Begin (or, without power, end) the periodic timer; one that is in a session ends by itself.

        The first Inform may come earlier than an interval from now: those of many CPEs are spread that way.
        """
        previous, self._periodic = self._periodic, None
        if previous is not None and not self._cpe.in_session:
            previous.cancel()
        if self._cpe.powered:
            self._periodic = self._cpe.network.spawn(self._inform_periodically(first_after_seconds))

    def accepted(self) -> None:
        """The ACS took an Inform: the next refusal is the first one."""
        self._refusals = 0

    def retry_later(self) -> None:
        """TR-069 3.2.1.1: a session that failed is tried again, ever more slowly."""
        wait = min(_RETRY_SECONDS * 2**self._refusals, _RETRY_SECONDS_MAXIMUM)
        self._refusals += 1
        self._cpe.network.spawn(self._retry(wait))

    async def _inform_periodically(self, first_after_seconds: float | None) -> None:
        cpe, me = self._cpe, asyncio.current_task()
        wait = first_after_seconds
        while self._periodic is me:
            await cpe.network.clock.sleep(cpe.inform_interval_seconds if wait is None else wait, background=True)
            wait = None
            if self._periodic is me and cpe.value(cpe.path("ManagementServer.PeriodicInformEnable")):
                await cpe.periodic_inform()

    async def _retry(self, wait_seconds: float) -> None:
        await self._cpe.network.clock.sleep(wait_seconds, background=True)
        if self._cpe.powered and self._cpe.pending_events:
            await self._cpe.inform()
