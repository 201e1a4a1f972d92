"""Sessions that were closed without their Stop and turn out to go on: they are told what has changed meanwhile.

A change counts as confirmed when accounting shows that a session is over. One that was reaped, or whose NAS knew
nothing of it, may be open again with its next interim (``queries.conf`` of ``deploy/freeradius`` marks it then), and
has what its subscriber had at that time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.former import former_terms
from radius.coa.outbox import add_change, fingerprint, former_of
from radius.coa.tables import SessionChange
from radius.coa.wish import CLOCKS_DIFFER
from radius.plans.history import FormerTerms
from radius.ports import Begin, Now
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import REOPENED, ours
from radius.subscribers import subscribers
from radius.subscribers.former_names import hold_again
from radius.subscribers.name_holders import holders_of, owner_of
from radius.tables import Subscriber

AT_ONCE = 1000
MOST_CHANGES = 50
"""So many changes of a subscriber, the newest ones, say what a session of it may have."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class _Reopened:
    number: int
    username: str
    began: datetime | None
    label: str | None


class ReopenedSessions:
    """Of one tenant's subscribers. May be repeated, also at the same time."""

    def __init__(self, begin: Begin, radius_begin: Begin, *, tenant_id: str, now: Now) -> None:
        self._begin = begin
        self._radius_begin = radius_begin
        self._tenant_id = tenant_id
        self._now = now

    async def tell(self) -> int:
        """Makes a change for each subscriber who has such a session, for ``SessionChanges`` to carry out, unless
        nothing has changed since it began; for how many one was made. A process that dies in between makes it again.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: those made before stand.
        """
        made = 0
        found = await self._found()
        for username in dict.fromkeys(each.username for each in found):
            theirs = [each for each in found if each.username == username]
            async with self._begin() as db:
                for owner, of_one in await self._of_each(db, username, theirs):
                    made += await self._make(db, owner, username, of_one)
            await self._unmark([each.number for each in theirs])
        return made

    async def _found(self) -> list[_Reopened]:
        mine = (
            select(radacct.c.radacctid, radacct.c.username, radacct.c.acctstarttime, radacct.c["class"])
            .where(
                radacct.c.acctstoptime.is_(None),
                radacct.c.acctterminatecause == REOPENED,
                ours(radacct.c.username, self._tenant_id),
            )
            .order_by(radacct.c.radacctid)
            .limit(AT_ONCE)
        )
        async with radius_transaction(self._radius_begin) as db:
            return [_Reopened(*row) for row in await db.execute(mine)]

    async def _of_each(
        self, db: AsyncSession, username: str, theirs: Sequence[_Reopened]
    ) -> list[tuple[Subscriber, list[_Reopened]]]:
        """Whose they are, held: nearly always one's, but several may have had a name one after the other."""
        holders = (await holders_of(db, self._tenant_id, [username]))[username]
        if not holders:
            return []
        by_owner: dict[int, list[_Reopened]] = {}
        for each in theirs:
            by_owner.setdefault(owner_of(each.label, each.began, holders), []).append(each)
        in_order = sorted(by_owner.items())  # as all do who lock several
        return [(await subscribers.locked(db, self._tenant_id, number), found) for number, found in in_order]

    async def _make(self, db: AsyncSession, subscriber: Subscriber, username: str, theirs: Sequence[_Reopened]) -> bool:
        known = [each.began for each in theirs if each.began is not None]
        since = min(known) - CLOCKS_DIFFER if len(known) == len(theirs) else None
        changes = select(SessionChange).where(
            SessionChange.tenant_id == self._tenant_id, SessionChange.subscriber_id == subscriber.id
        )
        if since is not None:
            changes = changes.where(SessionChange.created_at >= since)
        is_held_again = await hold_again(db, subscriber, username)
        missed = list(await db.scalars(changes.order_by(SessionChange.id.desc()).limit(MOST_CHANGES)))
        if not missed and not is_held_again:  # a name that is held has a change that sets it free
            return False
        had: list[FormerTerms] = [*await former_of(db, subscriber)]
        for change in missed:
            had += former_terms(change)
        mark = fingerprint("reopened", subscriber.id, sessions=[each.number for each in theirs])
        must_end = any(change.must_end for change in missed)
        await add_change(
            db, subscriber, "reopened", former=had, must_end=must_end, request=(None, mark), now=self._now()
        )
        log.warning("a session is open again and is told what has changed", username=username)
        return True

    async def _unmark(self, numbers: Sequence[int]) -> None:
        async with radius_transaction(self._radius_begin) as db:
            marked = (radacct.c.radacctid.in_(numbers), radacct.c.acctterminatecause == REOPENED)
            await db.execute(
                update(radacct).where(*marked, radacct.c.acctstoptime.is_(None)).values(acctterminatecause=None)
            )
