"""``radius.queries``: what a NOC asks about sessions, and how long the slowest twentieth of the answers took; and
``radius.reaper``: one sweep that closes ``SILENT`` sessions.

What is asked are the product's own looks, so what is measured is what it waits for. The rows are made by SQL: ``ROWS``
sessions of 20,000 subscribers within a year, one of each subscriber open; of those the reaper finds silent as many as
the line says.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from provisioning.database import Database
from radius import Reaper, SessionLooks, SessionReader, UsageLooks
from tests.bench.lines import percentile, say
from tests.bench.radius_tables import QUICK, TENANT, radius_database

ROWS = int(os.environ.get("ROWS") or (200_000 if QUICK else 10_000_000))
USERS = 20_000
SILENT = 10_000
TIMES = 200
BEGAN, YEAR_SECONDS = 1_735_689_600, 365 * 86_400
END = datetime.fromtimestamp(BEGAN + YEAR_SECONDS, UTC)


class _Asked:
    """What is measured, about somebody else each time."""

    def __init__(self, database: Database) -> None:
        self._looks = SessionLooks(database.read, tenant_id=TENANT, now=lambda: END)
        self._usage = UsageLooks(database.read, tenant_id=TENANT)
        self._reader = SessionReader(database.begin)
        self._chance = random.Random(7)

    @property
    def questions(self) -> dict[str, Callable[[], Awaitable[Any]]]:
        looks, chance = self._looks, self._chance
        month = {"first_day": END.date() - timedelta(days=30), "last_day": END.date()}
        return {
            "open sessions of a user": lambda: self._reader.open_sessions(_name(chance)),
            "last 20 sessions of a user": lambda: looks.of_user(_name(chance), limit=20),
            "who had this address": lambda: looks.who_had(
                f"100.64.{chance.randrange(64)}.{chance.randrange(256)}",
                at=END - timedelta(seconds=chance.randrange(YEAR_SECONDS)),
            ),
            "online, a page of 50": lambda: looks.online(nas_address=f"10.0.0.{chance.randrange(1, 11)}"),
            "doubtful, a page of 50": lambda: looks.online(doubtful=True),
            "a user's month": lambda: self._usage.of_user(_name(chance), **month),
        }


def measure() -> None:
    """Every question, so many times; then the sweep."""
    asyncio.run(_measure())


async def _measure() -> None:
    async with radius_database("postgresql", durable=False) as database:
        await _fill(database)
        for what, ask in _Asked(database).questions.items():
            took = []
            for number in range(TIMES + 20):
                began = time.perf_counter()
                await ask()
                if number >= 20:  # the first ones make connections and plans
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
        await _sweep(database)


async def _sweep(database: Database) -> None:
    """Two looks: the first learns that the NASes are heard, the second, an hour later, closes."""
    now = END
    reaper = Reaper(database.begin, tenant_id=TENANT, now=lambda: now)
    assert (await reaper.sweep()).sessions == 0
    async with database.begin() as db:
        await db.execute(text("UPDATE radius_nas_heard SET heard_since = heard_since - interval '1 hour'"))
    began = time.perf_counter()
    reaped = await reaper.sweep()
    assert reaped.sessions == SILENT, reaped
    say(
        {
            "bench": "radius.reaper",
            "database": "postgresql",
            "rows": ROWS,
            "open": USERS,
            "closed": reaped.sessions,
            "seconds": round(time.perf_counter() - began, 3),
        }
    )


async def _run(connection: AsyncConnection, statement: str) -> None:
    await connection.execute(text(statement))


async def _fill(database: Database) -> None:
    step = YEAR_SECONDS / ROWS
    async with database.engine.begin() as connection:
        await _run(
            connection,
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime,"
            " acctstoptime, acctsessiontime, acctinputoctets, acctoutputoctets, framedipaddress, connectinfo_stop)"
            f" SELECT n::text, md5(n::text), 'u' || n % {USERS} || '@isp.example', '10.0.0.1'::inet + n % 10, began,"
            f" CASE WHEN open AND n % {USERS} < {SILENT} THEN began + interval '1 second'"
            f" WHEN open THEN to_timestamp({BEGAN + YEAR_SECONDS}) ELSE began + interval '1 hour' END,"
            " CASE WHEN NOT open THEN began + interval '1 hour' END, 3600, 1000, 1000,"
            f" '100.64.0.0'::inet + n % {USERS}, CASE WHEN open THEN 'firstlight' END"
            f" FROM (SELECT n, n > {ROWS} - {USERS} AS open, to_timestamp({BEGAN} + n * {step})"
            f" - CASE WHEN n > {ROWS} - {USERS} THEN interval '1 hour' ELSE interval '0' END AS began"
            f" FROM generate_series(1, {ROWS}) n) made",
        )
        await _run(
            connection,
            "INSERT INTO radusergroup (username, groupname)"
            f" SELECT 'u' || n || '@isp.example', 'plan' FROM generate_series(0, {USERS - 1}) n",
        )
        await _run(
            connection,
            "INSERT INTO radgroupreply (groupname, attribute, op, value)"
            " VALUES ('plan', 'Acct-Interim-Interval', '=', '300')",
        )
    async with database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("VACUUM ANALYZE"))


def _name(chance: random.Random) -> str:
    return f"u{chance.randrange(USERS)}@isp.example"
