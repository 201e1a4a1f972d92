"""Carries thousands of subscribers into FreeRADIUS' tables, as ``RadiusProjector`` would one by one.

As there, each batch is three short transactions: read the wishes, write their rows with the ledger, note the digests.
Dying between any two of them costs nothing: whoever is new there is written again, whoever is not is the projector's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import structlog
from sqlalchemy import Table, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.errors import EncodingRefused
from radius.importing.many import chunks, count_anew, update_by_id
from radius.importing.rows import foreign_names, show_changed, show_new
from radius.lists import among
from radius.nas.nases import password_storage
from radius.ports import Begin, ManySecrets, Now
from radius.projection.freeradius_tables import radcheck, radius_line, radius_projection, radreply, radusergroup
from radius.projection.projection import digest, is_refused, rows_for
from radius.projection.projector import RadiusProjector
from radius.projection.radius_database import Wish, radius_transaction
from radius.projection_errors import ForeignRows, ProjectionRaced
from radius.subscribers.password_storage import PasswordStorage
from radius.tables import Plan, Subscriber

log = structlog.get_logger(__name__)

BATCH = 5000


@dataclass(frozen=True)
class Bulk:
    """The ids of those whom FreeRADIUS has just been told, and of those who are the projector's: they have changed
    since, or something of theirs can't be written, or their line still logs in for another one."""

    shown: Sequence[int]
    left: Sequence[int]


class BulkProjector:
    """Projects many subscribers of one tenant. Every method may be repeated, also at the same time."""

    def __init__(
        self,
        begin: Begin,
        radius_begin: Begin,
        *,
        projector: RadiusProjector,
        tenant_id: str,
        now: Now,
        secrets: ManySecrets,
        read: Begin | None = None,
    ) -> None:
        """``read`` opens a transaction that only reads."""
        self._begin = begin
        self._read = read or begin
        self._radius_begin = radius_begin
        self._projector = projector
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._showing = asyncio.Lock()
        """Each batch has all names to itself, so whoever waits for that waits without a connection in hand."""

    async def project_new(
        self, subscriber_ids: Sequence[int], *, seen: Mapping[str, str] | None = None, anew: bool = False
    ) -> Bulk:
        """Make FreeRADIUS know those of these subscribers whom it doesn't know, their plans first. Those whose present
        wish it shows are no concern of this.

        ``seen``: by name the digest of rows that somebody else has written, and that are replaced if they are still
        those. ``anew``: whatever we have noted that it shows.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: the batches before are done then; call again.
        """
        return await self._project(
            subscriber_ids,
            lambda db, wishes: show_new(db, wishes, self._now(), seen=seen or {}, beside=self._radius_begin),
            anew=anew,
        )

    async def project_changed(
        self, subscriber_ids: Sequence[int], *, plans_shown: Collection[int] = (), anew: bool = False
    ) -> Bulk:
        """The same for those whom FreeRADIUS knows under the name that they have: their rows as they shall be by now.

        ``plans_shown``: those of their plans, by id, that it has just been shown. ``anew``: as ``project_new`` has it.

        Raises: as ``project_new``.
        """
        return await self._project(
            subscriber_ids, lambda db, wishes: show_changed(db, wishes, self._now()), plans_shown=plans_shown, anew=anew
        )

    async def _project(
        self,
        subscriber_ids: Sequence[int],
        show: Callable[[AsyncSession, Sequence[Wish]], Awaitable[list[Wish]]],
        *,
        plans_shown: Collection[int] = (),
        anew: bool,
    ) -> Bulk:
        shown: list[int] = []
        plans = set(plans_shown)
        waiting = list(subscriber_ids) if anew else await self._behind(subscriber_ids)
        for some in chunks(waiting, BATCH):
            read = await self._wishes(some)
            for plan_id in sorted(read.plan_ids - plans):
                try:
                    await self._projector.project_one("plan", plan_id)
                except (ForeignRows, ProjectionRaced) as error:  # the projector says so of each who is on it
                    log.error("a plan can't be projected", id=plan_id, code=error.code, reason=str(error))
                else:
                    plans.add(plan_id)
            wishes = await asyncio.to_thread(self._rendered, read, plans)
            async with self._showing, radius_transaction(self._radius_begin) as db:
                written = await show(db, wishes)
            await self._note(written)
            shown += [wish.source_id for wish in written]
        done = set(shown)
        log.info("subscribers projected", count=len(shown))
        return Bulk(shown, [each for each in waiting if each not in done])

    async def count_anew(self) -> None:
        """After many were projected that are new: PostgreSQL plans for as many rows as FreeRADIUS has by now.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_begin) as db:
            await count_anew(db, radcheck, radreply, radusergroup, radius_line, radius_projection)

    async def foreign(self, usernames: Sequence[str]) -> set[str]:
        """Those of the names under which FreeRADIUS' tables have rows that nobody here has written.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with radius_transaction(self._radius_begin) as db:
            return await foreign_names(db, usernames)

    async def _behind(self, subscriber_ids: Sequence[int]) -> list[int]:
        """Those of them whose wish is not shown yet."""
        behind = or_(Subscriber.projected_version.is_(None), Subscriber.projected_version != Subscriber.version)
        mine = select(Subscriber.id).where(Subscriber.tenant_id == self._tenant_id, behind)
        found: list[int] = []
        async with self._read() as db:
            for some in chunks(subscriber_ids):
                found += await db.scalars(mine.where(among(db, Subscriber.id, some)).order_by(Subscriber.id))
        return found

    async def _wishes(self, subscriber_ids: Sequence[int]) -> _Read:
        async with self._read() as db:
            subscribers = await self._subscribers(db, subscriber_ids)
            plans = {plan.id: plan for plan in await db.scalars(select(Plan).where(Plan.tenant_id == self._tenant_id))}
            storage = await password_storage(db, self._tenant_id)
            refs = [each.checked_by_ref for each in subscribers if not is_refused(each)]
            return _Read(subscribers, plans, storage, await self._secrets.reveal_many(db, refs))

    async def _subscribers(self, db: AsyncSession, subscriber_ids: Sequence[int]) -> list[Subscriber]:
        """Those who live: the name of any other may be somebody else's by now."""
        mine = select(Subscriber).where(Subscriber.tenant_id == self._tenant_id, Subscriber.state != "terminated")
        found: list[Subscriber] = []
        for some in chunks(subscriber_ids):
            found += await db.scalars(mine.where(among(db, Subscriber.id, some)))
        return found

    def _rendered(self, read: _Read, plans: Collection[int]) -> list[Wish]:
        """Of those whose plans, by id, FreeRADIUS knows, and whose rows can be written."""
        wishes, known = [], frozenset(plans)
        for subscriber in read.subscribers:
            if not known.issuperset(_plans_of(subscriber)):
                continue
            garden = None if subscriber.over_plan_id is None else read.plans[subscriber.over_plan_id]
            password = read.passwords.get(subscriber.checked_by_ref)
            try:
                rows = rows_for(subscriber, read.plans[subscriber.plan_id], password, read.storage, garden=garden)
            except EncodingRefused:
                continue  # the projector says why
            wishes.append(
                Wish(
                    kind="subscriber",
                    name=subscriber.username,
                    tenant_id=self._tenant_id,
                    source_id=subscriber.id,
                    version=subscriber.version,
                    rows=rows,
                    digest=digest(rows),
                )
            )
        return wishes

    async def _note(self, wishes: Sequence[Wish]) -> None:
        rows = [
            {
                "id": wish.source_id,
                "version": wish.version,
                "projected_version": wish.version,
                "projected_digest": wish.digest,
            }
            for wish in wishes
        ]
        async with self._begin() as db:
            await update_by_id(db, cast(Table, Subscriber.__table__), rows, same={"projected_at": self._now()})


@dataclass(frozen=True, repr=False)
class _Read:
    """What the wishes of a batch are made of, as it was at one moment."""

    subscribers: Sequence[Subscriber]
    plans: Mapping[int, Plan]
    storage: PasswordStorage
    passwords: Mapping[str, str]

    @property
    def plan_ids(self) -> set[int]:
        return set().union(*map(_plans_of, self.subscribers))


def _plans_of(subscriber: Subscriber) -> set[int]:
    """The plan that it has, and the one that is over it."""
    over = subscriber.over_plan_id
    return {subscriber.plan_id} if over is None else {subscriber.plan_id, over}
