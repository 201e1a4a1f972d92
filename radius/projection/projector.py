"""Carries what we want into FreeRADIUS' tables, as often as it is asked to, and says how far it got.

Each projection is three short transactions: read the wish in the appliance's database, bring the rows of that one name
to it in the radius database, note the digest in the appliance's database again. Dying between any two of them costs
nothing: the next call does the rest. Rows that go away take one transaction more: logins are refused first.

If the rows already show a later wish than the one that was read, it is read again; only when that later wish is really
gone (the appliance's database was restored from a backup) are the rows taken back to what was read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin, ManySecrets, Now
from radius.projection.drift import Drift, find_drift
from radius.projection.projection import digest, refused_first
from radius.projection.radius_database import (
    LedgerEntry,
    Wish,
    actual_rows,
    give_up_name,
    ledger_entries_of,
    ledger_entry,
    lock_name,
    lock_source,
    radius_transaction,
    remove_name,
    show,
    whose_lines,
)
from radius.projection.standing import LookedAt, looked_at
from radius.projection.taking_away import take_away, wish_of_removed, yet_to_take_away
from radius.projection.wishes import Wishes
from radius.projection_errors import ProjectionRaced
from radius.results import ProjectedSubscriber, Projection
from radius.service import RadiusService
from radius.subscribers.subscribers import found, owner_of
from radius.tables import Nas, Plan, RemovedNas, Subscriber

log = structlog.get_logger(__name__)

_ATTEMPTS = 5
_SOURCE: dict[str, type[Nas] | type[Plan] | type[Subscriber]] = {"nas": Nas, "plan": Plan, "subscriber": Subscriber}


@dataclass(frozen=True)
class _Read:
    """The wish for one name, and the plans' wishes that must be there before it."""

    wish: Wish
    plans: tuple[Wish, ...] = ()


class Definition(NamedTuple):
    """A plan or NAS of ours for ``project_one``, and its name."""

    kind: Literal["plan", "nas"]
    source_id: int
    name: str


_Seen = frozenset[LedgerEntry]
"""Later wishes that the ledger named before ours was read: what we read says that they exist nowhere any more."""


class _LaterWishShown(Exception):
    """The rows show a later wish than ours."""

    def __init__(self, later: _Seen) -> None:
        self.later = later


class _NasRemoved(Exception):
    """It was read, or was to be, and is no longer there."""


class RadiusProjector:
    """Projects subscribers, plans and NASes of one tenant. Every method may be repeated, also at the same time."""

    def __init__(
        self,
        begin: Begin,
        radius_begin: Begin,
        *,
        tenant_id: str,
        now: Now,
        secrets: ManySecrets,
        read: Begin | None = None,
        radius_read: Begin | None = None,
    ) -> None:
        """``read`` and ``radius_read`` open transactions that only read: to compare all of it keeps nobody waiting."""
        self._begin = begin
        self._radius_begin = radius_begin
        self._read = read or begin
        self._radius_read = radius_read or radius_begin
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._wishes = Wishes(tenant_id=tenant_id, secrets=secrets)

    async def project_subscriber(self, subscriber_id: int) -> ProjectedSubscriber:
        """Make FreeRADIUS know a subscriber (and its plan) as we want it now.

        A name that was given back and taken again shows its present owner, whoever is asked for.

        Raises:
            RadiusDatabaseUnavailable: nothing is known to have changed; call again.
            RadiusDatabaseUnfit, ForeignRows, ProjectionRaced
            SubscriberUnknown
        """

        async def read() -> _Read:
            async with self._begin() as db:
                asked = await found(db, self._tenant_id, subscriber_id)
                owner = await owner_of(db, self._tenant_id, asked.username)
                plan = await db.get_one(Plan, owner.plan_id)
                members = [plan]
                if owner.over_plan_id is not None:
                    members.append(await db.get_one(Plan, owner.over_plan_id))
                plans = [await self._wishes.for_plan(db, each) for each in members]
                return _Read(await self._wishes.for_subscriber(db, owner, plan), tuple(plans))

        wish, changed = await self._project(read)
        async with self._begin() as db:
            asked = await found(db, self._tenant_id, subscriber_id)
        log.info("subscriber projected", username=wish.name, subscriber_id=subscriber_id, changed=changed)
        return ProjectedSubscriber(
            subscriber_id=subscriber_id,
            username=asked.username,
            state=asked.state,
            version=wish.version if wish.source_id == subscriber_id else asked.version,
            digest=wish.digest,
            changed=changed,
        )

    async def withdraw_subscriber(self, subscriber_id: int) -> ProjectedSubscriber:
        """End a subscriber and take everything of it away from FreeRADIUS. The undo of its creation.

        Raises:
            As ``project_subscriber``. When the radius database fails it is already terminated on our side; call again.
        """
        async with self._begin() as db:
            service = RadiusService(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            await service.terminate(subscriber_id=subscriber_id)
        return await self.project_subscriber(subscriber_id)

    async def return_to_pending(self, subscriber_id: int) -> ProjectedSubscriber:
        """Refuse a subscriber's logins again, here and in FreeRADIUS. The undo of letting it in.

        Raises:
            As ``project_subscriber``; IllegalMove if it is suspended.
        """
        async with self._begin() as db:
            service = RadiusService(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            if (await service.subscriber(subscriber_id=subscriber_id))["state"] != "terminated":
                await service.return_to_pending(subscriber_id=subscriber_id)
        return await self.project_subscriber(subscriber_id)

    async def project_plans(self) -> list[Projection]:
        """Make FreeRADIUS know every plan as we want it now. Subscribers get a changed rate at their next login.

        Raises:
            As ``project_subscriber``.
        """
        return [await self.project_one("plan", plan_id) for plan_id in await self._ids(Plan)]

    async def project_nas(self) -> list[Projection]:
        """Make FreeRADIUS know every NAS as we want it now. A new one may ask at once, without a restart.

        Raises:
            As ``project_subscriber``.
        """
        return [await self.project_one("nas", nas_id) for nas_id in await self._ids(Nas)]

    async def definitions(self, *, behind: bool = False) -> list[Definition]:
        """Plans and NASes, the plans first, and NASes that were removed and are to be taken away, before any that may
        have their address by now. ``behind``: of which FreeRADIUS still shows an earlier wish."""
        async with self._read() as db:
            removed = [(nas.id, nas.name) for nas in await yet_to_take_away(db, self._tenant_id)]
        plans, nases = await self._named(Plan, behind=behind), await self._named(Nas, behind=behind)
        return [*(Definition("plan", *each) for each in plans), *(Definition("nas", *each) for each in removed + nases)]

    async def project_one(self, kind: Literal["plan", "nas"], source_id: int) -> Projection:
        """Make FreeRADIUS know one plan or NAS as we want it now; of a NAS that was removed, that is not at all.

        Raises:
            As ``project_subscriber``; what the secrets raise when that of a NAS does not open.
        """

        async def read() -> _Read:
            async with self._begin() as db:
                if kind == "plan":
                    return _Read(await self._wishes.for_plan(db, await db.get_one(Plan, source_id)))
                nas = await db.get(Nas, source_id)
                if nas is None:
                    raise _NasRemoved
                return _Read(await self._wishes.for_nas(db, nas))

        try:
            wish, changed = await self._project(read)
        except _NasRemoved:
            async with self._begin() as db:
                wish = wish_of_removed(await db.get_one(RemovedNas, source_id))
            changed = await take_away(self._begin, self._radius_begin, wish, now=self._now())
        log.info("projected", kind=wish.kind, name=wish.name, changed=changed)
        return Projection(kind=wish.kind, name=wish.name, version=wish.version, digest=wish.digest, changed=changed)

    def looked_at(self, owners: Mapping[str, int]) -> AsyncIterator[LookedAt]:
        """Which of these names of subscribers, each with its owner's number, are to be projected (``standing``).

        Raises, as one goes on:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        return looked_at(self._read, self._radius_read, self._wishes, owners)

    async def drift(self) -> list[Drift]:
        """Every difference between what we want and what FreeRADIUS' tables hold, by full rows and both ways.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        return await find_drift(self._read, self._radius_read, self._wishes)

    async def _ids(self, source: type[Plan] | type[Nas]) -> list[int]:
        return [number for number, _ in await self._named(source, behind=False)]

    async def _named(self, source: type[Plan] | type[Nas], *, behind: bool) -> list[tuple[int, str]]:
        mine = select(source.id, source.name).where(source.tenant_id == self._tenant_id).order_by(source.id)
        if behind:
            mine = mine.where(or_(source.projected_version.is_(None), source.projected_version != source.version))
        async with self._read() as db:
            return [(number, name) for number, name in await db.execute(mine)]

    async def _project(self, read: Callable[[], Awaitable[_Read]]) -> tuple[Wish, bool]:
        seen: _Seen = frozenset()
        for _ in range(_ATTEMPTS):
            wanted = await read()
            try:
                changed, deprived = await self._carry_over(wanted, seen)
            except _LaterWishShown as other:
                seen = other.later
                continue
            await self._note_shown(wanted)
            if deprived:
                await self._show_again(deprived)
            return wanted.wish, changed
        raise ProjectionRaced

    async def _carry_over(self, wanted: _Read, seen: _Seen) -> tuple[bool, list[str]]:
        """Bring the rows to the wish. True when a row changed; and from whom a line was taken that logged in for them.

        Raises:
            _LaterWishShown: they show one that was not ``seen`` before ours was read.
            _NasRemoved
        """
        wish, changed = wanted.wish, False
        if wish.kind == "subscriber" and not wish.rows:
            changed = await self._refuse_first(wish, seen)
        async with radius_transaction(self._radius_begin) as db:
            former = await self._lock_former_names(db, wish)
            for plan in sorted(wanted.plans, key=lambda each: each.name):  # in one order, as they lock
                changed |= await self._show_plan(db, plan)
            entry = await self._locked_entry(db, wish, seen)
            await self._refuse_removed(wish)
            for name in former:  # in one commit with the new one: a subscriber has one name at every moment
                await give_up_name(db, name)
            deprived = await whose_lines(db, wish)
            changed |= await show(db, wish, entry, self._now()) or bool(former)
        if wish.kind == "nas":
            changed |= await self._forget_former_addresses(wish)
        return changed, deprived

    async def _locked_entry(self, db: AsyncSession, wish: Wish, seen: _Seen) -> LedgerEntry | None:
        """Which wish the rows show, held until the transaction ends; ``_LaterWishShown`` as for ``_carry_over``."""
        await _lock(db, wish)
        entry = await ledger_entry(db, wish.kind, wish.name)
        shown = [entry] if entry is not None and entry.tenant_id == wish.tenant_id else []
        if wish.kind != "plan":  # its later wish may stand under another address or name
            shown += await ledger_entries_of(db, wish)
        later = frozenset(one for one in shown if one.age > wish.age)
        if not later <= seen:
            raise _LaterWishShown(later)
        return entry

    async def _refuse_removed(self, wish: Wish) -> None:
        """Of a locked NAS: who takes it away waits for that lock, and comes when our row is gone."""
        if wish.kind == "nas":
            async with self._read() as db:
                if await db.get(Nas, wish.source_id) is None:
                    raise _NasRemoved

    async def _lock_former_names(self, db: AsyncSession, wish: Wish) -> list[str]:
        """The names under which FreeRADIUS still has a subscriber that has another one by now."""
        if wish.kind != "subscriber":
            return []
        await lock_source(db, wish)
        others = [entry.name for entry in await ledger_entries_of(db, wish) if entry.name != wish.name]
        await _lock(db, wish, *others)
        if not others:
            return []
        # one that somebody else has been given since is theirs, and not among these
        return [entry.name for entry in await ledger_entries_of(db, wish) if entry.name != wish.name]

    async def _refuse_first(self, wish: Wish, seen: _Seen) -> bool:
        """Refuse the logins of a subscriber whose rows go away, in a commit of its own before that."""
        async with radius_transaction(self._radius_begin) as db:
            entry = await self._locked_entry(db, wish, seen)
            actual = (await actual_rows(db, wish.kind, [wish.name]))[wish.name]
            if not actual:
                return False
            rows = refused_first(wish.name, actual.values())
            return await show(db, replace(wish, rows=rows, digest=digest(rows)), entry, self._now())

    async def _show_plan(self, db: AsyncSession, plan: Wish) -> bool:
        """A plan's rows come before its subscriber's: without them FreeRADIUS would not let the subscriber in. True
        when one changed."""
        entry = await ledger_entry(db, plan.kind, plan.name)
        if entry is not None and entry.age == plan.age:
            # the ledger says what was written, not what somebody took away since
            actual = (await actual_rows(db, plan.kind, [plan.name]))[plan.name]
            if digest(actual.values()) == plan.digest:
                return False
        await _lock(db, plan)
        entry = await ledger_entry(db, plan.kind, plan.name)
        return (entry is None or entry.age <= plan.age) and await show(db, plan, entry, self._now())

    async def _forget_former_addresses(self, wish: Wish) -> bool:
        """Take away the rows of a NAS under every other address, unless it has moved on meanwhile."""
        async with radius_transaction(self._radius_begin) as db:
            former = [entry.name for entry in await ledger_entries_of(db, wish) if entry.name != wish.name]
            if not former:
                return False
            await _lock(db, wish, *former)
            written = {entry.name: entry for entry in await ledger_entries_of(db, wish)}
            standing = written.pop(wish.name, None)
            if standing is None or standing.age != wish.age:
                return False
            # an address that another NAS has been given since is that one's, and not among these
            gone = [address for address in former if address in written]
            for address in gone:
                await remove_name(db, "nas", address)
            return bool(gone)

    async def _show_again(self, names: Sequence[str]) -> None:
        """What was read may have been late, and the line theirs by now: whose it is shows when both are projected."""
        mine = (Subscriber.tenant_id == self._tenant_id, Subscriber.username.in_(names))
        async with self._begin() as db:
            await db.execute(update(Subscriber).where(*mine).values(projected_version=None))

    async def _note_shown(self, wanted: _Read) -> None:
        async with self._begin() as db:
            for wish in (wanted.wish, *wanted.plans):
                source = _SOURCE[wish.kind]
                await db.execute(
                    update(source)
                    .where(source.id == wish.source_id, source.version >= wish.version)
                    .where(or_(source.projected_version.is_(None), source.projected_version <= wish.version))
                    .values(projected_version=wish.version, projected_digest=wish.digest, projected_at=self._now())
                )
            if wanted.wish.adopts:  # what others write there from now on is theirs again
                written = (Nas.id == wanted.wish.source_id, Nas.version == wanted.wish.version)
                await db.execute(update(Nas).where(*written).values(adopted_address=None))


async def _lock(db: AsyncSession, wish: Wish, *more_names: str) -> None:
    """Nobody else changes these names until the transaction ends, nor, of a NAS, what was written for it elsewhere."""
    if wish.kind != "plan":
        await lock_source(db, wish)
    for name in sorted({wish.name, *more_names}):  # in one order, so that no two wait for each other
        await lock_name(db, wish.kind, name)
