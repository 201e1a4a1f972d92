"""What every bench of RADIUS' side needs: how long to measure, a database with FreeRADIUS' tables, rows in them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from provisioning.database import Database
from radius.plans.terms import PlanTerms, columns_of
from radius.projection.projection import Row, digest, plan_rows, rows_for
from radius.projection.radius_database import Wish
from radius.tables import Plan, Subscriber
from tests.support.freeradius import prepare_radius_database
from tests.support.postgres import PostgresServer

QUICK = bool(os.environ.get("QUICK"))
RUNS = int(os.environ.get("RUNS") or (3 if QUICK else 5))
SECONDS = float(os.environ.get("SECONDS") or (0.4 if QUICK else 5.0))
SUBSCRIBERS = 2_000 if QUICK else 100_000
TENANT, PLAN = "bench", "fiber-100"
TABLES = ("radcheck", "radreply", "radusergroup", "radius_projection")
AT = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def utc_now() -> datetime:
    return datetime.now(UTC)


def plan() -> Plan:
    """A plan as our table has it."""
    return Plan(id=1, tenant_id=TENANT, name=PLAN, version=1, **columns_of(PlanTerms(100_000, 20_000)))


def wishes(count: int, behind: int = 0) -> list[Wish]:
    """What FreeRADIUS is to be told of so many active subscribers, with numbers above ``behind``: three rows each."""
    its_plan = plan()
    made = []
    for number in range(behind + 1, behind + count + 1):
        subscriber = Subscriber(
            id=number,
            tenant_id=TENANT,
            username=f"u{number}@isp.example",
            plan_id=1,
            state="active",
            version=1,
            service_id=number,
            framed_routes="",
            framed_ipv6_routes="",
        )
        rows = rows_for(subscriber, its_plan, f"pw-{number:018d}")
        made.append(Wish("subscriber", subscriber.username, TENANT, number, 1, rows, digest(rows)))
    return made


def group_rows() -> tuple[Row, ...]:
    """The plan's rows in every dialect."""
    return plan_rows(plan())


@asynccontextmanager
async def radius_database(kind: str, *, durable: bool = True) -> AsyncIterator[Database]:
    """FreeRADIUS' tables, empty, in a SQLite file or on a PostgreSQL server of its own."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
            url = f"sqlite+aiosqlite:///{Path(folder)}/radius.db"
            await asyncio.to_thread(prepare_radius_database, url, None)
            database = Database(url)
            try:
                yield database
            finally:
                await database.close()
        return
    server = PostgresServer(durable=durable)
    await asyncio.to_thread(server.start)
    try:
        url = server.create_database()
        await asyncio.to_thread(prepare_radius_database, url, "radius")
        database = Database(url, schema="radius")
        try:
            yield database
        finally:
            await database.close()
    finally:
        await asyncio.to_thread(server.stop)


def connection_string(database: Database) -> str:
    """The same database for psycopg itself."""
    url = database.url
    return psycopg.conninfo.make_conninfo(
        host=str(url.query["host"]), user=url.username, dbname=url.database, options="-csearch_path=radius"
    )
