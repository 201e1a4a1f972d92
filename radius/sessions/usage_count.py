"""Notes how much of each session is of which day, once after every midnight (UTC), in batches that may be repeated.

Of a session is counted what it has grown since it was counted last; both stand in one commit, so nothing is counted
twice, whoever is at it at the same time and wherever it was broken off.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin, Now
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import radius_transaction
from radius.sessions.tables import insert_into, radius_upkeep, radius_usage_counted, radius_usage_daily
from radius.sessions.usage import Used, growth, midnight, sessions_and_counted

AT_ONCE = 500
"""Sessions of one commit."""
BETWEEN_BATCHES_SECONDS = 0.01
"""On SQLite there is one lock, and FreeRADIUS is to get it as well."""
LOOK_BACK = timedelta(days=2)
"""A Stop may tell by its own clock, or late, that a session ended before it was looked at. What is later than that is
counted when the session goes into the archive.
"""
_JOB = "usage"
_LOCK = 0x55534147  # "USAG"


class UsageCount:
    """Counts the sessions of a radius database, whosever they are."""

    def __init__(self, radius_begin: Begin, *, now: Now, at_once: int = AT_ONCE) -> None:
        self._radius_begin = radius_begin
        self._now = now
        self._at_once = at_once

    async def count(self) -> int:
        """Everything up to the last midnight, unless that is done; how many sessions were looked at.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: what was counted before stays counted.
        """
        today = self._now().date()
        async with radius_transaction(self._radius_begin) as db:
            done = await done_until(db, _JOB)
        if done is not None and done >= today:
            return 0
        since = midnight(done or today) - LOOK_BACK
        looked_at = await self._each(radacct.c.acctstoptime.is_(None), (radacct.c.radacctid,))
        closed = radacct.c.acctstoptime >= since
        looked_at += await self._each(closed, (radacct.c.acctstoptime, radacct.c.radacctid))
        async with radius_transaction(self._radius_begin) as db:
            await note_done(db, _JOB, today)
        return looked_at

    async def _each(self, which: ColumnElement[bool], order: Sequence[Any]) -> int:
        looked_at, after = 0, None
        while True:
            async with radius_transaction(self._radius_begin) as db:
                await one_counts(db)
                page = sessions_and_counted(which).order_by(*order).limit(self._at_once)
                if after is not None:
                    page = page.where(_behind(order, after))
                rows = list(await db.execute(page))
                await count_in(db, rows, self._now())
            looked_at += len(rows)
            if len(rows) < self._at_once:
                return looked_at
            await asyncio.sleep(BETWEEN_BATCHES_SECONDS)
            after = [getattr(rows[-1], column.name) for column in order]


def _behind(order: Sequence[Any], after: Sequence[Any]) -> ColumnElement[bool]:
    if len(order) == 1:
        return and_(order[0] > after[0])
    (first, number), (moment, last) = order, after
    return and_(first >= moment, or_(first > moment, number > last))


async def one_counts(db: AsyncSession) -> None:
    """Nobody else counts until the transaction ends. On SQLite the transaction itself is that lock."""
    if db.get_bind().dialect.name == "postgresql":
        await db.execute(select(func.pg_advisory_xact_lock(_LOCK)))


async def count_in(db: AsyncSession, rows: Sequence[Row[Any]], now: datetime) -> None:
    """Counts what these sessions (rows of ``sessions_and_counted``) have grown; under ``one_counts``."""
    used = defaultdict[tuple[str, date, date], list[Used]](list)
    counted = []
    for row in rows:
        grown = growth(row)
        if grown is not None:
            used[grown.username, grown.last_day, grown.first_day].append(grown)
        if grown is not None or row.counted_until is None or row.acctstoptime is None:
            counted.append(_counted(row, now))
    if used:
        await db.execute(_add_to_days(db), [_day(days, parts) for days, parts in sorted(used.items())])
    if counted:
        await db.execute(_note_counted(db), counted)


def _counted(row: Row[Any], now: datetime) -> dict[str, Any]:
    """What an open session uses from here on is of the day that has begun, whenever it was heard last."""
    told = row.acctstoptime or row.acctupdatetime or row.acctstarttime or now
    until = max(told, midnight(now.date())) if row.acctstoptime is None else told
    before = row.counted_until or until
    return {
        "radacctid": row.radacctid,
        "input_octets": max(row.acctinputoctets or 0, row.counted_input or 0),
        "output_octets": max(row.acctoutputoctets or 0, row.counted_output or 0),
        "session_seconds": max(row.acctsessiontime or 0, row.counted_seconds or 0),
        "counted_until": max(until, before),
    }


def _day(days: tuple[str, date, date], parts: Sequence[Used]) -> dict[str, Any]:
    username, day, since_day = days
    return {
        "username": username,
        "day": day,
        "since_day": since_day,
        "input_octets": sum(one.input_octets for one in parts),
        "output_octets": sum(one.output_octets for one in parts),
        "session_seconds": sum(one.session_seconds for one in parts),
    }


def _add_to_days(db: AsyncSession) -> Any:
    added, columns = insert_into(db, radius_usage_daily), radius_usage_daily.c
    names = ("input_octets", "output_octets", "session_seconds")
    return added.on_conflict_do_update(
        index_elements=[columns.username, columns.day, columns.since_day],
        set_={name: columns[name] + added.excluded[name] for name in names},
    )


def _note_counted(db: AsyncSession) -> Any:
    noted = insert_into(db, radius_usage_counted)
    names = [column.name for column in radius_usage_counted.c if not column.primary_key]
    return noted.on_conflict_do_update(
        index_elements=[radius_usage_counted.c.radacctid], set_={name: noted.excluded[name] for name in names}
    )


async def done_until(db: AsyncSession, job: str) -> date | None:
    """Up to which day a nightly job is done; None: never."""
    return await db.scalar(select(radius_upkeep.c.done_until).where(radius_upkeep.c.job == job))


async def note_done(db: AsyncSession, job: str, day: date) -> None:
    """Says that it is done up to this day."""
    noted = insert_into(db, radius_upkeep).values(job=job, done_until=day)
    until = {"done_until": noted.excluded.done_until}
    await db.execute(noted.on_conflict_do_update(index_elements=[radius_upkeep.c.job], set_=until))
