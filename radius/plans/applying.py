"""Tells sessions that are open of what their plan has become: each gets a change of its own in the outbox.

A plan that is defined anew is in force at every login from its projection on. Sessions go on with what they have,
unless they are told: by their NAS, or by their end. That may be many, so it is asked for, and not done by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, exists, or_, select, true
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import load_only

from radius.coa.namesakes import Namesakes, namesakes_of
from radius.coa.outbox import add_changes, fingerprints, former_of
from radius.coa.tables import SessionChange
from radius.coa.wish import CLOCKS_DIFFER
from radius.lists import among
from radius.plans.history import FormerTerms
from radius.plans.looks import served_by
from radius.plans.plans import find_plan
from radius.ports import Begin, Now
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.results import AppliedPlan
from radius.subscribers.former_names import given_up_by
from radius.subscribers.name_holders import owner_of
from radius.tables import Plan, Subscriber

AT_ONCE = 2000
"""So many subscribers in one transaction."""
_OF_SUBSCRIBERS = (
    Subscriber.tenant_id,
    Subscriber.state,
    Subscriber.plan_id,
    Subscriber.garden_plan_id,
    Subscriber.capped_plan_id,
)
TELLING = ("change_plan", "suspend", "resume", "apply_plan", "cap", "uncap", "lift_cap", "reopened")
"""Acts by which a session is brought to all that its plan says."""


class PlanChanges:
    """The plans of one tenant and the sessions that are open on them. Every method may be repeated."""

    def __init__(self, begin: Begin, radius_begin: Begin, *, tenant_id: str, now: Now) -> None:
        self._begin = begin
        self._radius_begin = radius_begin
        self._tenant_id = tenant_id
        self._now = now

    async def behind(self, plan: str) -> int:
        """How many sessions are open that may have the plan's earlier terms: of those served by it who have not been
        told since it was changed.

        Raises:
            PlanUnknown, RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        sessions = 0
        async for theirs in self._online(plan):
            sessions += sum(theirs.values())
        return sessions

    async def apply(self, plan: str, *, limit: int | None = None) -> AppliedPlan:
        """Makes a change for each of those subscribers, ``limit`` of them at most; ``SessionChanges`` carries them to
        the NASes, as many at a time as each takes.

        Raises:
            As ``behind``; those made before stand then.
        """
        subscribers, sessions = 0, 0
        async for theirs in self._online(plan):
            wanted = sorted(theirs)[: None if limit is None else limit - subscribers]
            done = await self._made(plan, wanted)
            subscribers += len(done)
            sessions += sum(theirs[number] for number in done)
            if subscribers == limit:
                break
        return AppliedPlan(plan=plan, subscribers=subscribers, sessions=sessions)

    async def _online(self, plan: str) -> AsyncIterator[dict[int, int]]:
        """By subscriber how many sessions are to be told, some subscribers at a time."""
        last = 0
        while True:
            async with self._begin() as db:
                found = await find_plan(db, self._tenant_id, plan)
                is_changed, since = found.updated_at > found.created_at, found.updated_at
                names = await self._next(db, found, after=last) if is_changed else {}
                namesakes = await namesakes_of(db, self._tenant_id, names)
            if not names:
                return
            last = max(names.values())
            found_open = await self._open(names, namesakes, begun_before=since + CLOCKS_DIFFER)
            whose = frozenset(names.values())
            yield Counter(number for number in found_open if number in whose)

    async def _next(self, db: AsyncSession, plan: Plan, *, after: int) -> dict[str, int]:
        """By each of their names, the next subscribers who have not been told."""
        mine = select(Subscriber.username, Subscriber.id).where(_behind(plan), Subscriber.id > after)
        names = {name: number for name, number in await db.execute(mine.order_by(Subscriber.id).limit(AT_ONCE))}
        given_up = await given_up_by(db, self._tenant_id, list(names.values()))
        return {name: number for number, former in given_up.items() for name in former} | names

    async def _open(self, names: Mapping[str, int], namesakes: Namesakes, *, begun_before: datetime) -> list[int]:
        """Of each open session that may have begun before then, whose it is."""
        began, label = radacct.c.acctstarttime, radacct.c["class"]
        async with radius_transaction(self._radius_begin) as db:
            open_now = await db.execute(
                select(radacct.c.username, label, began).where(
                    among(db, radacct.c.username, names),
                    radacct.c.acctstoptime.is_(None),
                    or_(began.is_(None), began < begun_before),
                )
            )
            return [
                owner_of(borne, since, namesakes[name]) if name in namesakes else names[name]
                for name, borne, since in open_now
            ]

    async def _made(self, plan: str, numbers: Sequence[int]) -> list[int]:
        async with self._begin() as db:
            found = await find_plan(db, self._tenant_id, plan)
            which = among(db, Subscriber.id, numbers)
            return await _make(db, found, which, limit=len(numbers), now=self._now())


async def tell_of_plan(db: AsyncSession, *, tenant_id: str, plan: str, limit: int, now: datetime) -> AppliedPlan:
    """The same in the caller's transaction, and without looking who is online: a change for each of those served by a
    plan who have not been told since it was changed, ``limit`` of them at most.

    Raises:
        PlanUnknown
    """
    found = await find_plan(db, tenant_id, plan)
    is_changed = found.updated_at > found.created_at
    done = await _make(db, found, true(), limit=limit, now=now) if is_changed else []
    return AppliedPlan(plan=plan, subscribers=len(done), sessions=None)


async def _make(db: AsyncSession, plan: Plan, which: ColumnElement[bool], *, limit: int, now: datetime) -> list[int]:
    held = await db.scalars(
        select(Subscriber)
        .where(_behind(plan), which)
        .order_by(Subscriber.id)
        .limit(limit)
        .with_for_update()
        .options(load_only(*_OF_SUBSCRIBERS))
        .execution_options(populate_existing=True)
    )
    made: list[tuple[Subscriber, Sequence[FormerTerms], str]] = []
    said: dict[tuple[int, int | None], list[FormerTerms]] = {}  # asked once of all that are served by the same
    those = list(held)
    marks = fingerprints("apply_plan", [each.id for each in those], plan=plan.name, version=plan.version)
    for subscriber in those:
        served = (subscriber.plan_id, subscriber.over_plan_id)
        if served not in said:
            said[served] = await former_of(db, subscriber)
        made.append((subscriber, said[served], marks[subscriber.id]))
    await add_changes(db, made, "apply_plan", now=now)
    return [subscriber.id for subscriber, _, _ in made]


def _behind(plan: Plan) -> ColumnElement[bool]:
    """Those served by it whose sessions were told nothing since it was changed."""
    told = select(SessionChange.id).where(
        SessionChange.tenant_id == Subscriber.tenant_id,
        SessionChange.subscriber_id == Subscriber.id,
        SessionChange.act.in_(TELLING),
        SessionChange.created_at >= plan.updated_at,
    )
    # OFFSET 0: PostgreSQL looks each subscriber up. It would join, and compare each with every change while its planner
    # takes the table of changes, which grows by thousands meanwhile, for a small one.
    return served_by(plan) & ~exists(told.correlate(Subscriber).offset(0))
