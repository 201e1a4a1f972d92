"""Events as they are read: a page at a time, the newest first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import EventRow, EventState
from workflows.errors import EventUnknown


@dataclass(frozen=True)
class EventView:
    """An event, and what has become of it."""

    id: int
    type: str
    subject: str
    key: str
    data: Any
    published_by: str
    occurred_at: datetime
    state: str
    run_id: int | None
    reason: str | None


@dataclass(frozen=True)
class RefusedEvents:
    """How many events of one type were refused, the first of them when, and the newest with its reason."""

    type: str
    count: int
    since: datetime
    newest_id: int
    newest_subject: str
    reason: str | None


_EVENT = EventRow.__table__.c
_VIEWS = select(*(_EVENT[name] for name in EventView.__dataclass_fields__))


async def list_events(
    db: AsyncSession,
    *,
    tenant_id: str,
    states: Sequence[str] = (),
    event_type: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[EventView]:
    """The newest events first, a page at a time (``before_id``)."""
    query = _VIEWS.where(_EVENT.tenant_id == tenant_id).order_by(_EVENT.id.desc()).limit(limit)
    if states:
        query = query.where(_EVENT.state.in_(states))
    if event_type is not None:
        query = query.where(_EVENT.type == event_type)
    if before_id is not None:
        query = query.where(_EVENT.id < before_id)
    return [_view(row) for row in await db.execute(query)]


async def show_event(db: AsyncSession, event_id: int, *, tenant_id: str) -> EventView:
    """Raises: EventUnknown."""
    row = (await db.execute(_VIEWS.where(_EVENT.tenant_id == tenant_id, _EVENT.id == event_id))).one_or_none()
    if row is None:
        raise EventUnknown(event_id)
    return _view(row)


async def refused_events(db: AsyncSession, *, tenant_id: str, since: datetime) -> list[RefusedEvents]:
    """Those that were refused since then and neither retried nor set aside, by their type."""
    groups = (
        select(
            _EVENT.type,
            func.count().label("count"),
            func.min(_EVENT.settled_at).label("since"),
            func.max(_EVENT.id).label("id"),
        )
        .where(_EVENT.tenant_id == tenant_id, _EVENT.state == EventState.REFUSED, _EVENT.settled_at >= since)
        .group_by(_EVENT.type)
        .subquery()
    )
    newest = select(groups.c.type, groups.c.count, groups.c.since, _EVENT.id, _EVENT.subject, _EVENT.reason)
    newest = newest.join(groups, groups.c.id == _EVENT.id).order_by(groups.c.since, groups.c.type)
    return [RefusedEvents(*row) for row in await db.execute(newest)]


def _view(row: Row[Any]) -> EventView:
    return EventView(
        id=row.id,
        type=row.type,
        subject=row.subject,
        key=row.key,
        data=json.loads(row.data),
        published_by=row.published_by,
        occurred_at=row.occurred_at,
        state=row.state,
        run_id=row.run_id,
        reason=row.reason,
    )
