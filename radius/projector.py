"""Carries what we want into FreeRADIUS' tables, as often as it is asked to, and says how far it got.

Each projection is three short transactions: read the wish in the appliance's database, bring the rows of that one name
to it in the radius database, note the digest in the appliance's database again. Dying between any two of them costs
nothing: the next call does the rest. If the rows already show a later wish than the one that was read, it is read
again; only when it is really gone (the appliance's database was restored from a backup) are the rows taken back to it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import structlog
from sqlalchemy import or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.drift import Drift, find_drift
from radius.errors import ProjectionRaced
from radius.ports import Begin, Now, Secrets
from radius.radius_database import (
    Wish,
    ledger_entry,
    ledger_names,
    lock_name,
    radius_transaction,
    remove_name,
    show,
)
from radius.results import ProjectedSubscriber, Projection
from radius.service import RadiusService
from radius.subscribers import found
from radius.tables import Nas, Plan, Subscriber
from radius.wishes import Wishes

log = structlog.get_logger(__name__)

_ATTEMPTS = 5
_Source = TypeVar("_Source", Plan, Nas)
_SOURCE: dict[str, type[Nas] | type[Plan] | type[Subscriber]] = {"nas": Nas, "plan": Plan, "subscriber": Subscriber}


@dataclass(frozen=True)
class _Read:
    """The wish for one name, and the plan's wish that must be there before it."""

    wish: Wish
    plan: Wish | None = None


class RadiusProjector:
    """Projects subscribers, plans and NASes of one tenant. Every method may be repeated, also at the same time."""

    def __init__(self, begin: Begin, radius_begin: Begin, *, tenant_id: str, now: Now, secrets: Secrets) -> None:
        self._begin = begin
        self._radius_begin = radius_begin
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._wishes = Wishes(tenant_id=tenant_id, secrets=secrets)

    async def project_subscriber(self, subscriber_id: int) -> ProjectedSubscriber:
        """Make FreeRADIUS know a subscriber (and his plan) as we want him now.

        A name that was given back and taken again shows its present owner, whoever is asked for.

        Raises:
            RadiusDatabaseUnavailable: nothing is known to have changed; call again.
            RadiusDatabaseUnfit, ForeignRows, ProjectionRaced
            SubscriberUnknown
        """

        async def read() -> _Read:
            async with self._begin() as db:
                asked = await found(db, self._tenant_id, subscriber_id)
                owner = await self._wishes.owner_of(db, asked)
                plan = await db.get_one(Plan, owner.plan_id)
                return _Read(await self._wishes.for_subscriber(db, owner, plan), await self._wishes.for_plan(db, plan))

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
        """End a subscriber and take everything of his away from FreeRADIUS. The undo of his creation.

        Raises:
            As ``project_subscriber``. When the radius database fails he is already terminated on our side; call again.
        """
        async with self._begin() as db:
            service = RadiusService(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            await service.terminate(subscriber_id=subscriber_id)
        return await self.project_subscriber(subscriber_id)

    async def return_to_pending(self, subscriber_id: int) -> ProjectedSubscriber:
        """Refuse a subscriber's logins again, here and in FreeRADIUS. The undo of letting him in.

        Raises:
            As ``project_subscriber``; IllegalMove if he is suspended.
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
        return await self._project_each(Plan, self._wishes.for_plan)

    async def project_nas(self) -> list[Projection]:
        """Make FreeRADIUS know every NAS as we want it now. A new one may ask at once, without a restart.

        Raises:
            As ``project_subscriber``.
        """
        return await self._project_each(Nas, self._wishes.for_nas)

    async def drift(self) -> list[Drift]:
        """Every difference between what we want and what FreeRADIUS' tables hold, by full rows and both ways.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        return await find_drift(self._begin, self._radius_begin, self._wishes)

    async def _project_each(
        self, source: type[_Source], wish_for: Callable[[AsyncSession, _Source], Awaitable[Wish]]
    ) -> list[Projection]:
        async with self._begin() as db:
            ids = list(
                await db.scalars(select(source.id).where(source.tenant_id == self._tenant_id).order_by(source.id))
            )

        async def read(source_id: int) -> _Read:
            async with self._begin() as db:
                return _Read(await wish_for(db, await db.get_one(source, source_id)))

        projected = []
        for source_id in ids:
            wish, changed = await self._project(partial(read, source_id))
            log.info("projected", kind=wish.kind, name=wish.name, changed=changed)
            projected.append(
                Projection(kind=wish.kind, name=wish.name, version=wish.version, digest=wish.digest, changed=changed)
            )
        return projected

    async def _project(self, read: Callable[[], Awaitable[_Read]]) -> tuple[Wish, bool]:
        last_seen: Wish | None = None
        for _ in range(_ATTEMPTS):
            wanted = await read()
            # read twice alike: the later wish that the rows show exists nowhere any more
            shown = await self._show(wanted, overrule=last_seen is not None and last_seen.age == wanted.wish.age)
            if shown is not None:
                await self._note_shown(wanted)
                return wanted.wish, shown
            last_seen = wanted.wish
        raise ProjectionRaced

    async def _show(self, wanted: _Read, *, overrule: bool) -> bool | None:
        """Bring the rows to the wish. True when a row changed, None when they show a later wish."""
        wish = wanted.wish
        async with radius_transaction(self._radius_begin) as db:
            if wanted.plan is not None:
                await self._show_plan(db, wanted.plan)
            await lock_name(db, wish.kind, wish.name)
            entry = await ledger_entry(db, wish.kind, wish.name)
            if entry is not None and entry.tenant_id == wish.tenant_id and entry.age > wish.age and not overrule:
                return None
            changed = await show(db, wish, entry, self._now())
            if wish.kind == "nas":
                changed |= await self._forget_former_addresses(db, wish)
            return changed

    async def _show_plan(self, db: AsyncSession, plan: Wish) -> None:
        """A plan's rows come before its subscriber's: without them he would log in and run without any limit."""
        entry = await ledger_entry(db, "plan", plan.name)
        if entry is not None and entry.age >= plan.age:
            return
        await lock_name(db, "plan", plan.name)
        entry = await ledger_entry(db, "plan", plan.name)
        if entry is None or entry.age < plan.age:
            await show(db, plan, entry, self._now())

    async def _forget_former_addresses(self, db: AsyncSession, wish: Wish) -> bool:
        former = [name for name in await ledger_names(db, "nas", wish.tenant_id, wish.source_id) if name != wish.name]
        for address in former:
            await remove_name(db, "nas", address)
        return bool(former)

    async def _note_shown(self, wanted: _Read) -> None:
        async with self._begin() as db:
            for wish in filter(None, (wanted.wish, wanted.plan)):
                source = _SOURCE[wish.kind]
                await db.execute(
                    update(source)
                    .where(source.id == wish.source_id, source.version >= wish.version)
                    .where(or_(source.projected_version.is_(None), source.projected_version <= wish.version))
                    .values(projected_version=wish.version, projected_digest=wish.digest, projected_at=self._now())
                )
