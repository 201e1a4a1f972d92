"""Which changes are due, and who is at the sessions of a subscriber: one at a time, whatever process it is in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, or_, select, update
from sqlalchemy.orm import aliased

from radius.coa.tables import SessionChange
from radius.lists import among
from radius.ports import Begin, Now

GiveUp = Callable[[int, datetime | None], datetime | None]

LEASE = timedelta(minutes=5)
"""Longer than one request takes, with all its repetitions; it is renewed before each (``keep``). Until then nobody else
takes up a change of the same subscriber, so no request of an earlier one can reach a NAS behind that of a later one."""

_AT_ONCE = 1000


class ChangeClaims:
    """Of one tenant's changes. ``read`` opens a transaction that only reads."""

    def __init__(self, begin: Begin, read: Begin, *, tenant_id: str, now: Now) -> None:
        self._begin = begin
        self._read = read
        self._tenant_id = tenant_id
        self._now = now
        self._held: dict[int, datetime] = {}

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
        """Who had taken these here is at them no longer: they are due at once, but for those that others took since."""
        held: dict[datetime, list[int]] = {}
        for change_id in change_ids:
            if change_id in self._held:
                held.setdefault(self._held[change_id], []).append(change_id)
        mine = update(SessionChange).where(SessionChange.tenant_id == self._tenant_id, SessionChange.state == "pending")
        mine = mine.execution_options(synchronize_session=False).values(due_at=self._now(), leased_until=None)
        async with self._begin() as db:
            for until, these in held.items():
                await db.execute(mine.where(among(db, SessionChange.id, these), SessionChange.leased_until == until))
        for change_id in change_ids:
            self._held.pop(change_id, None)

    async def keep(self, change_id: int) -> bool:
        """Before each request: false when somebody else may be at this subscriber's sessions by now, or a later change
        says what they shall have. A lease of which half is over is renewed."""
        held, now = self._held.get(change_id), self._now()
        if held is None:
            return False
        if now < held - LEASE / 2:
            return True
        mine = update(SessionChange).where(
            SessionChange.tenant_id == self._tenant_id,
            SessionChange.id == change_id,
            SessionChange.state == "pending",
            SessionChange.leased_until == held,
        )
        async with self._begin() as db:
            done: Any = await db.execute(mine.values(due_at=now + LEASE, leased_until=now + LEASE))
        if done.rowcount:
            self._held[change_id] = now + LEASE
        return bool(done.rowcount)

    async def others_are_at(self, change_id: int) -> bool:
        """Whether somebody is at its subscriber's sessions just now: it is carried out by them, or when they are
        through with another one."""
        taken = aliased(SessionChange)
        in_work = exists().where(
            taken.tenant_id == self._tenant_id,
            taken.subscriber_id == SessionChange.subscriber_id,
            taken.leased_until > self._now(),
        )
        mine = select(SessionChange.id).where(
            SessionChange.tenant_id == self._tenant_id,
            SessionChange.id == change_id,
            SessionChange.state == "pending",
            in_work,
        )
        async with self._read() as db:
            return await db.scalar(mine) is not None

    @asynccontextmanager
    async def giving_up(self, change_ids: Collection[int]) -> AsyncIterator[GiveUp]:
        """Around the transaction that ends a round of these: what it yields says until when a change is leased from
        then on, if so far until then. Others are let at it, unless they are already. What did not come to its commit
        is held as before."""
        held, ended = {each: self._held[each] for each in change_ids if each in self._held}, set[int]()

        def give_up(change_id: int, leased_until: datetime | None) -> datetime | None:
            ended.add(change_id)
            return None if leased_until == held.get(change_id) else leased_until

        yield give_up
        for change_id in ended & held.keys():
            if self._held.get(change_id) == held[change_id]:  # else it has been taken again
                del self._held[change_id]

    async def take_due(self, change_ids: Sequence[int]) -> list[int]:
        """Those of them that are due and at whose subscribers' sessions nobody is: now the caller is. One that somebody
        has in hands just now is left for the next time."""
        now, taken = self._now(), aliased(SessionChange)
        in_work = exists().where(
            taken.tenant_id == self._tenant_id,
            taken.subscriber_id == SessionChange.subscriber_id,
            taken.leased_until > now,
        )
        due = (SessionChange.state == "pending", SessionChange.due_at <= now, _free(now), ~in_work)
        mine = select(SessionChange.id).where(SessionChange.tenant_id == self._tenant_id, *due)
        lease = update(SessionChange).values(due_at=now + LEASE, leased_until=now + LEASE)
        lease = lease.execution_options(synchronize_session=False)
        held: list[int] = []
        for some in (change_ids[start : start + _AT_ONCE] for start in range(0, len(change_ids), _AT_ONCE)):
            async with self._begin() as db:
                one_go = mine.where(among(db, SessionChange.id, some)).order_by(SessionChange.id)
                these = list(await db.scalars(one_go.with_for_update(skip_locked=True)))
                if these:
                    leased = lease.where(among(db, SessionChange.id, these)).execution_options(
                        synchronize_session=False
                    )
                    await db.execute(leased)
            self._held |= dict.fromkeys(these, now + LEASE)
            held += these
        return held

    async def take(self, change_id: int) -> bool:
        """True when it is pending, due or not, and nobody is at this subscriber's sessions: now the caller is."""
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
        mine = mine.where(_free(now), ~in_work).execution_options(synchronize_session=False)
        async with self._begin() as db:
            done: Any = await db.execute(mine.values(due_at=now + LEASE, leased_until=now + LEASE))
        if done.rowcount:
            self._held[change_id] = now + LEASE
        return bool(done.rowcount)


def _free(now: datetime) -> ColumnElement[bool]:
    return or_(SessionChange.leased_until.is_(None), SessionChange.leased_until <= now)
