"""``radius.queries``: what a NOC asks of radacct, and how long the slowest twentieth of the answers took.

The rows are made by SQL: ``ROWS`` sessions of 20,000 subscribers within a year, one of each subscriber open; and a
tenth as many in the archive, which has the twelve months before.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import uvloop
from sqlalchemy import text

from provisioning.database import Database
from radius import Reaper, SessionLooks, SessionReader
from radius.sessions.aliveness import REOPENS
from radius.sessions.archive import make_partitions
from tests.bench.lines import percentile, say
from tests.bench.radius_tables import QUICK, TENANT, radius_database, utc_now

ROWS = int(os.environ.get("ROWS") or (60_000 if QUICK else 10_000_000))
USERS = 20_000
TIMES, WARM = (30 if QUICK else 500), 12
"""Questions that count, and those before them: connections and plans are made."""
BEGAN, YEAR_SECONDS = 1_735_689_600, 365 * 86_400
GHOSTS, START = 10_000, datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Asking:
    """The product's own questions, each about somebody else than before."""

    looks: SessionLooks
    reader: SessionReader
    chance: random.Random

    @property
    def questions(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        return {
            "open sessions of a user": lambda: self.reader.open_sessions(_name(self.chance)),
            "last 20 sessions of a user": lambda: self.looks.of_user(_name(self.chance), limit=20),
            "who had this address": lambda: self.looks.who_had(
                f"100.64.{self.chance.randrange(64)}.{self.chance.randrange(256)}",
                at=datetime.fromtimestamp(BEGAN + self.chance.randrange(YEAR_SECONDS), UTC),
            ),
            "who had this prefix": lambda: self.looks.who_had(
                f"2001:db8:{self.chance.randrange(USERS):x}::1",
                at=datetime.fromtimestamp(BEGAN + self.chance.randrange(YEAR_SECONDS), UTC),
            ),
            "online, a page of 50": lambda: self.looks.online(limit=50),
            "doubtful, a page of 50": lambda: self.looks.online(limit=50, doubtful=True),
        }


def measure() -> None:
    """Every question, so many times, about somebody else each time."""
    uvloop.run(_measure())


async def _measure() -> None:
    async with radius_database("postgresql", durable=False) as database:
        await _fill(database)
        await _reap(database)
        asking = Asking(
            SessionLooks(database.read, database.look, tenant_id=TENANT, now=utc_now),
            SessionReader(database.look),
            random.Random(7),
        )
        for what, ask in asking.questions.items():
            took = []
            for number in range(TIMES + WARM):
                began = time.perf_counter()
                await ask()
                if number >= WARM:
                    took.append((time.perf_counter() - began) * 1000)
            say(
                {
                    "bench": "radius.queries",
                    "database": "postgresql",
                    "what": what,
                    "rows": ROWS,
                    "p50_ms": round(percentile(took, 0.5), 3),
                    "p95_ms": round(percentile(took, 0.95), 3),
                    "p99_ms": round(percentile(took, 0.99), 3),
                    "runs": len(took),
                }
            )


async def _reap(database: Database) -> None:
    """How long it takes to close what one NAS has left behind, while another session there goes on."""
    now = START
    reaper = Reaper(database.begin, tenant_id=TENANT, now=lambda: now)
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctinterval, acctstarttime,"
            " acctupdatetime, connectinfo_stop) SELECT 'ghost' || n, 'ghost' || n, 'ghost' || n, '10.9.9.9', 300,"
            f" '{START - timedelta(hours=3)}'::timestamptz, '{START - timedelta(hours=2)}'::timestamptz,"
            f" '{REOPENS}'"
            f" FROM generate_series(0, {GHOSTS}) n"
        )
        await connection.exec_driver_sql("ANALYZE radacct")
    swept, seconds = 0, 0.0
    # A NAS has to be heard for three intervals of a session before that session's silence means anything.
    for minutes in (0, 8, 16, 24, 32):
        now = START + timedelta(minutes=minutes)
        async with database.engine.begin() as connection:
            lives = f"UPDATE radacct SET acctupdatetime = '{now}'::timestamptz WHERE acctuniqueid = 'ghost0'"
            await connection.exec_driver_sql(lives)
        began = time.perf_counter()
        swept = (await reaper.sweep()).sessions
        seconds = time.perf_counter() - began
    say(
        {
            "bench": "radius.queries",
            "database": "postgresql",
            "what": "reaping",
            "rows": ROWS,
            "sessions": swept,
            "seconds": round(seconds, 3),
            "rate_per_s": round(swept / seconds, 1),
            "runs": 1,
        }
    )


async def _fill(database: Database) -> None:
    async with database.begin() as db:
        await make_partitions(db, [date(2024, month, 1) for month in range(1, 13)])
    async with database.engine.begin() as connection:
        old = ROWS // 10
        archived = _sessions("radius_session_archive", old, behind=0, still_open=0, first=BEGAN - 366 * 86_400)
        await connection.exec_driver_sql(archived)
        await connection.exec_driver_sql(_sessions("radacct", ROWS, behind=old, still_open=USERS, first=BEGAN))
        await connection.exec_driver_sql(f"SELECT setval('radacct_radacctid_seq', {old + ROWS})")
    async with database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("VACUUM ANALYZE radacct, radius_session_archive"))


def _sessions(table: str, rows: int, *, behind: int, still_open: int, first: int) -> str:
    """So many within a year from then on (seconds since 1970), numbered behind that one, the last ones still open."""
    step = YEAR_SECONDS / rows
    statement = (
        f"INSERT INTO {table} (radacctid, acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime,"
        " acctupdatetime, acctstoptime, acctsessiontime, acctinputoctets, acctoutputoctets, framedipaddress,"
        f" delegatedipv6prefix) SELECT {behind} + n, n::text, md5(n::text), 'u' || n % {USERS} || '@isp.example',"
        " '10.0.0.1'::inet + n % 10, began, began + interval '1 hour',"
        f" CASE WHEN n <= {rows} - {still_open} THEN began + interval '1 hour' END, 3600, 1000, 1000,"
        f" '100.64.0.0'::inet + n % {USERS}, ('2001:db8:' || to_hex(n % {USERS}) || '::/48')::inet"
        f" FROM (SELECT n, to_timestamp({first} + n * {step}) AS began FROM generate_series(1, {rows}) n) made"
    )
    return statement.replace("%", "%%")


def _name(chance: random.Random) -> str:
    return f"u{chance.randrange(USERS)}@isp.example"
