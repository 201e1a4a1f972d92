"""What a flush changes of subscribers, for whoever tells others of it in the same transaction.

Bound by the composition to its database sessions, after each flush: there a new subscriber has a number, and the
transaction is still open.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import inspect
from sqlalchemy.orm import Session as Flushed

from radius.tables import Subscriber


@dataclass(frozen=True)
class SubscriberChange:
    """A subscriber has another state than before; ``previous`` None: it is new."""

    tenant_id: str
    subscriber_id: int
    customer_id: int
    service_id: int | None
    state: str
    previous: str | None


def subscriber_changes(flushed: Flushed) -> list[SubscriberChange]:
    """The subscribers whose state this flush has written."""
    changes = []
    for row in (*flushed.new, *flushed.dirty):
        if not isinstance(row, Subscriber):
            continue
        history = inspect(row).attrs.state.history
        if history.added:
            previous = history.deleted[0] if history.deleted else None
            changes.append(
                SubscriberChange(row.tenant_id, row.id, row.customer_id, row.service_id, row.state, previous)
            )
    return changes
