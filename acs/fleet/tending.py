"""What goes on by itself: CPEs that have news are looked for, and brought to what they should have.

A look takes a second; convergence waits for CPEs, and goes on beside the next look. One CPE is in one convergence of
this process at a time; that two processes are at it does no harm (see ``acs.convergence.applying``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from sqlalchemy import select

from acs.errors import AcsError
from acs.fleet.converging import FleetConvergence
from acs.fleet.sweeping import InHand, Sweep, SweepOutcome
from acs.ports import Begin
from acs.tables import DEFAULT_ACS, AcsDevice

log = structlog.get_logger(__name__)

MOST_AT_A_LOOK = 5_000


class FleetTender:
    """Looks, and converges what is due. ``in_hand``: customers whose CPEs a run is busy with."""

    def __init__(
        self,
        begin: Begin,
        sweep: Sweep,
        fleet: FleetConvergence,
        *,
        tenant_id: str,
        in_hand: InHand,
        acs_name: str = DEFAULT_ACS,
    ) -> None:
        self._begin = begin
        self._sweep = sweep
        self._fleet = fleet
        self._tenant_id = tenant_id
        self._in_hand = in_hand
        self._acs_name = acs_name
        self._under_way: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self) -> SweepOutcome:
        """Who has reported since the last look, and whose wish has changed; returns once their convergence has begun.

        Raises: NbiError.
        """
        found = await self._sweep.recent()
        self._begin_with([*found.due, *await self._never_queued()])
        return found

    async def sweep(self) -> SweepOutcome:
        """Everybody. Raises: NbiError."""
        found = await self._sweep.everything()
        self._begin_with(found.due)
        return found

    async def settled(self) -> None:
        """Returns when nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def stop(self) -> None:
        """What is under way is left as it is; its rows say how far it came."""
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _never_queued(self) -> Sequence[str]:
        """CPEs that the ACS knows and whose present wish was never sent: a changed secret, a resumed repair."""
        in_hand = frozenset(await self._in_hand())
        async with self._begin() as db:
            rows = await db.execute(
                select(AcsDevice.serial, AcsDevice.customer_id)
                .where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.acs_name == self._acs_name,
                    AcsDevice.state == "queued",
                    AcsDevice.task_id.is_(None),
                    AcsDevice.device_id.is_not(None),
                    AcsDevice.handed_over_at.is_(None),
                )
                .order_by(AcsDevice.id)
                .limit(MOST_AT_A_LOOK)
            )
            return [serial for serial, customer_id in rows if customer_id not in in_hand]

    def _begin_with(self, serials: Sequence[str]) -> None:
        due = [serial for serial in dict.fromkeys(serials) if serial not in self._under_way]
        if not due:
            return
        self._under_way.update(due)
        task = asyncio.create_task(self._converge(due))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _converge(self, serials: Sequence[str]) -> None:
        try:
            progress = await self._fleet.converge_many(list(serials))
            log.info("cpes tended", cpes=len(serials), states=dict(progress.by_state), errors=dict(progress.errors))
        except AcsError as error:  # their rows say how far they came; the next look goes on
            log.warning("cpes could not be tended", cpes=len(serials), code=error.code, why=str(error))
        finally:
            self._under_way.difference_update(serials)
