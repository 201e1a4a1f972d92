"""Which changes are due, and who is at the sessions of a subscriber: one at a time, whatever process it is in."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta
from typing import Any

from sqlalchemy import exists, or_, select, update
from sqlalchemy.orm import aliased

from radius.change_tables import SessionChange
from radius.ports import Begin, Now

LEASE = timedelta(minutes=5)
"""Longer than every request of one round takes. Until then nobody else takes up a change of the same subscriber, so no
request of an earlier one can reach a NAS behind that of a later one."""


class ChangeClaims:
    """Of one tenant's changes. ``read`` opens a transaction that only reads."""

    def __init__(self, begin: Begin, read: Begin, *, tenant_id: str, now: Now) -> None:
        self._begin = begin
        self._read = read
        self._tenant_id = tenant_id
        self._now = now

    async def due(self, *, besides: Collection[int], limit: int) -> list[int]:
        """So many changes that are due, the longest ones first."""
        if limit < 1:
            return []
        mine = (
            select(SessionChange.id)
            .where(SessionChange.tenant_id == self._tenant_id, SessionChange.state == "pending")
            .where(SessionChange.due_at <= self._now())
            .order_by(SessionChange.due_at, SessionChange.id)
            .limit(limit + len(besides))
        )
        async with self._read() as db:
            return [change_id for change_id in await db.scalars(mine) if change_id not in besides][:limit]

    async def give_back(self, change_ids: Collection[int]) -> None:
        """Whoever had taken these is at them no longer: they are due at once."""
        mine = (SessionChange.tenant_id == self._tenant_id, SessionChange.id.in_(change_ids))
        async with self._begin() as db:
            given_back = update(SessionChange).where(*mine, SessionChange.state == "pending")
            await db.execute(given_back.values(due_at=self._now(), leased_until=None))

    async def take(self, change_id: int, *, only_due: bool) -> bool:
        """True when it is pending and nobody is at this subscriber's sessions: now the caller is."""
        now = self._now()
        mine = update(SessionChange).where(
            SessionChange.tenant_id == self._tenant_id, SessionChange.id == change_id, SessionChange.state == "pending"
        )
        taken, asked = aliased(SessionChange), aliased(SessionChange)
        whose = select(asked.subscriber_id).where(asked.id == change_id).scalar_subquery()
        in_work = exists().where(
            taken.tenant_id == self._tenant_id, taken.subscriber_id == whose, taken.leased_until > now
        )
        # its own row once more: of two at once the second looks again when the first has committed, at this row alone
        free = or_(SessionChange.leased_until.is_(None), SessionChange.leased_until <= now)
        mine = mine.where(free, ~in_work).execution_options(synchronize_session=False)
        if only_due:
            mine = mine.where(SessionChange.due_at <= now)
        async with self._begin() as db:
            done: Any = await db.execute(mine.values(due_at=now + LEASE, leased_until=now + LEASE))
            return bool(done.rowcount)
