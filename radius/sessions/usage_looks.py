"""What operators ask about use: how much a subscriber used on these days, under every name that it had."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import date, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from radius.errors import LookRefused
from radius.ports import Begin
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.aliveness import in_accounting, ours
from radius.sessions.shared_names import own_use
from radius.sessions.tables import radius_usage_daily
from radius.sessions.usage import Used, growth, may_have_grown, midnight, sessions_and_counted
from radius.subscribers.name_holders import HeldName

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


class UsageLooks:
    """What one tenant's subscribers have used. ``radius_read`` opens a transaction in the radius database that only
    reads.
    """

    def __init__(self, radius_read: Begin, *, tenant_id: str) -> None:
        self._radius_read = radius_read
        self._tenant_id = tenant_id

    async def of_user(
        self, username: str | HeldName, *former: str | HeldName, first_day: date, last_day: date
    ) -> UsageView:
        """What was used on these days, up to the newest interim. ``former`` are other names that count as this one. Of
        a name that others had as well counts what its owner used (``radius.sessions.shared_names``).

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit
            LookRefused: the span ends before it begins, or has more than 400 days.
        """
        held = [each if isinstance(each, HeldName) else HeldName(each) for each in (username, *former)]
        names = [in_accounting(each.username) for each in held if not each.is_shared]
        named = first_day >= FIRST_DAY and last_day <= LAST_DAY
        if not named or not timedelta(0) <= last_day - first_day < LONGEST_SPAN:
            raise LookRefused([f"{first_day} to {last_day} is no span of 1 to {LONGEST_SPAN.days} days"])
        async with radius_transaction(self._radius_read) as db:
            used = [*await self._counted(db, names, first_day, last_day), *await self._uncounted(db, names, last_day)]
            used += await _of_shared(db, [each for each in held if each.is_shared], first_day, last_day)
        of_the_span = [one for one in used if one.last_day >= first_day and one.first_day <= last_day]
        return _view(in_accounting(held[0].username), first_day, last_day, _summed(of_the_span))

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


async def _of_shared(db: AsyncSession, held: Collection[HeldName], first_day: date, last_day: date) -> list[Used]:
    """What the owners of these names have used under them."""
    if not held:
        return []
    used = await own_use(db, held, first_day=first_day, began_before=midnight(last_day + timedelta(days=1)))
    return [one for each in used.values() for one in (*each.days, *each.grown)]


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
        days=[UsageOfDay(day=one.last_day, **_octets(one)) for one in inside if one.first_day == one.last_day],
        unsplit=[_unsplit(one) for one in inside if one.first_day != one.last_day],
        across=[_unsplit(one) for one in used if one not in inside],
    )


def _unsplit(used: Used) -> UnsplitUsage:
    return UnsplitUsage(first_day=used.first_day, last_day=used.last_day, **_octets(used))


def _octets(used: Used) -> UsedOctets:
    return UsedOctets(
        input_octets=used.input_octets, output_octets=used.output_octets, session_seconds=used.session_seconds
    )
