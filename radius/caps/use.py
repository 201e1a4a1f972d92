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
from radius.sessions.tables import radius_usage_daily
from radius.sessions.usage import growth, may_have_grown, midnight, sessions_and_counted

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
    db: AsyncSession, usernames: Collection[str], *, first_day: date, now: datetime
) -> Mapping[str, MonthsUse]:
    """By username what is known to be used from the begin of that day (UTC) on. ``db`` is the radius database's."""
    used: defaultdict[str, MonthsUse] = defaultdict(MonthsUse)
    columns = radius_usage_daily.c
    counted = (
        select(columns.username, func.sum(columns.output_octets), func.sum(columns.input_octets))
        .where(columns.username.in_(usernames), columns.day >= first_day, columns.since_day >= first_day)
        .group_by(columns.username)
    )
    for username, download, upload in await db.execute(counted):
        used[username] = MonthsUse(int(download), int(upload))
    began = radacct.c.acctstarttime < midnight(now.date()) + BY_ITS_OWN_CLOCK
    sessions = sessions_and_counted(radacct.c.username.in_(usernames), began, may_have_grown())
    for row in await db.execute(sessions):
        grown = growth(row)
        if grown is not None and grown.first_day >= first_day:
            used[grown.username] = used[grown.username].plus(MonthsUse(grown.output_octets, grown.input_octets))
    return used
