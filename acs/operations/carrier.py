"""Carries operations to CPEs, one look at a time, and calls them done by proof alone.

Killed at any moment, the next look goes on: what may have been sent is looked for at the ACS by the operation's own key
(``firstlight:op:<number>``) and by its effect. A reboot, factory reset or firmware is sent again only when it certainly
never arrived: the queue does not have it and the CPE has had no session since.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import structlog

from acs.convergence.sessions import Patience, Sessions
from acs.errors import AcsError, AcsUnknown
from acs.leases import kept
from acs.operations.kinds import gives_settings, steps_of
from acs.operations.ledger import LEASE, RENEWED_EVERY_SECONDS, LeaseLost, Operation, OperationLedger, Told
from acs.operations.records import OperationRecord
from acs.operations.settling import ConvergenceOf
from acs.operations.steps import TaskStep
from acs.operations.task_facts import pause
from acs.operations.task_looks import TaskLooks
from acs.ports import Begin, Now, Sleep

AT_ONCE = 8
"""Operations under way at one time: GenieACS's CWMP workers take 20 sessions each."""
SETTLING_AT_ONCE = 4
"""Of those that give a CPE its settings. They wait for weeks for CPEs that are off, and hold up nobody else."""
SETTLING_IN_A_TURN = 3 * SETTLING_AT_ONCE

log = structlog.get_logger(__name__)


class OperationCarrier:
    """Every open operation of one tenant, each through the GenieACS that serves its CPE."""

    def __init__(
        self,
        begin: Begin,
        convergence_of: ConvergenceOf,
        *,
        tenant_id: str,
        now: Now,
        told: Told | None = None,
        sleep: Sleep = asyncio.sleep,
        pulse: Sleep = asyncio.sleep,
    ) -> None:
        """``pulse`` is the wait between two renewals of a lease, in real time."""
        self._pulse = pulse
        self._convergence_of = convergence_of
        self._ledger = OperationLedger(begin, tenant_id=tenant_id, now=now, told=told)
        self._now = now
        self._sleep = sleep

    async def drive(self, *, limit: int = 4 * AT_ONCE) -> int:
        """Look once at every operation that is due, several at a time; returns how many.

        Each is tried; what went wrong with one is raised when all have been.
        """
        due = await self._ledger.due(limit=limit)
        settling = await self._ledger.due_for_settings(limit=SETTLING_IN_A_TURN)
        outcomes = await asyncio.gather(
            *self._looks(due, at_once=AT_ONCE), *self._looks(settling, at_once=SETTLING_AT_ONCE), return_exceptions=True
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        return len(outcomes)

    def _looks(self, due: Sequence[int], *, at_once: int) -> list[Awaitable[None]]:
        turn = asyncio.Semaphore(at_once)

        async def look(operation_id: int) -> None:
            async with turn:
                await self.carry(operation_id)

        return [look(each) for each in due]

    async def carry(self, operation_id: int) -> OperationRecord:
        """One look at one operation, and whatever is next for it. Raises: OperationUnknown."""
        operation = await self._ledger.claim(operation_id)
        if operation is not None:
            try:
                async with kept(
                    partial(self._ledger.renew, operation),
                    every_seconds=RENEWED_EVERY_SECONDS,
                    lease=LEASE,
                    pulse=self._pulse,
                ):
                    await self._advance(operation)
            except LeaseLost:
                log.info("operation is carried by another process", operation_id=operation_id)
        return await self._ledger.record(operation_id)

    async def wait(
        self, operation_id: int, *, seconds: float, heard: Callable[[OperationRecord], None] | None = None
    ) -> OperationRecord:
        """Carry it until it ends, or so long; ``heard`` is told of every look. Raises: OperationUnknown."""
        began, waited, pause = self._now(), 0.0, 0.5
        while True:
            record = await self.carry(operation_id)
            if heard is not None:
                heard(record)
            if record["ended_at"] is not None or waited >= seconds:
                return record
            await self._sleep(pause)
            waited = max(waited + pause, (self._now() - began).total_seconds())  # a look may take seconds itself
            pause = min(pause * 1.3, 3.0)

    async def _advance(self, operation: Operation) -> None:
        moved: Operation | None = operation
        while moved is not None:
            operation, moved = moved, None
            try:
                moved = await self._moved(operation)
            except AcsError as error:
                await self._in_trouble(operation, error)

    async def _in_trouble(self, operation: Operation, error: AcsError) -> None:
        """The ACS or the CPE could not be asked. Where nothing will help, that is the end: of what was sent to an ACS
        that is not configured any more nobody learns what it did."""
        log.warning("operation could not be carried", operation_id=operation.id, code=error.code, why=str(error))
        if operation.stage == "new" and not error.transient:
            await self._ledger.end(operation, "faulted", str(error), {"code": error.code})
            return
        if isinstance(error, AcsUnknown):
            words = f"What was sent of it is there, and whether it was done is not known: {error}"
            await self._ledger.end(operation, "unknown", words, {"code": error.code})
            return
        seconds = pause(operation, 2.0)
        await self._ledger.rest(operation, seconds=seconds, looks=operation.looks + 1, reason=str(error))

    async def _moved(self, operation: Operation) -> Operation | None:
        """One look. Gives the operation when there is more to do at once, None when it rests or has ended."""
        if operation.kind == "move" and operation.cancel_wanted:  # superseded; its reason says so
            await self._ledger.end(operation, "cancelled", operation.reason)
            return None
        if operation.stage == "new" and operation.step == 0 and operation.cancel_wanted:
            await self._ledger.end(operation, "cancelled", "It was cancelled. Nothing was sent.")
            return None
        if self._now() >= operation.given_up_at:
            await self._give_up(operation)
            return None
        convergence = self._convergence_of(operation.acs_name)
        step = steps_of(operation, self._convergence_of)[operation.step]
        sessions = Sessions(convergence.nbi, sleep=self._sleep, patience=Patience())
        looks = TaskLooks(convergence.nbi, convergence, self._ledger, sessions, now=self._now)
        if isinstance(step, TaskStep):
            return await looks.look_at_task(operation, step)
        if not operation.still_bound:
            await self._ledger.end(operation, "cancelled", "The CPE was withdrawn from its service meanwhile.")
            return None
        if operation.state == "requested":
            operation = await self._ledger.note(operation, state="queued", queued_at=self._now())
        return await looks.follow(operation, await step.call(operation))

    async def _give_up(self, operation: Operation) -> None:
        if gives_settings(operation):
            late = "Its time is over. What the CPE is to have stays written down, and is applied when it reports."
            await self._ledger.end(operation, "expired", late)
        elif operation.stage == "new":
            await self._ledger.end(operation, "expired", "Its time is over, and nothing more was sent.")
        else:
            late = f"Its time is over, and whether it was done is not known. Last: {operation.reason}"
            await self._ledger.end(operation, "unknown", late)
