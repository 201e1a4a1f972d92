"""What a subscriber has used: octets of whole days (UTC), each counted once, never backwards.

A session's counters are over its whole life, so what it used is their growth, never a sum of interims. Shortly after
midnight the clock notes how far each session has come (``UsageCount``): by that a session is split at the border of a
day, to within one interim. Where nobody noted it in time, the growth is of several days and is said to be so: such a
piece counts for a span that has all of its days, and is named apart for one that has some.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.errors import LookRefused
from radius.ports import Begin
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import in_accounting, ours
from radius.sessions.tables import radius_usage_counted, radius_usage_daily

PAST_MIDNIGHT = timedelta(minutes=15)
"""What was told so shortly after a day's end is of that day."""
LONGEST_SPAN = timedelta(days=400)
FIRST_DAY, LAST_DAY = date(2000, 1, 1), date(2199, 12, 31)


class UsedOctets(TypedDict):
    """Octets as in ``Session``; ``session_seconds`` is how long sessions were up, two at once count twice."""

    input_octets: int
    output_octets: int
    session_seconds: int


class UsageOfDay(UsedOctets):
    """Of one day."""

    day: date


class UnsplitUsage(UsedOctets):
    """Of several days, from the first to the last, and nobody knows how much of which."""

    first_day: date
    last_day: date


class UsageView(UsedOctets):
    """What a username used from ``first_day`` to the end of ``last_day`` (UTC).

    The octets and seconds here are all that is known to be of this span: those of its ``days``, and of ``unsplit`` what
    lies inside. ``across`` is not in them: it is partly of days outside.
    """

    username: str
    first_day: date
    last_day: date
    days: list[UsageOfDay]
    unsplit: list[UnsplitUsage]
    across: list[UnsplitUsage]


@dataclass(frozen=True)
class Used:
    """A part of a session's use, of the days from ``first_day`` to ``last_day``."""

    username: str
    first_day: date
    last_day: date
    input_octets: int
    output_octets: int
    session_seconds: int

    @property
    def octets(self) -> UsedOctets:
        return UsedOctets(
            input_octets=self.input_octets, output_octets=self.output_octets, session_seconds=self.session_seconds
        )

    def plus(self, other: Used) -> Used:
        return replace(
            self,
            input_octets=self.input_octets + other.input_octets,
            output_octets=self.output_octets + other.output_octets,
            session_seconds=self.session_seconds + other.session_seconds,
        )


def midnight(day: date) -> datetime:
    """When a day begins."""
    return datetime.combine(day, time(), tzinfo=UTC)


def growth(row: Row[Any]) -> Used | None:
    """What a session has used that is not counted yet; None: nothing. Of a row of ``sessions_and_counted``."""
    began = row.counted_until or row.acctstarttime
    ended = row.acctstoptime or row.acctupdatetime or row.acctstarttime
    grown = [
        max(0, (told or 0) - (counted or 0))
        for told, counted in (
            (row.acctinputoctets, row.counted_input),
            (row.acctoutputoctets, row.counted_output),
            (row.acctsessiontime, row.counted_seconds),
        )
    ]
    if began is None or not row.username or not any(grown):
        return None
    first, last = days_between(began, ended)
    return Used(row.username, first, last, *grown)


def days_between(began: datetime, ended: datetime) -> tuple[date, date]:
    """The days that what was used in between may be of."""
    first, last = began.date(), max(began, ended).date()
    if last > first and max(began, ended) - midnight(last) <= PAST_MIDNIGHT:
        last -= timedelta(days=1)
    return first, last


def sessions_and_counted(*which: ColumnElement[bool]) -> Select[Any]:
    """Sessions in radacct, each with what of it is counted."""
    counted = radius_usage_counted.c
    return (
        select(
            radacct.c.radacctid,
            radacct.c.username,
            radacct.c.acctstarttime,
            radacct.c.acctupdatetime,
            radacct.c.acctstoptime,
            radacct.c.acctinputoctets,
            radacct.c.acctoutputoctets,
            radacct.c.acctsessiontime,
            counted.input_octets.label("counted_input"),
            counted.output_octets.label("counted_output"),
            counted.session_seconds.label("counted_seconds"),
            counted.counted_until,
        )
        .outerjoin(radius_usage_counted, counted.radacctid == radacct.c.radacctid)
        .where(*which)
    )


class UsageLooks:
    """What one tenant's subscribers have used. ``radius_read`` opens a transaction in the radius database that only
    reads.
    """

    def __init__(self, radius_read: Begin, *, tenant_id: str) -> None:
        self._radius_read = radius_read
        self._tenant_id = tenant_id

    async def of_user(self, username: str, *former: str, first_day: date, last_day: date) -> UsageView:
        """What was used on these days, up to the newest interim. ``former`` are other names that count as this one.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            LookRefused: the span ends before it begins, or has more than 400 days.
        """
        names = [in_accounting(each) for each in (username, *former)]
        named = first_day >= FIRST_DAY and last_day <= LAST_DAY
        if not named or not timedelta(0) <= last_day - first_day < LONGEST_SPAN:
            raise LookRefused([f"{first_day} to {last_day} is no span of 1 to {LONGEST_SPAN.days} days"])
        async with radius_transaction(self._radius_read) as db:
            used = [*await self._counted(db, names, first_day, last_day), *await self._uncounted(db, names, last_day)]
        of_the_span = [one for one in used if one.last_day >= first_day and one.first_day <= last_day]
        return _view(names[0], first_day, last_day, _summed(of_the_span))

    async def _counted(self, db: AsyncSession, names: Sequence[str], first_day: date, last_day: date) -> list[Used]:
        columns = radius_usage_daily.c
        found = select(
            columns.username,
            columns.since_day,
            columns.day,
            columns.input_octets,
            columns.output_octets,
            columns.session_seconds,
        ).where(
            columns.username.in_(names),
            columns.day >= first_day,
            columns.since_day <= last_day,
            ours(radius_usage_daily.c.username, self._tenant_id),
        )
        return [Used(*row) for row in await db.execute(found)]

    async def _uncounted(self, db: AsyncSession, names: Sequence[str], last_day: date) -> list[Used]:
        began = radacct.c.acctstarttime < midnight(last_day + timedelta(days=1))
        rows = await db.execute(
            sessions_and_counted(
                radacct.c.username.in_(names), began, ours(radacct.c.username, self._tenant_id), may_have_grown()
            )
        )
        return [one for row in rows if (one := growth(row)) is not None]


def may_have_grown() -> ColumnElement[bool]:
    """Of sessions in radacct: nothing is counted of them, or less than they tell of."""
    counted = radius_usage_counted.c
    return or_(
        counted.radacctid.is_(None),
        func.coalesce(radacct.c.acctinputoctets, 0) > counted.input_octets,
        func.coalesce(radacct.c.acctoutputoctets, 0) > counted.output_octets,
        and_(radacct.c.acctsessiontime.is_not(None), radacct.c.acctsessiontime > counted.session_seconds),
    )


def _summed(used: Iterable[Used]) -> Sequence[Used]:
    by_days: dict[tuple[date, date], Used] = {}
    for one in used:
        days = (one.first_day, one.last_day)
        by_days[days] = by_days[days].plus(one) if days in by_days else one
    return [by_days[days] for days in sorted(by_days)]


def _view(username: str, first_day: date, last_day: date, used: Sequence[Used]) -> UsageView:
    inside = [one for one in used if one.first_day >= first_day and one.last_day <= last_day]
    return UsageView(
        username=username,
        first_day=first_day,
        last_day=last_day,
        input_octets=sum(one.input_octets for one in inside),
        output_octets=sum(one.output_octets for one in inside),
        session_seconds=sum(one.session_seconds for one in inside),
        days=[UsageOfDay(day=one.last_day, **one.octets) for one in inside if one.first_day == one.last_day],
        unsplit=[_unsplit(one) for one in inside if one.first_day != one.last_day],
        across=[_unsplit(one) for one in used if one not in inside],
    )


def _unsplit(used: Used) -> UnsplitUsage:
    return UnsplitUsage(first_day=used.first_day, last_day=used.last_day, **used.octets)
