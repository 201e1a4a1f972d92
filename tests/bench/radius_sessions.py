"""``radius.queries``: what a NOC asks of radacct, and how long the slowest twentieth of the answers took.

The rows are made by SQL: ``ROWS`` sessions of 20,000 subscribers within a year, one of each subscriber open.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from provisioning.database import Database
from tests.bench.lines import percentile, say
from tests.bench.radius_tables import QUICK, radius_database

ROWS = int(os.environ.get("ROWS") or (200_000 if QUICK else 10_000_000))
USERS = 20_000
TIMES = 200
COLUMNS = "radacctid, acctsessionid, username, nasipaddress, framedipaddress, acctstarttime, acctstoptime"
QUESTIONS: dict[str, tuple[str, Callable[[random.Random], dict[str, Any]]]] = {
    "open sessions of a user": (
        f"SELECT {COLUMNS} FROM radacct WHERE username = :name AND acctstoptime IS NULL"
        " ORDER BY acctstarttime DESC, radacctid DESC",
        lambda chance: {"name": _name(chance)},
    ),
    "last 20 sessions of a user": (
        f"SELECT {COLUMNS} FROM radacct WHERE username = :name ORDER BY acctstarttime DESC, radacctid DESC LIMIT 20",
        lambda chance: {"name": _name(chance)},
    ),
    "who had this address": (
        f"SELECT {COLUMNS} FROM radacct WHERE framedipaddress = CAST(:address AS inet)"
        " AND acctstarttime <= to_timestamp(:at) AND (acctstoptime IS NULL OR acctstoptime >= to_timestamp(:at))"
        " ORDER BY acctstarttime DESC LIMIT 1",
        lambda chance: {
            "address": f"100.64.{chance.randrange(64)}.{chance.randrange(256)}",
            "at": BEGAN + chance.randrange(YEAR_SECONDS),
        },
    ),
    "online, a page of 50": (
        f"SELECT {COLUMNS} FROM radacct WHERE acctstoptime IS NULL AND nasipaddress = CAST(:nas AS inet)"
        " ORDER BY acctstarttime DESC LIMIT 50",
        lambda chance: {"nas": f"10.0.0.{chance.randrange(1, 11)}"},
    ),
}
BEGAN, YEAR_SECONDS = 1_735_689_600, 365 * 86_400


def measure() -> None:
    """Every question, so many times, about somebody else each time."""
    asyncio.run(_measure())


async def _measure() -> None:
    async with radius_database("postgresql", durable=False) as database:
        await _fill(database)
        chance = random.Random(7)
        for what, (question, about) in QUESTIONS.items():
            took = []
            async with database.read() as db:
                for number in range(TIMES + 20):
                    given = about(chance)
                    began = time.perf_counter()
                    (await db.execute(text(question), given)).all()
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


async def _fill(database: Database) -> None:
    step = YEAR_SECONDS / ROWS
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(
            "INSERT INTO radacct (acctsessionid, acctuniqueid, username, nasipaddress, acctstarttime, acctupdatetime,"
            " acctstoptime, acctsessiontime, acctinputoctets, acctoutputoctets, framedipaddress)"
            f" SELECT n::text, md5(n::text), 'u' || n % {USERS} || '@isp.example', '10.0.0.1'::inet + n % 10,"
            f" began, began + interval '1 hour', CASE WHEN n <= {ROWS} - {USERS} THEN began + interval '1 hour' END,"
            f" 3600, 1000, 1000, '100.64.0.0'::inet + n % {USERS}"
            f" FROM (SELECT n, to_timestamp({BEGAN} + n * {step}) AS began FROM generate_series(1, {ROWS}) n) made"
        )
    async with database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("VACUUM ANALYZE radacct"))


def _name(chance: random.Random) -> str:
    return f"u{chance.randrange(USERS)}@isp.example"
