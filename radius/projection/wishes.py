"""Reads what we want out of the appliance's database and renders it: the rows each name shall have."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.errors import EncodingRefused
from radius.nas.nases import password_storage
from radius.ports import ManySecrets
from radius.projection.projection import Row, digest, is_refused, nas_rows, plan_group, plan_rows, rows_for
from radius.projection.radius_database import Kind, Wish
from radius.projection.taking_away import wish_of_removed, yet_to_take_away
from radius.subscribers.password_storage import PasswordStorage
from radius.subscribers.subscribers import LIVE_LAST
from radius.tables import Nas, Plan, Subscriber


class Wishes:
    """The wishes of one tenant."""

    def __init__(self, *, tenant_id: str, secrets: ManySecrets) -> None:
        self.tenant_id = tenant_id
        self._secrets = secrets

    async def for_subscriber(self, db: AsyncSession, subscriber: Subscriber, plan: Plan) -> Wish:
        """The rows of a subscriber. Its password is opened only where it may log in."""
        storage = await password_storage(db, self.tenant_id)
        password = await self._secrets.reveal(db, subscriber.checked_by_ref) if _may_log_in(subscriber) else None
        return await self._rendered(db, subscriber, plan, storage, password)

    async def _rendered(
        self, db: AsyncSession, subscriber: Subscriber, plan: Plan, storage: PasswordStorage, password: str | None
    ) -> Wish:
        garden = None if subscriber.over_plan_id is None else await db.get_one(Plan, subscriber.over_plan_id)
        rows = rows_for(subscriber, plan, password, storage, garden=garden)
        return self._wish("subscriber", subscriber.username, subscriber.id, subscriber.version, rows)

    async def for_plan(self, _db: AsyncSession, plan: Plan) -> Wish:
        """The rows of a plan in every dialect."""
        return self._wish("plan", plan_group(plan.tenant_id, plan.name), plan.id, plan.version, plan_rows(plan))

    async def for_nas(self, db: AsyncSession, nas: Nas) -> Wish:
        """The row of a NAS, with its secret."""
        secret = await self._secrets.reveal(db, nas.secret_ref)
        wish = self._wish("nas", nas.address, nas.id, nas.version, nas_rows(nas, secret))
        return replace(wish, adopts=nas.adopted_address == nas.address)

    async def names(self, db: AsyncSession, kind: Kind) -> list[str]:
        """Every name we have a wish for, sorted."""
        match kind:
            case "subscriber":
                mine = select(Subscriber.username).where(Subscriber.tenant_id == self.tenant_id)
                return list(await db.scalars(mine.distinct().order_by(Subscriber.username)))
            case "plan":
                plans = await db.scalars(select(Plan.name).where(Plan.tenant_id == self.tenant_id).order_by(Plan.name))
                return [plan_group(self.tenant_id, name) for name in plans]
            case "nas":
                addresses = await db.scalars(select(Nas.address).where(Nas.tenant_id == self.tenant_id))
                removed = await yet_to_take_away(db, self.tenant_id)
                return sorted({*addresses, *(nas.address for nas in removed)})

    async def by_name(self, db: AsyncSession, kind: Kind, names: Sequence[str]) -> dict[str, tuple[Wish, bool]]:
        """The wishes for some names, each with whether it is still to be projected."""
        match kind:
            case "subscriber":
                made, others = await self.of_subscribers(db, names)
                found = list(made.values())
                for pair in others:  # says why it can't be made
                    found.append((await self.for_subscriber(db, *pair), pair[0].dirty))
            case "plan":
                prefix = plan_group(self.tenant_id, "")
                plans = select(Plan).where(
                    Plan.tenant_id == self.tenant_id, Plan.name.in_([name.removeprefix(prefix) for name in names])
                )
                found = [(await self.for_plan(db, plan), plan.dirty) for plan in await db.scalars(plans)]
            case "nas":
                nases = select(Nas).where(Nas.tenant_id == self.tenant_id, Nas.address.in_(names))
                removed = await yet_to_take_away(db, self.tenant_id)
                found = [(wish_of_removed(nas), True) for nas in removed if nas.address in names]
                # behind those: who has their address by now counts
                found += [(await self.for_nas(db, nas), nas.dirty) for nas in await db.scalars(nases)]
        return {wish.name: (wish, dirty) for wish, dirty in found}

    async def of_subscribers(
        self, db: AsyncSession, names: Sequence[str]
    ) -> tuple[dict[str, tuple[Wish, bool]], list[tuple[Subscriber, Plan]]]:
        """As ``by_name``; and those, with their plan, of whom there is no wish to be had: the password is not kept or
        does not open, or something of theirs can't be written as rows."""
        storage = await password_storage(db, self.tenant_id)
        owners = await self._owners(db, names)
        refs = [subscriber.checked_by_ref for subscriber, _ in owners if _may_log_in(subscriber)]
        passwords = await self._secrets.reveal_many(db, refs)
        made: dict[str, tuple[Wish, bool]] = {}
        others: list[tuple[Subscriber, Plan]] = []
        for subscriber, plan in owners:
            password = passwords.get(subscriber.checked_by_ref)
            if password is None and _may_log_in(subscriber):
                others.append((subscriber, plan))
                continue
            try:
                wish = await self._rendered(db, subscriber, plan, storage, password)
            except EncodingRefused:
                others.append((subscriber, plan))
            else:
                made[wish.name] = (wish, subscriber.dirty)
        return made, others

    async def _owners(self, db: AsyncSession, names: Sequence[str]) -> list[tuple[Subscriber, Plan]]:
        rows = await db.execute(
            select(Subscriber, Plan)
            .join(Plan, Plan.id == Subscriber.plan_id)
            .where(Subscriber.tenant_id == self.tenant_id, Subscriber.username.in_(names))
            .order_by(*LIVE_LAST)
        )
        return list({subscriber.username: (subscriber, plan) for subscriber, plan in rows}.values())

    def _wish(self, kind: Kind, name: str, source_id: int, version: int, rows: tuple[Row, ...]) -> Wish:
        return Wish(
            kind=kind,
            name=name,
            tenant_id=self.tenant_id,
            source_id=source_id,
            version=version,
            rows=rows,
            digest=digest(rows),
        )


def _may_log_in(subscriber: Subscriber) -> bool:
    """Whether its rows have its password, which is opened for nobody else."""
    return not is_refused(subscriber) and subscriber.state != "terminated"
