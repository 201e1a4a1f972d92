"""Sessions that have not followed what was changed of their subscribers, by the NAS that keeps them from it."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.coa.tables import Act, SessionChange, SessionSaid, SessionTreatment
from radius.tables import Nas, Subscriber

BEHIND_AFTER = timedelta(minutes=30)
"""By then a NAS that was away for a moment has been asked half a dozen times."""
KEPT_FROM_IT: tuple[SessionSaid, ...] = ("refused", "unanswered", "not_asked", "nas_unknown")
"""What a session whose NAS has acknowledged has to prove yet is only waited for."""


class SessionsBehind(TypedDict):
    """How many sessions at a NAS are behind, since when the first of them, whose that is, by which act, and why.
    ``nas``: None for one that is not known here."""

    nas: str | None
    nas_address: str
    sessions: int
    since: datetime
    username: str
    act: Act
    reason: str


async def sessions_behind(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[SessionsBehind]:
    """Of each NAS what has been behind for half an hour, the longest first."""
    treated, change = SessionTreatment, SessionChange
    longest = (change.created_at, treated.id)
    place = func.row_number().over(partition_by=treated.nas_address, order_by=longest).label("place")
    sessions = func.count().over(partition_by=treated.nas_address).label("sessions")
    waiting = (
        select(treated.id, treated.nas_address, treated.reason, change.act, change.created_at, Subscriber.username)
        .add_columns(place, sessions)
        .join(change, change.id == treated.change_id)
        .join(Subscriber, Subscriber.id == change.subscriber_id)
        .where(
            change.tenant_id == tenant_id,
            change.state == "pending",
            change.created_at <= now - BEHIND_AFTER,
            treated.confirmed_at.is_(None),
            treated.said.in_(KEPT_FROM_IT),
        )
        .subquery()
    )
    first = select(waiting).where(waiting.c.place == 1).order_by(waiting.c.created_at, waiting.c.id)
    found = (await db.execute(first)).all()
    named = select(Nas.address, Nas.name).where(Nas.tenant_id == tenant_id)
    names = {address: name for address, name in await db.execute(named)} if found else {}
    return [
        SessionsBehind(
            nas=names.get(row.nas_address),
            nas_address=row.nas_address,
            sessions=row.sessions,
            since=row.created_at,
            username=row.username,
            act=row.act,
            reason=row.reason,
        )
        for row in found
    ]
