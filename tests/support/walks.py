"""A run walked by hand, beside the worker that doesn't know of it: so something can happen at one instant of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.lab import DESK, Installation, JourneyLab
from workflows import Interpreter, Outside, Runs, Services

Between = Callable[[], Awaitable[None]]


class Stopped(BaseException):
    """The process that walked the run has ended, as far as the run can tell."""


async def begun_by_hand(lab: JourneyLab, journey: str, data: dict[str, Any]) -> Installation:
    """A run that nobody moves until it is walked."""
    appliance = lab.appliance
    runs = Runs(
        definitions=appliance.definitions, doorbell=_rings_nowhere, clock=lab.clock.now, tenant_id=appliance.tenant_id
    )
    async with appliance.database.begin() as db:
        run_id, _ = await runs.start(db, journey, data, by=DESK)
    return Installation(lab, run_id)


async def walk(run: Installation, *, stop_at: str = "", between: tuple[str, Between] | None = None) -> None:
    """Walks the run's first segment until it rests; or until ``stop_at``, as if the process were killed there.

    ``between``: (an instant between two transactions, what somebody else does then).
    """
    appliance, reached = run.lab.appliance, set[str]()

    def at(point: str) -> None:
        reached.add(point)
        if point == stop_at:
            raise Stopped

    @asynccontextmanager
    async def begin() -> AsyncIterator[AsyncSession]:
        if between is not None and between[0] in reached:
            reached.remove(between[0])
            await between[1]()
        async with appliance.database.begin() as db:
            yield db

    interpreter: Interpreter[Services, Outside] = Interpreter(
        begin=begin,
        services=appliance.services,
        outside=run.lab.worker.outside,
        definitions=appliance.definitions,
        clock=run.lab.clock.now,
        tenant_id=appliance.tenant_id,
        at=at,
    )
    try:
        await interpreter.run_segment(run.id, 1)
    except Stopped:
        return


async def _rings_nowhere(_db: AsyncSession, _run_id: int, _segment: int) -> None:
    """Nobody hears of it."""
