"""How much subscribers have used in a billing month, many at once: what is counted by days, and what their sessions
have used since. Interims are never summed (``radius.sessions.usage``)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.plans.terms import CapCounts
from radius.projection.freeradius_tables import radacct
from radius.sessions.shared_names import OwnUse, own_use
from radius.sessions.tables import radius_usage_daily
from radius.sessions.usage import growth, may_have_grown, midnight, sessions_and_counted
from radius.subscribers.name_holders import HeldName

BY_ITS_OWN_CLOCK = timedelta(days=1)
"""A NAS may say of a session that it began tomorrow."""


@dataclass(frozen=True)
class MonthsUse:
    """Octets in both directions, seen from the subscriber."""

    download_octets: int = 0
    upload_octets: int = 0

    def counted(self, counts: CapCounts) -> int:
        """What of it a data cap counts."""
        return self.download_octets + (self.upload_octets if counts == "both" else 0)

    def plus(self, other: MonthsUse) -> MonthsUse:
        return MonthsUse(
            self.download_octets + other.download_octets,
            self.upload_octets + other.upload_octets,
        )


async def used_since(
    db: AsyncSession, names: Collection[HeldName], *, first_day: date, now: datetime
) -> Mapping[tuple[str, int | None], MonthsUse]:
    """By name and owner what is known to be used from the begin of that day (UTC) on. Of a name that others had as
    well, what is surely the owner's (``radius.sessions.shared_names``). ``db`` is the radius database's."""
    began_before = midnight(now.date()) + BY_ITS_OWN_CLOCK
    alone = {each.username: each.owner for each in names if not each.is_shared}
    by_name = await _used_under(db, alone, first_day=first_day, began_before=began_before)
    used = {(name, alone[name]): month for name, month in by_name.items()}
    shared = [each for each in names if each.is_shared]
    if shared:
        own = await own_use(db, shared, first_day=first_day, began_before=began_before)
        used |= {whose: _month(each, first_day) for whose, each in own.items()}
    return used


async def _used_under(
    db: AsyncSession, usernames: Collection[str], *, first_day: date, began_before: datetime
) -> Mapping[str, MonthsUse]:
    used: defaultdict[str, MonthsUse] = defaultdict(MonthsUse)
    columns = radius_usage_daily.c
    counted = (
        select(columns.username, func.sum(columns.output_octets), func.sum(columns.input_octets))
        .where(columns.username.in_(usernames), columns.day >= first_day, columns.since_day >= first_day)
        .group_by(columns.username)
    )
    for username, download, upload in await db.execute(counted):
        used[username] = MonthsUse(int(download), int(upload))
    began = radacct.c.acctstarttime < began_before
    sessions = sessions_and_counted(radacct.c.username.in_(usernames), began, may_have_grown())
    for row in await db.execute(sessions):
        grown = growth(row)
        if grown is not None and grown.first_day >= first_day:
            used[grown.username] = used[grown.username].plus(MonthsUse(grown.output_octets, grown.input_octets))
    return used


def _month(own: OwnUse, first_day: date) -> MonthsUse:
    """Its sessions that began within the month have used no less than they say, however days are shared out."""
    pieces = [one for one in (*own.days, *own.grown) if one.first_day >= first_day]
    return MonthsUse(
        max(own.of_begun.output_octets, sum(one.output_octets for one in pieces)),
        max(own.of_begun.input_octets, sum(one.input_octets for one in pieces)),
    )
