"""Doubles for the engine's surroundings: a clock that moves when told, and a dispatch that runs where it is called."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.interpreter import Interpreter
from workflows.engine.journal import Begin
from workflows.engine.runs import Runs
from workflows.engine.tables import MOVING, RunRow, RunState

__all__ = ["InlineDispatch", "VirtualClock"]


class VirtualClock:
    """Time that stands still until a test moves it."""

    def __init__(self, start: datetime = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)) -> None:
        self.time = start

    def __call__(self) -> datetime:
        return self.time

    def advance(self, duration: timedelta) -> None:
        self.time += duration


class InlineDispatch:
    """Runs segments in the caller's task. Looks at the journal only, so it survives what a queue would survive."""

    def __init__(self, begin: Begin, interpreter: Interpreter[Any, Any], runs: Runs, clock: VirtualClock) -> None:
        self._begin = begin
        self._interpreter = interpreter
        self._runs = runs
        self._clock = clock

    @staticmethod
    async def doorbell(db: AsyncSession, run_id: int, segment: int) -> None:
        """Nothing to ring: the run's row says that a segment is due."""

    async def drain(self) -> None:
        """Runs segments until no run moves."""
        while due := await self._due():
            for run_id, segment in due:
                await self._interpreter.run_segment(run_id, segment)

    async def sleep_until_rest(self, most: int = 50) -> None:
        """Drains, then lets time pass to each next wake-up, until nothing is due any more."""
        for _ in range(most):
            await self.drain()
            if not await self._wake_next():
                return
        raise AssertionError(f"runs still wake up after {most} wake-ups")

    async def _due(self) -> list[tuple[int, int]]:
        async with self._begin() as db:
            found = await db.execute(select(RunRow.id, RunRow.segment).where(RunRow.state.in_(MOVING)))
            return [(row.id, row.segment) for row in found]

    async def _wake_next(self) -> bool:
        async with self._begin() as db:
            found = await db.execute(
                select(RunRow.id, RunRow.wake_at)
                .where(RunRow.state == RunState.PENDING, RunRow.wake_at.is_not(None))
                .order_by(RunRow.wake_at)
                .limit(1)
            )
            row = found.one_or_none()
            if row is None:
                return False
            self._clock.time = max(self._clock.time, row.wake_at)
            return await self._runs.wake(db, row.id)
