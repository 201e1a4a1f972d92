"""Keeps radacct small: what is over for long goes into the archive, in batches of one commit each.

Before a session goes, what it has used and nobody has counted is counted. It keeps its number and its
``acctuniqueid``, by which FreeRADIUS knows a late packet of it and writes no second session. On PostgreSQL the archive
has a partition for each month in which sessions began; those of the present and the next month are made ahead.

FreeRADIUS asks the archive with every packet of accounting, so nothing here may make it wait: a partition is made as a
table of its own and then attached, which readers do not notice, in a commit before any session is locked. One that is
dropped has to have the archive for itself, waits for that a moment at most, and is tried again at the next look.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, cast

import structlog
from sqlalchemy import ColumnElement, CursorResult, and_, delete, func, insert, or_, select, text, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin, Now
from radius.projection.freeradius_tables import radacct
from radius.projection.radius_database import dialect_of, radius_transaction
from radius.sessions.tables import radius_session_archive, radius_usage_counted
from radius.sessions.usage import sessions_and_counted
from radius.sessions.usage_count import BETWEEN_BATCHES_SECONDS, count_in, done_until, note_done, one_counts

AT_ONCE = 1000
"""Sessions of one commit."""
_JOB = "archive"
_PARTITION = "radius_session_archive_"
LOCK_TIMEOUT_MILLISECONDS = 200
"""Whoever waits for a lock on the archive makes all wait who come after."""
_LOCK_TIMEOUT = f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MILLISECONDS}"

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Kept:
    """For how long sessions are kept after their end: in radacct, and in the archive (None: for ever)."""

    hot: timedelta = timedelta(days=35)
    archive: timedelta | None = None


@dataclass(frozen=True)
class Archived:
    """How many sessions went into the archive, and how many out of it."""

    moved: int
    forgotten: int


class SessionArchive:
    """Moves the sessions of a radius database, whosever they are."""

    def __init__(self, radius_begin: Begin, *, now: Now, kept: Kept, at_once: int = AT_ONCE) -> None:
        self._radius_begin = radius_begin
        self._now = now
        self._kept = kept
        self._at_once = at_once

    async def tend(self) -> Archived:
        """What is to be done once a night, unless that is done. May be repeated, also at the same time.

        Raises:
            RadiusDatabaseUnavailable, RadiusDatabaseUnfit: the batches before are done then. Also where a lock on the
                archive did not come free.
        """
        now = self._now()
        async with radius_transaction(self._radius_begin) as db:
            done = await done_until(db, _JOB)
            if done is not None and done >= now.date():
                return Archived(0, 0)
        async with self._alone() as db:
            await make_partitions(db, [_month(now), _next(_month(now))])
        moved = await self._until_done(self._move)
        forgotten = await self._forget_old()
        async with radius_transaction(self._radius_begin) as db:
            await note_done(db, _JOB, now.date())
        if moved or forgotten:
            log.info("sessions archived", moved=moved, forgotten=forgotten)
        return Archived(moved, forgotten)

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[AsyncSession]:
        """A transaction in which nobody else counts, moves or makes a partition."""
        async with radius_transaction(self._radius_begin) as db:
            await one_counts(db)
            yield db

    async def _until_done(self, batch: Callable[[], Awaitable[int]]) -> int:
        done = last = await batch()
        while last == self._at_once:
            await asyncio.sleep(BETWEEN_BATCHES_SECONDS)
            last = await batch()
            done += last
        return done

    async def _move(self) -> int:
        """The oldest batch; a session that FreeRADIUS is writing to waits for the commit."""
        now = self._now()
        over = (
            select(radacct.c.radacctid, func.coalesce(radacct.c.acctstarttime, radacct.c.acctstoptime))
            .where(radacct.c.acctstoptime < now - self._kept.hot)
            .order_by(radacct.c.acctstoptime, radacct.c.radacctid)
            .limit(self._at_once)
        )
        async with self._alone() as db:
            await make_partitions(db, {_month(began) for _, began in await db.execute(over)})
        async with self._alone() as db:
            numbers = list(await db.scalars(over.with_for_update()))
            if not numbers:
                return 0
            twins = await _archived_already(db, numbers)
            kept = [number for number in numbers if number not in twins]
            rows = list(await db.execute(sessions_and_counted(radacct.c.radacctid.in_(kept))))
            await count_in(db, rows, now)
            await _copy(db, kept)
            for table in (radius_usage_counted, radacct):
                await db.execute(delete(table).where(table.c.radacctid.in_(numbers)))
            return len(numbers)

    async def _forget_old(self) -> int:
        """What is kept no longer, and the months that are empty by then."""
        if self._kept.archive is None:
            return 0
        until = self._now() - self._kept.archive
        forgotten = await self._until_done(lambda: self._forget(until))
        async with self._alone() as db:
            await _drop_empty_partitions(db, until)
        return forgotten

    async def _forget(self, until: datetime) -> int:
        columns = radius_session_archive.c
        began, number, over = columns.acctstarttime, columns.radacctid, columns.acctstoptime
        async with self._alone() as db:
            old = select(began, number).where(began < until, over < until).order_by(began, number).limit(self._at_once)
            gone = await db.execute(delete(radius_session_archive).where(tuple_(began, number).in_(old)))
            return cast("CursorResult[Any]", gone).rowcount


async def _archived_already(db: AsyncSession, numbers: list[int]) -> set[int]:
    """What a packet wrote anew that came while its session was being moved: the archive has the session."""
    same = select(radius_session_archive.c.acctuniqueid).where(is_archived()).exists()
    return set(await db.scalars(select(radacct.c.radacctid).where(radacct.c.radacctid.in_(numbers), same)))


def is_archived() -> ColumnElement[bool]:
    """A session of radacct is this one of the archive. One that began when the other was over, and has used something
    else, is another one, of a NAS that has counted its sessions anew."""
    archived = radius_session_archive.c
    overlaps = func.coalesce(radacct.c.acctstarttime, radacct.c.acctstoptime) <= archived.acctstoptime
    used = ("acctsessiontime", "acctinputoctets", "acctoutputoctets")
    equal = and_(*(radacct.c[name] == archived[name] for name in used))
    return and_(archived.acctuniqueid == radacct.c.acctuniqueid, or_(overlaps, equal))


async def _copy(db: AsyncSession, numbers: list[int]) -> None:
    began = func.coalesce(radacct.c.acctstarttime, radacct.c.acctstoptime)
    names = [column.name for column in radius_session_archive.c]
    columns = [began if name == "acctstarttime" else radacct.c[name] for name in names]
    await db.execute(
        insert(radius_session_archive).from_select(names, select(*columns).where(radacct.c.radacctid.in_(numbers)))
    )


async def make_partitions(db: AsyncSession, months: Collection[date]) -> None:
    """The archive's partitions for sessions that began in these months (their first days)."""
    if dialect_of(db) != "postgresql":
        return
    there = await _partitions(db)
    for month in sorted({_name(month): month for month in months if _name(month) not in there}.values()):
        bounds = f"FROM ('{month} 00:00:00+00') TO ('{_next(month)} 00:00:00+00')"
        for statement in (
            _LOCK_TIMEOUT,
            f"CREATE TABLE {_name(month)} (LIKE radius_session_archive INCLUDING ALL)",
            f"ALTER TABLE radius_session_archive ATTACH PARTITION {_name(month)} FOR VALUES {bounds}",
        ):
            await db.execute(text(statement))


async def _partitions(db: AsyncSession) -> set[str]:
    found = text(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass('radius_session_archive')"
    )
    return set(await db.scalars(found))


async def _drop_empty_partitions(db: AsyncSession, until: datetime) -> None:
    if dialect_of(db) != "postgresql":
        return
    await db.execute(text(_LOCK_TIMEOUT))
    for name in sorted(await _partitions(db)):
        is_over = name.startswith(_PARTITION) and name < _name(_month(until))
        if is_over and not await db.scalar(text(f"SELECT EXISTS (SELECT 1 FROM {name})")):  # noqa: S608 - a name of ours
            await db.execute(text(f"DROP TABLE {name}"))


def _name(month: date) -> str:
    return f"{_PARTITION}{month:%Y_%m}"


def _month(moment: datetime) -> date:
    return moment.astimezone(UTC).date().replace(day=1)


def _next(month: date) -> date:
    return (month + timedelta(days=32)).replace(day=1)
