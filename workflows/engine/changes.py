"""What a flush changes of runs and events, for whoever tells others of it in the same transaction.

The composition binds a listener to its database sessions (``after_flush`` of SQLAlchemy). There every way in which a
run's state changes has come together, the new rows have their numbers, and the transaction is still open: what the
listener writes commits or vanishes with the change. The engine itself knows nobody who listens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from workflows.engine.tables import EventRow, RunRow


@dataclass(frozen=True)
class RunChange:
    """A run has another state than before; ``previous`` None: it is new."""

    tenant_id: str
    run_id: int
    journey: str
    customer_id: int | None
    state: str
    previous: str | None
    step: str | None
    reason_code: str | None


@dataclass(frozen=True)
class PublishedEvent:
    """An event is new. ``data`` may hold whatever its publisher knows, names of people included."""

    tenant_id: str
    event_id: int
    type: str
    subject: str
    data: Any


def run_changes(flushed: Session) -> list[RunChange]:
    """The runs whose state this flush has written."""
    changes = []
    for row in (*flushed.new, *flushed.dirty):
        if not isinstance(row, RunRow):
            continue
        history = inspect(row).attrs.state.history
        if not history.added:
            continue
        changes.append(
            RunChange(
                tenant_id=row.tenant_id,
                run_id=row.id,
                journey=row.journey,
                customer_id=row.customer_id,
                state=str(row.state),
                previous=str(history.deleted[0]) if history.deleted else None,
                step=row.current_step,
                reason_code=row.reason_code,
            )
        )
    return changes


def published_events(flushed: Session) -> list[PublishedEvent]:
    """The events that this flush has written for the first time."""
    return [
        PublishedEvent(row.tenant_id, row.id, row.type, row.subject, json.loads(row.data))
        for row in flushed.new
        if isinstance(row, EventRow)
    ]
