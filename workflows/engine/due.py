"""One question for all that a worker looks for again and again: an idle one asks nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import EventRow, EventState, RunRow, RunState


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
