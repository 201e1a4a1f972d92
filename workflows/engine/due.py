"""What there is to do: one question for all that a worker looks for, and what nobody has done in time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, exists, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import IS_PENDING, MOVING, EventRow, EventState, RunRow, RunState

MOVES_WITHIN = timedelta(minutes=15)
"""A segment lasts seconds; the longest outside call has a time-out of minutes."""
TAKEN_UP_WITHIN = timedelta(minutes=5)
"""A worker wakes a run whose time has come, and takes an event up, in seconds."""


@dataclass(frozen=True)
class Due:
    """What there is to do now: events to take up, runs to wake, signals that some run waits for."""

    events: bool
    timers: bool
    signals: frozenset[str]


async def what_is_due(db: AsyncSession, *, tenant_id: str, now: datetime, signals: Sequence[str]) -> Due:
    """``signals``: those of interest. Each part of the question has an index of its own."""
    pending = and_(RunRow.tenant_id == tenant_id, RunRow.state == RunState.PENDING)
    event = and_(EventRow.tenant_id == tenant_id, EventRow.state == EventState.PENDING)
    waits: list[ColumnElement[bool]] = [exists().where(pending, RunRow.waiting_for == signal) for signal in signals]
    events, timers, *waited_for = (
        await db.execute(select(exists().where(event), exists().where(pending, RunRow.wake_at <= now), *waits))
    ).one()
    return Due(events, timers, frozenset(signal for signal, some in zip(signals, waited_for, strict=True) if some))


@dataclass(frozen=True)
class Overdue:
    """Runs and events that nobody has carried on in time, and since when the first of them should have been."""

    runs: int
    events: int
    since: datetime | None


async def what_is_overdue(db: AsyncSession, *, tenant_id: str, now: datetime) -> Overdue:
    """Whatever it is, no worker is at work, or it can't do it."""
    late, silent = now - TAKEN_UP_WITHIN, now - MOVES_WITHIN
    run, event = RunRow.__table__.c, EventRow.__table__.c
    of_runs = run.tenant_id == tenant_id
    asked = (
        select(func.count(), func.min(run.wake_at)).where(of_runs, IS_PENDING, run.wake_at < late),
        select(func.count(), func.min(run.updated_at)).where(of_runs, run.state.in_(MOVING), run.updated_at < silent),
        select(func.count(), func.min(event.occurred_at)).where(
            event.tenant_id == tenant_id, IS_PENDING, event.occurred_at < late
        ),
    )
    (asleep, woken_at), (stuck, moved_at), (events, occurred_at) = [(await db.execute(one)).one() for one in asked]
    since = min((moment for moment in (woken_at, moved_at, occurred_at) if moment is not None), default=None)
    return Overdue(asleep + stuck, events, since)
