"""Looks at what subscribers have used of their data caps, and brings them to what their plans say of that."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.caps.periods import CapPeriod, period_at
from radius.caps.standing import (
    CapLevel,
    CapStanding,
    events_of,
    events_of_each,
    level_of,
    of_period,
    served_at_cap,
    standing,
)
from radius.caps.use import MonthsUse, used_since
from radius.plans.terms import AtCap, CapCounts, terms_of
from radius.ports import Begin, Now, Secrets
from radius.projection.radius_database import radius_transaction
from radius.subscribers.cap_verbs import CapCrossing
from radius.subscribers.name_holders import HeldName, names_of_each
from radius.subscribers.subscribers import found
from radius.subscribers.verbs import SubscriberVerbs
from radius.tables import Plan, Subscriber

AT_ONCE = 400
"""So many subscribers are looked at in one transaction."""

BillingDays = Callable[[AsyncSession, Collection[int]], Awaitable[Mapping[int, int]]]
"""By service the day of the month on which its billing month begins, of those of which it is known."""
Tell = Callable[[AsyncSession, CapCrossing], Awaitable[None]]
"""Tells others of it in the same transaction."""

log = structlog.get_logger(__name__)


class DataCapView(TypedDict):
    """How a subscriber stands with its data cap. ``used_octets`` of ``allowance_octets`` (None: lifted for the rest of
    the month) from ``since`` to ``until``; ``billing_day`` None: that is the calendar's month where the ISP is.
    ``level`` is what that use has come to, ``served_by`` the plan that serves the line in place of its own just now.
    """

    subscriber_id: int
    username: str
    plan: str
    counts: CapCounts
    cap_octets: int
    allowance_octets: int | None
    used_octets: int
    since: datetime
    until: datetime
    billing_day: int | None
    level: CapLevel
    at_cap: AtCap
    served_by: str | None


@dataclass(frozen=True)
class _Watched:
    """One subscriber as it is looked at."""

    subscriber: Subscriber
    plan: Plan
    names: Sequence[HeldName]
    period: CapPeriod


class DataCaps:
    """Of one tenant's subscribers. Every method may be repeated, also at the same time."""

    def __init__(
        self,
        begin: Begin,
        radius_read: Begin,
        *,
        read: Begin,
        tenant_id: str,
        now: Now,
        secrets: Secrets,
        zone: ZoneInfo,
        billing_days: BillingDays,
        tell: Tell,
    ) -> None:
        """``read`` and ``radius_read`` open transactions that only read; ``zone`` is where the ISP's months begin."""
        self._begin = begin
        self._read = read
        self._radius_read = radius_read
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets
        self._zone = zone
        self._billing_days = billing_days
        self._tell = tell

    async def look(self) -> int:
        """Looks at every subscriber who has a data cap; of how many something has happened. Sessions are told by
        ``SessionChanges``.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: nothing is known of what was used; who was looked at before
                is served as it shall be.
        """
        crossed = 0
        async for watched in self._watched():
            used = await self._used(watched)
            behind = await self._behind(watched, used)
            for each in behind:
                crossed += await self._keep(each, used[each.subscriber.id])
        return crossed

    async def of(self, subscriber_id: int) -> DataCapView | None:
        """How a subscriber stands; None: its plan has no data cap.

        Raises:
            SubscriberUnknown, RadiusDatabaseUnavailable, RadiusDatabaseUnfit
        """
        async with self._read() as db:
            subscriber, plan = await self._with_plan(db, subscriber_id)
            if plan.data_cap_octets is None:
                return None
            watched, stands = await self._standing(db, subscriber, plan)
            over = subscriber.over_plan_id
            served_by = None if over is None else (await db.get_one(Plan, over)).name
        used = max((await self._used([watched]))[subscriber_id], stands.known_octets)
        return DataCapView(
            subscriber_id=subscriber_id,
            username=subscriber.username,
            plan=plan.name,
            counts=terms_of(plan).data_cap_counts,
            cap_octets=plan.data_cap_octets,
            allowance_octets=stands.allowance_octets,
            used_octets=used,
            since=watched.period.begins,
            until=watched.period.ends,
            billing_day=watched.period.billing_day,
            level=level_of(used, stands.allowance_octets),
            at_cap=terms_of(plan).at_cap,
            served_by=served_by,
        )

    async def used_of(self, db: AsyncSession, subscriber_id: int) -> int:
        """What its data cap counts of this month's use, as ``db``, which is to go by it, sees the subscriber; 0: its
        plan has none. Raises: as ``of``."""
        subscriber, plan = await self._with_plan(db, subscriber_id)
        if plan.data_cap_octets is None:
            return 0
        watched, stands = await self._standing(db, subscriber, plan)
        return max((await self._used([watched]))[subscriber_id], stands.known_octets)

    async def period_of(self, db: AsyncSession, service_id: int | None) -> CapPeriod:
        """The billing month that goes on for this service."""
        services = [] if service_id is None else [service_id]
        days = await self._billing_days(db, services)
        return period_at(self._now(), self._zone, days.get(service_id or 0))

    async def _with_plan(self, db: AsyncSession, subscriber_id: int) -> tuple[Subscriber, Plan]:
        """Raises: SubscriberUnknown."""
        subscriber = await found(db, self._tenant_id, subscriber_id)
        return subscriber, await db.get_one(Plan, subscriber.plan_id)

    async def _standing(self, db: AsyncSession, subscriber: Subscriber, plan: Plan) -> tuple[_Watched, CapStanding]:
        """In the month that goes on, by what was told before; its use of it isn't looked at."""
        [watched] = await self._with_periods(db, [(subscriber, plan)])
        events = of_period(await events_of(db, subscriber, now=self._now()), watched.period)
        return watched, standing(plan, events)

    async def _watched(self) -> AsyncIterator[list[_Watched]]:
        last = 0
        mine = (
            select(Subscriber, Plan)
            .join(Plan, Plan.id == Subscriber.plan_id)
            .where(
                Subscriber.tenant_id == self._tenant_id,
                Subscriber.state.in_(("active", "suspended")),
                or_(Plan.data_cap_octets.is_not(None), Subscriber.capped_plan_id.is_not(None)),
            )
            .order_by(Subscriber.id)
            .limit(AT_ONCE)
        )
        while True:
            async with self._read() as db:
                rows = [(subscriber, plan) for subscriber, plan in await db.execute(mine.where(Subscriber.id > last))]
                watched = await self._with_periods(db, rows)
            if not watched:
                return
            last = watched[-1].subscriber.id
            yield watched

    async def _with_periods(self, db: AsyncSession, rows: Sequence[tuple[Subscriber, Plan]]) -> list[_Watched]:
        services = [subscriber.service_id for subscriber, _ in rows if subscriber.service_id is not None]
        days = await self._billing_days(db, services)
        now = self._now()
        watched = []
        names = await names_of_each(db, self._tenant_id, [subscriber.id for subscriber, _ in rows])
        for subscriber, plan in rows:
            period = period_at(now, self._zone, days.get(subscriber.service_id or 0))
            watched.append(_Watched(subscriber, plan, names[subscriber.id], period))
        return watched

    async def _used(self, watched: Iterable[_Watched]) -> dict[int, int]:
        """By subscriber what its data cap counts of this month's use."""
        by_first_day = defaultdict[str, list[_Watched]](list)
        for each in watched:
            by_first_day[each.period.first_day.isoformat()].append(each)
        used: dict[int, int] = {}
        async with radius_transaction(self._radius_read) as db:
            for some in by_first_day.values():
                names = [name for each in some for name in each.names]
                by_name = await used_since(db, names, first_day=some[0].period.first_day, now=self._now())
                for each in some:
                    month = MonthsUse()
                    for name in each.names:
                        month = month.plus(by_name.get((name.username, name.owner), MonthsUse()))
                    used[each.subscriber.id] = month.counted(terms_of(each.plan).data_cap_counts)
        return used

    async def _behind(self, watched: Sequence[_Watched], used: Mapping[int, int]) -> list[_Watched]:
        """Of whom something is to happen."""
        behind: list[_Watched] = []
        async with self._read() as db:
            numbers = [each.subscriber.id for each in watched]
            events = await events_of_each(db, self._tenant_id, numbers, now=self._now())
            serves = {
                plan.id: await served_at_cap(db, plan, "reached")
                for plan in {each.plan.id: each.plan for each in watched}.values()
            }
            for each in watched:
                stands = standing(each.plan, of_period(events[each.subscriber.id], each.period))
                level = level_of(max(used[each.subscriber.id], stands.known_octets), stands.allowance_octets)
                wanted = serves[each.plan.id] if level == "reached" else None
                if level not in ("none", stands.level) or wanted != each.subscriber.capped_plan_id:
                    behind.append(each)
        return behind

    async def _keep(self, watched: _Watched, used_octets: int) -> bool:
        async with self._begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self._tenant_id, now=self._now, secrets=self._secrets)
            crossings = await verbs.keep_to_cap(
                subscriber_id=watched.subscriber.id, period=watched.period, used_octets=used_octets
            )
            for crossing in crossings:
                await self._tell(db, crossing)
                log.info(
                    "data cap", subscriber_id=crossing.subscriber_id, kind=crossing.kind, served_by=crossing.served_by
                )
        return bool(crossings)
