"""NASes whose clock is wrong, as FreeRADIUS sees by when their accounting arrives (raddb, when_it_happened)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin
from radius.projection.radius_database import radius_transaction
from radius.sessions.sessions import host
from radius.sessions.tables import radius_nas_clock

SEEN_WITHIN = timedelta(hours=1)
"""A clock that was set right is not seen any more; sessions of one that is wrong tell of it with every interim."""

CERTAIN_AFTER = timedelta(minutes=10)
"""By then one that differs by as much is wrong, as in the raddb: a packet that was kept differs by more each time."""


@dataclass(frozen=True)
class WrongClock:
    """By how much the clock of a NAS is behind ours (negative: ahead of it), and when that was seen last."""

    nas_address: str
    behind: timedelta
    seen_at: datetime

    @property
    def sentence(self) -> str:
        how = "ahead of" if self.behind < timedelta() else "behind"
        return (
            f"The clock of NAS {self.nas_address} is {_in_words(abs(self.behind))} {how} ours (seen"
            f" {self.seen_at:%Y-%m-%d %H:%M} UTC). What it tells counts by when it arrives, but it may refuse requests"
            " to change or end a session as too old or not yet due (RFC 5176 s6.3): set its clock, by NTP."
        )


async def wrong_clocks(radius_db: AsyncSession, *, now: datetime) -> list[WrongClock]:
    """Those that were seen lately, by address."""
    columns = radius_nas_clock.c
    lately = select(columns.nasipaddress, columns.behind_seconds, columns.seen_at)
    lately = lately.where(columns.seen_at >= now - SEEN_WITHIN, columns.since <= now - CERTAIN_AFTER)
    return [
        WrongClock(host(address), timedelta(seconds=behind), seen_at)
        for address, behind, seen_at in await radius_db.execute(lately.order_by(columns.nasipaddress))
    ]


async def wrong_clock_of(radius_read: Begin, nas_address: str, *, now: datetime) -> WrongClock | None:
    """That of one NAS; None: it is right, as far as was seen lately.

    Raises:
        RadiusDatabaseUnavailable, RadiusDatabaseUnfit
    """
    async with radius_transaction(radius_read) as radius_db:
        return next((one for one in await wrong_clocks(radius_db, now=now) if one.nas_address == nas_address), None)


def _in_words(difference: timedelta) -> str:
    minutes = round(difference.total_seconds() / 60)
    for unit, size in (("days", 48 * 60), ("hours", 120)):
        if minutes >= size:
            return f"{round(minutes / (1440 if unit == 'days' else 60))} {unit}"
    return f"{minutes} minutes"
