"""A run walked by hand, beside the worker that doesn't know of it: so something can happen at one instant of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from tests.support.lab import DESK, Installation, JourneyLab
from workflows import Interpreter, Outside, Runs, Services

Between = Callable[[], Awaitable[None]]
MAIL_MAY_HAVE_ARRIVED_TWICE = ("deliver_email.in_tx",)
"""Where a second kill of one delivery makes the mail one that is not sent again; see ``test_mail_troubles``."""


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


async def walk(
    run: Installation, *, stop_at: str = "", between: tuple[str, Between] | None = None, outside: bool = True
) -> None:
    """Walks the run's first segment until it rests; or until ``stop_at``, as if the process were killed there.

    ``between``: (an instant between two transactions, what somebody else does then). ``outside``: whether it reaches
    the other sides, by the laboratory's worker.
    """
    reached = set[str]()

    def at(point: str) -> None:
        reached.add(point)
        if point == stop_at:
            raise Stopped

    async def before_a_transaction() -> None:
        if between is not None and between[0] in reached:
            reached.remove(between[0])
            await between[1]()

    await _walk(run, at, before_a_transaction, outside=outside)


async def walk_killed_everywhere(run: Installation, *, but: Collection[str] = ()) -> list[str]:
    """Walks the run's first segment, killed once at every instant of it except ``but``; where that was."""
    killed_at: list[str] = []

    def at(point: str) -> None:
        if point not in killed_at and point not in but:
            killed_at.append(point)
            raise Stopped

    while True:
        before = len(killed_at)
        await _walk(run, at)
        if len(killed_at) == before:
            return killed_at


async def _walk(
    run: Installation, at: Callable[[str], None], first: Between | None = None, *, outside: bool = True
) -> None:
    appliance = run.lab.appliance

    @asynccontextmanager
    async def begin() -> AsyncIterator[AsyncSession]:
        if first is not None:
            await first()
        async with appliance.database.begin() as db:
            yield db

    interpreter: Interpreter[Services, Outside | None] = Interpreter(
        begin=begin,
        services=appliance.services,
        outside=run.lab.worker.outside if outside else None,
        definitions=appliance.definitions,
        clock=run.lab.clock.now,
        tenant_id=appliance.tenant_id,
        at=at,
    )
    with suppress(Stopped):
        await interpreter.run_segment(run.id, 1)


async def _rings_nowhere(_db: AsyncSession, _run_id: int, _segment: int) -> None:
    """Nobody hears of it."""
