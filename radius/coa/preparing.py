"""What a change's sessions are to be asked, made out for many changes at once: FreeRADIUS shows the subscribers as they
shall be, accounting says which of their sessions are open, and their NASes are looked up."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius.coa.doors import KnownNas, doors_or_reasons
from radius.coa.dynamic_authorization import ONE_KEY
from radius.coa.former import former_terms_in
from radius.coa.namesakes import namesakes_of
from radius.coa.outbox import treatments_of
from radius.coa.tables import SessionChange
from radius.coa.told_before import earlier_ones, last_told
from radius.coa.treatment import LOGIN_TAKES, Carried, Treated, to_be_asked
from radius.coa.wish import ChangeWish
from radius.errors import SessionChangeUnknown
from radius.importing.projecting import BulkProjector
from radius.lists import among
from radius.plans.gardens import in_garden
from radius.plans.terms import PlanTerms, terms_of
from radius.ports import Begin, Now, Secrets
from radius.projection.projector import RadiusProjector
from radius.projection.standing import shown_already
from radius.projection_errors import RadiusDatabaseUnavailable
from radius.sessions.sessions import Session, SessionReader
from radius.states import State, over_plan, refuses_logins
from radius.subscribers.former_names import given_up_by
from radius.tables import Plan, Subscriber

_OF_CHANGES = (
    SessionChange.id,
    SessionChange.subscriber_id,
    SessionChange.former,
    SessionChange.must_end,
    SessionChange.carried_at,
    SessionChange.right_above,
)
_OF_SUBSCRIBERS = (
    Subscriber.id,
    Subscriber.username,
    Subscriber.state,
    Subscriber.plan_id,
    Subscriber.garden_plan_id,
    Subscriber.capped_plan_id,
)
PROJECTED_AT_ONCE = 8
"""So many subscribers have a transaction open at the same time. When the radius database has failed as many of them in
one go, the others' turn is not spent on it."""

MANY = 20
"""So many are projected together: for that time nobody else projects anybody."""


@dataclass(frozen=True)
class Prepared:
    """What is wished, how far it was, the sessions that are open, and which of them are to be asked, through what (or
    why not, by the address of the NAS)."""

    wish: ChangeWish
    carried: Carried
    open: list[Session]
    asked: list[Session]
    doors: Mapping[str, KnownNas | str]
    sharing: Collection[int] = ()
    """Those of them, by number, whose id another session at their NAS has, as far as it goes by the id alone."""


@dataclass(slots=True)
class _Served:
    """What there is to know of a subscriber here, read without the rest of its row."""

    username: str
    state: State
    plan_id: int
    garden_plan_id: int | None
    capped_plan_id: int | None

    @property
    def over_plan_id(self) -> int | None:
        return over_plan(self.state, self.garden_plan_id, self.capped_plan_id)

    @property
    def is_refused(self) -> bool:
        return refuses_logins(self.state, self.garden_plan_id)


class Preparation:
    """Of one tenant's changes. May be repeated, also at the same time."""

    def __init__(
        self,
        begin: Begin,
        radius_begin: Begin,
        *,
        projector: RadiusProjector,
        many: BulkProjector | None,
        reader: SessionReader,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
    ) -> None:
        self._begin = begin
        self._radius_begin = radius_begin
        self._projector = projector
        self._many = many
        self._reader = reader
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def of(self, change_ids: Sequence[int]) -> list[Prepared | Exception]:
        """Of each of these changes; an error in its place is what was wrong with this one: SessionChangeUnknown,
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit, ForeignRows, ProjectionRaced.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        failed = await self._show(change_ids)
        shown = [change_id for change_id in change_ids if change_id not in failed]
        prepared = {each.wish.change_id: each for each in await self._of_shown(shown)} if shown else {}
        return [failed[each] if each in failed else prepared[each] for each in change_ids]

    async def show(self, change_id: int) -> None:
        """FreeRADIUS shows its subscriber as it shall be, whoever is at the sessions just now.

        Raises: as stands in the place of an error of ``of``.
        """
        for error in (await self._show([change_id])).values():
            raise error

    async def _of_shown(self, change_ids: Sequence[int]) -> list[Prepared]:
        shown_by, highest = self._now(), await self._reader.highest_number()
        async with self._begin() as db:
            await self._note_shown(db, change_ids, shown_by, highest)
            wishes = await self._wishes(db, change_ids, shown_by)
        found = await self._reader.open_sessions_of_each([wish.names for wish, _, _ in wishes])
        sessions = [wish.own(theirs) for (wish, _, _), theirs in zip(wishes, found, strict=True)]
        asked = [
            to_be_asked(
                theirs,
                treated,
                carried=carried,
                now=self._now(),
                interim=wish.longest_interim,
                ends=wish.is_refused,
            )
            for (wish, carried, treated), theirs in zip(wishes, sessions, strict=True)
        ]
        addresses = {session.nas_address for of_one in asked for session in of_one}
        doors = await doors_or_reasons(self._begin, addresses, tenant_id=self._tenant_id, secrets=self._secrets)
        by_id_alone = [
            session for of_one in asked for session in of_one if _goes_by_id_alone(doors.get(session.nas_address))
        ]
        sharing = await self._reader.sharing_an_id(by_id_alone) if by_id_alone else set()
        return [
            Prepared(wish, carried, theirs, these, doors, sharing)
            for (wish, carried, _), theirs, these in zip(wishes, sessions, asked, strict=True)
        ]

    async def _show(self, change_ids: Sequence[int]) -> dict[int, Exception]:
        """FreeRADIUS shows the subscribers as they shall be; by change why it does not. Of one that was carried over
        there is nothing to do: a later wish has a change of its own, or is nothing that sessions are told of."""
        async with self._begin() as db:
            known = select(SessionChange.id, SessionChange.subscriber_id, SessionChange.carried_at)
            mine = known.where(SessionChange.tenant_id == self._tenant_id, among(db, SessionChange.id, change_ids))
            found = list(await db.execute(mine))
            waiting = {each.subscriber_id for each in found if each.carried_at is None}
            plans = await self._served_by(db, waiting)
        already = await shown_already(
            self._begin, self._radius_begin, tenant_id=self._tenant_id, subscriber_ids=waiting
        )
        # in transactions of their own: who stands still holds no plan that others wait for
        every_plan = {plan_id for served in plans.values() for plan_id in served}
        without_plan = await self._each(
            lambda plan_id: self._projector.project_one("plan", plan_id), sorted(every_plan)
        )
        failed: dict[int, Exception] = {}
        for who, served in plans.items():
            failed.update((who, without_plan[plan_id]) for plan_id in served if plan_id in without_plan)
        done = already | failed.keys()
        left = await self._shown_together(
            sorted(who for who in waiting if who not in done), plans_shown=every_plan - without_plan.keys()
        )
        failed |= await self._each(self._projector.project_subscriber, left)
        unknown = set(change_ids) - {each.id for each in found}
        return {each: SessionChangeUnknown(each) for each in unknown} | {
            each.id: failed[each.subscriber_id]
            for each in found
            if each.carried_at is None and each.subscriber_id in failed
        }

    async def _shown_together(self, subscriber_ids: Sequence[int], *, plans_shown: Collection[int]) -> Sequence[int]:
        """Those who are left to be projected one by one: a few, or of whom more changes than their rows."""
        if self._many is None or len(subscriber_ids) < MANY:
            return subscriber_ids
        try:
            shown = set((await self._many.project_changed(subscriber_ids, plans_shown=plans_shown)).shown)
        except RadiusDatabaseUnavailable as error:
            if not error.of_one:
                raise
            return subscriber_ids  # somebody held one of the names
        return [each for each in subscriber_ids if each not in shown]

    async def _served_by(self, db: AsyncSession, subscriber_ids: Collection[int]) -> dict[int, tuple[int, ...]]:
        """By subscriber the plans that must be there before it."""
        columns = (Subscriber.id, Subscriber.plan_id, Subscriber.garden_plan_id, Subscriber.capped_plan_id)
        mine = select(*columns).where(Subscriber.tenant_id == self._tenant_id, among(db, Subscriber.id, subscriber_ids))
        return {number: tuple(each for each in plans if each is not None) for number, *plans in await db.execute(mine)}

    async def _each(self, project: Callable[[int], Awaitable[Any]], numbers: Sequence[int]) -> dict[int, Exception]:
        """By number what went wrong with it."""
        turns, failed = asyncio.Semaphore(PROJECTED_AT_ONCE), dict[int, Exception]()

        async def one(number: int) -> None:
            async with turns:
                away = [error for error in failed.values() if isinstance(error, RadiusDatabaseUnavailable)]
                if len(away) >= PROJECTED_AT_ONCE:
                    failed[number] = away[-1]
                    return
                done: Any = (await asyncio.gather(project(number), return_exceptions=True))[0]
                if isinstance(done, Exception):
                    failed[number] = done

        await asyncio.gather(*(one(each) for each in numbers))
        return failed

    async def _note_shown(self, db: AsyncSession, change_ids: Sequence[int], shown_by: datetime, highest: int) -> None:
        """Of those that somebody else has in hands it is noted the next time: later than it was does no harm."""
        shown, above = SessionChange.carried_at, SessionChange.right_above
        settled = above.is_(None) & (shown <= shown_by - LOGIN_TAKES)
        wanted = (SessionChange.tenant_id == self._tenant_id, among(db, SessionChange.id, change_ids))
        free = select(SessionChange.id).where(*wanted, or_(shown.is_(None), settled)).order_by(SessionChange.id)
        these = list(await db.scalars(free.with_for_update(skip_locked=True)))
        if not these:
            return
        note = update(SessionChange).where(among(db, SessionChange.id, these))
        note = note.values(carried_at=func.coalesce(shown, shown_by), right_above=case((settled, highest), else_=above))
        await db.execute(note.execution_options(synchronize_session=False))

    async def _wishes(
        self, db: AsyncSession, change_ids: Sequence[int], shown_by: datetime
    ) -> list[tuple[ChangeWish, Carried, list[Treated]]]:
        mine = select(*_OF_CHANGES).where(SessionChange.tenant_id == self._tenant_id)
        changes = {each.id: each for each in await db.execute(mine.where(among(db, SessionChange.id, change_ids)))}
        numbers = {change.subscriber_id for change in changes.values()}
        theirs = select(*_OF_SUBSCRIBERS).where(
            Subscriber.tenant_id == self._tenant_id, among(db, Subscriber.id, numbers)
        )
        whose = {row.id: _Served(*row[1:]) for row in await db.execute(theirs)}
        terms = await self._served_terms(db, whose.values())
        former = {each.id: former_terms_in(each.former) for each in changes.values()}
        earlier = await earlier_ones(
            db, self._tenant_id, {each.id: (each.subscriber_id, former[each.id]) for each in changes.values()}
        )
        told = await last_told(db, self._tenant_id, {each.id: each.subscriber_id for each in changes.values()})
        given_up = await given_up_by(db, self._tenant_id, numbers)
        names = {each.username for each in whose.values()} | {name for each in given_up.values() for name in each}
        namesakes = await namesakes_of(db, self._tenant_id, names)
        treated: dict[int, list[Treated]] = {change_id: [] for change_id in change_ids}
        for each in await treatments_of(db, change_ids):
            treated[each.change_id].append(each)
        wishes = []
        for change_id in change_ids:
            change, of_change = changes[change_id], treated[change_id]
            subscriber, former_names = whose[change.subscriber_id], given_up.get(change.subscriber_id, {})
            wish = ChangeWish(
                change_id=change_id,
                subscriber_id=change.subscriber_id,
                username=subscriber.username,
                former=former[change_id],
                wanted=terms[subscriber.plan_id, subscriber.over_plan_id],
                ends=change.must_end or subscriber.is_refused,
                told=told[change_id],
                changed=frozenset(each.radacct_id for each in of_change if each.said == "changed"),
                former_names=tuple(name for name, is_free in former_names.items() if not is_free),
                freed_names=tuple(name for name, is_free in former_names.items() if is_free),
                is_refused=subscriber.is_refused,
                earlier=earlier.get(change_id, ()),
                namesakes=namesakes,
            )
            wishes.append((wish, Carried(change.carried_at or shown_by, change.right_above), of_change))
        return wishes

    async def _served_terms(
        self, db: AsyncSession, subscribers: Collection[_Served]
    ) -> dict[tuple[int, int | None], PlanTerms]:
        """What the sessions of those have who are served by a plan, or by another one over theirs."""
        pairs = {(each.plan_id, each.over_plan_id) for each in subscribers}
        numbers = {number for pair in pairs for number in pair if number is not None}
        mine = select(Plan).where(Plan.tenant_id == self._tenant_id, Plan.id.in_(numbers))
        terms = {plan.id: terms_of(plan) for plan in await db.scalars(mine)}
        return {(own, over): terms[own] if over is None else in_garden(terms[own], terms[over]) for own, over in pairs}


def _goes_by_id_alone(nas: KnownNas | str | None) -> bool:
    return isinstance(nas, KnownNas) and nas.door.keys == ONE_KEY
