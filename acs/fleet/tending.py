"""What goes on by itself: CPEs that have news are looked for, and brought to what they should have.

A look takes a second; convergence waits for CPEs, and goes on beside the next look. One CPE is in one convergence of
this process at a time; that two processes are at it does no harm (see ``acs.convergence.applying``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, and_, or_, select

from acs.convergence.unreached import AMBIGUOUS
from acs.errors import AcsError
from acs.fleet.converging import FleetConvergence, is_sendable
from acs.fleet.judged_page import SweepOutcome
from acs.fleet.rereading import Rereading, begin_turns, turns_taken
from acs.fleet.sweeping import InHand, Sweep
from acs.ports import Begin, Now
from acs.tables import DEFAULT_ACS, AcsDevice

log = structlog.get_logger(__name__)

MOST_AT_A_LOOK = 5_000
CALLED_AGAIN_AFTER = timedelta(minutes=15)


class FleetTender:
    """Looks, and converges what is due. ``in_hand``: the CPEs that somebody else is busy with, and who."""

    def __init__(
        self,
        begin: Begin,
        sweep: Sweep,
        fleet: FleetConvergence,
        *,
        tenant_id: str,
        now: Now,
        in_hand: InHand | None = None,
        rereading: Rereading | None = None,
        acs_name: str = DEFAULT_ACS,
    ) -> None:
        self._begin = begin
        self._sweep = sweep
        self._fleet = fleet
        self._tenant_id = tenant_id
        self._now = now
        self._in_hand = in_hand
        self._rereading = rereading or Rereading()
        self._acs_name = acs_name
        self._under_way: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def look(self) -> SweepOutcome:
        """Who has reported since the last look, and who is due by what is written down here; returns once their
        convergence has begun.

        Raises: NbiError.
        """
        found = await self._sweep.recent()
        self._begin_with(found.due)
        self._begin_with(await self._due_by_rows())
        return found

    async def sweep(self) -> SweepOutcome:
        """Everybody. Raises: NbiError."""
        found = await self._sweep.everything()
        self._begin_with(found.due)
        return found

    async def reread(self) -> Sequence[str]:
        """Verified CPEs by turns: those whose turn it is are read back once more. To be called as often as
        ``Rereading.every`` says; returns their serials once that has begun.
        """
        async with self._begin() as db:
            serials = await begin_turns(
                db,
                self._rereading,
                tenant_id=self._tenant_id,
                acs_name=self._acs_name,
                now=self._now(),
                left_out=self._not_in_hand(),
            )
        return self._begin_with(serials, rereads=True)

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

    async def _due_by_rows(self) -> Sequence[str]:
        """CPEs that the ACS knows and that have no news there: those whose present wish was never sent (a changed
        secret, a resumed repair), whose next attempt is due, whose queued settings are to be taken back, or who were
        not called or did not come: the process that was at it may have been killed."""
        now = self._now()
        is_new = and_(AcsDevice.state == "queued", AcsDevice.task_id.is_(None), is_sendable(now))
        is_again = and_(AcsDevice.state == "faulted", AcsDevice.try_again_at <= now, is_sendable(now))
        is_left = and_(
            AcsDevice.state == "queued",
            AcsDevice.task_id.is_not(None),
            AcsDevice.updated_at <= now - CALLED_AGAIN_AFTER,
            is_sendable(now),
        )
        is_too_late = and_(
            AcsDevice.state.in_(("queued", "unreachable", "faulted")),
            or_(AcsDevice.state != "faulted", AcsDevice.try_again_at.is_not(None)),
            AcsDevice.task_id.is_not(None),
            AcsDevice.send_until <= now,
        )
        async with self._begin() as db:
            found = await db.scalars(
                select(AcsDevice.serial)
                .where(
                    AcsDevice.tenant_id == self._tenant_id,
                    AcsDevice.acs_name == self._acs_name,
                    AcsDevice.device_id.is_not(None),
                    AcsDevice.handed_over_at.is_(None),
                    or_(AcsDevice.unreached_why.is_(None), AcsDevice.unreached_why != AMBIGUOUS),
                    or_(is_new, is_again, is_left, is_too_late),
                    *self._not_in_hand(),
                )
                .order_by(AcsDevice.id)
                .limit(MOST_AT_A_LOOK)
            )
            return list(found)

    def _not_in_hand(self) -> tuple[ColumnElement[bool], ...]:
        if self._in_hand is None:
            return ()
        serial, _holder = self._in_hand.subquery().c
        return (AcsDevice.serial.not_in(select(serial)),)

    def _begin_with(self, serials: Sequence[str], *, rereads: bool = False) -> Sequence[str]:
        """Those of them that nobody in this process is at."""
        due = [serial for serial in dict.fromkeys(serials) if serial not in self._under_way]
        if due:
            self._under_way.update(due)
            task = asyncio.create_task(self._converge(due, rereads=rereads))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return due

    async def _converge(self, serials: Sequence[str], *, rereads: bool) -> None:
        try:
            progress = await self._fleet.converge_many(list(serials))
            if rereads:
                async with self._begin() as db:
                    await turns_taken(db, serials, tenant_id=self._tenant_id, now=self._now())
            log.info("cpes tended", cpes=len(serials), states=dict(progress.by_state), errors=dict(progress.errors))
        except AcsError as error:  # their rows say how far they came; the next look goes on
            log.warning("cpes could not be tended", cpes=len(serials), code=error.code, why=str(error))
        finally:
            self._under_way.difference_update(serials)
