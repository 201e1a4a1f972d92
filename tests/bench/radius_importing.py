"""``radius.import``: subscribers by the thousand into FreeRADIUS' tables, against the database's own quickest way."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import psycopg
import uvloop
from sqlalchemy import select
from sqlalchemy.orm import registry

from provisioning.bootstrap import open_appliance
from provisioning.database import Database
from provisioning.migrations import migrate
from provisioning.settings import load_settings
from provisioning.subscriber_files import bring_in, opened
from provisioning.vault import create_keyring
from radius import PlanTerms
from radius.importing.rows import show_new
from radius.projection.freeradius_tables import freeradius_metadata
from radius.projection.radius_database import Wish
from tests.bench.lines import say
from tests.bench.radius_tables import (
    PLAN,
    RUNS,
    SUBSCRIBERS,
    TABLES,
    connection_string,
    radius_database,
    utc_now,
    wishes,
)
from tests.support.postgres import PostgresServer

BATCH = 5000
ONE_BY_ONE = 200
COLUMNS = {
    "radcheck": "username, attribute, op, value",
    "radreply": "username, attribute, op, value",
    "radusergroup": "username, groupname, priority",
}
MAPPER = registry()
Columns = dict[str, list[tuple[Any, ...]]]


def measure() -> None:
    """Both databases, and on each all of an import."""
    uvloop.run(_measure())


async def _measure() -> None:
    wanted = await asyncio.to_thread(wishes, SUBSCRIBERS)
    for kind in ("sqlite", "postgresql"):
        async with radius_database(kind) as database:
            await _against_the_floor(kind, database, wanted)
        await _whole(kind)


async def _against_the_floor(kind: str, database: Database, wanted: Sequence[Wish]) -> None:
    rows = _by_table(wanted)
    floor = (lambda: _copied(database, rows)) if kind == "postgresql" else (lambda: _executed(database, rows))
    pairs = []
    for _ in range(RUNS):
        took = [await _timed(database, floor), await _timed(database, lambda: _shown(database, wanted))]
        pairs.append(took)
    one_by_one = await _one_by_one(database, wanted[:ONE_BY_ONE])
    bare = await _bare_one_by_one(database, wanted[:ONE_BY_ONE])
    rate = SUBSCRIBERS / statistics.median(ours for _, ours in pairs)
    say(
        {
            "bench": "radius.import",
            "database": kind,
            "subscribers": SUBSCRIBERS,
            "rows": sum(map(len, rows.values())),
            "ratio": round(statistics.median(ours / floor for floor, ours in pairs), 2),
            "floor": round(SUBSCRIBERS / statistics.median(floor for floor, _ in pairs), 1),
            "rate_per_s": round(rate, 1),
            "row_by_row_per_s": round(one_by_one, 1),
            "times_row_by_row": round(rate / one_by_one, 1),
            "times_bare_row_by_row": round(rate / bare, 1),
            "runs": len(pairs),
        }
    )


async def _timed(database: Database, act: Callable[[], Awaitable[None]]) -> float:
    """Seconds, from empty tables on."""
    async with database.begin() as db:
        connection = await db.connection()
        for table in TABLES:
            await connection.exec_driver_sql(f"{'TRUNCATE' if database.is_postgresql else 'DELETE FROM'} {table}")
    began = time.perf_counter()
    await act()
    return time.perf_counter() - began


async def _shown(database: Database, wanted: Sequence[Wish]) -> None:
    for start in range(0, len(wanted), BATCH):
        async with database.begin() as db:
            await show_new(db, wanted[start : start + BATCH], utc_now(), seen={}, beside=database.begin)


async def _copied(database: Database, rows: Columns) -> None:
    async with await psycopg.AsyncConnection.connect(connection_string(database)) as connection:
        for table, values in rows.items():
            text = "".join("\t".join(map(str, row)) + "\n" for row in values)
            async with (
                connection.cursor() as cursor,
                cursor.copy(f"COPY {table} ({COLUMNS[table]}) FROM STDIN") as copy,
            ):
                await copy.write(text)


async def _executed(database: Database, rows: Columns) -> None:
    def execute() -> None:
        with sqlite3.connect(str(database.url.database)) as connection:
            connection.execute("PRAGMA synchronous=FULL")
            for table, values in rows.items():
                places = ", ".join("?" * len(values[0]))
                connection.executemany(f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({places})", values)
        connection.close()

    await asyncio.to_thread(execute)


class _Check: ...


class _Reply: ...


class _Membership: ...


MAPPED: dict[str, type[Any]] = {"radcheck": _Check, "radreply": _Reply, "radusergroup": _Membership}
for _name, _mapped in MAPPED.items():
    MAPPER.map_imperatively(_mapped, freeradius_metadata.tables[_name])


async def _one_by_one(database: Database, wanted: Sequence[Wish]) -> float:
    """Subscribers a second as front ends do it: each is looked for, its rows are made as objects, and committed."""
    known = freeradius_metadata.tables["radcheck"].c

    async def act() -> None:
        for wish in wanted:
            async with database.begin() as db:
                if await db.scalar(select(_Check).where(known.username == wish.name)) is not None:
                    raise RuntimeError(f"{wish.name} is there already")
                for table, values in _by_table([wish]).items():
                    for row in values:
                        made = MAPPED[table]()
                        for column, value in zip(COLUMNS[table].split(", "), row, strict=True):
                            setattr(made, column, value)
                        db.add(made)
                await db.flush()

    return len(wanted) / await _timed(database, act)


async def _bare_one_by_one(database: Database, wanted: Sequence[Wish]) -> float:
    """The same without objects: the least that row by row can cost."""

    async def act() -> None:
        for wish in wanted:
            async with database.begin() as db:
                connection = await db.connection()
                mark = "%s" if database.is_postgresql else "?"
                await connection.exec_driver_sql(f"SELECT 1 FROM radcheck WHERE username = {mark}", (wish.name,))
                for table, values in _by_table([wish]).items():
                    places = ", ".join(mark for _ in values[0])
                    insertion = f"INSERT INTO {table} ({COLUMNS[table]}) VALUES ({places})"
                    for row in values:
                        await connection.exec_driver_sql(insertion, row)

    return len(wanted) / await _timed(database, act)


def _by_table(wanted: Sequence[Wish]) -> Columns:
    rows: Columns = {table: [] for table in COLUMNS}
    for wish in wanted:
        for row in wish.rows:
            values = [value for _, value in row.columns]
            rows[row.table].append(
                (row.owner, values[0], int(values[1])) if row.table == "radusergroup" else (row.owner, *values)
            )
    return rows


async def _whole(kind: str) -> None:
    """A list of so many lines, on an appliance of its own."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        if kind == "sqlite":
            await _import_all(kind, Path(folder), {})
            return
        server = PostgresServer(durable=True)
        await asyncio.to_thread(server.start)
        try:
            await _import_all(kind, Path(folder), {"database_url": server.create_database()})
        finally:
            await asyncio.to_thread(server.stop)


async def _import_all(kind: str, folder: Path, more: dict[str, Any]) -> None:
    settings = load_settings(data_dir=folder, **more)
    create_keyring(settings.sealing_key_file, now=utc_now)
    lines = "".join(f"u{number}@isp.example,{number},{PLAN}\n" for number in range(1, SUBSCRIBERS + 1))
    content = f"username,customer_id,plan\n{lines}".encode()
    async with open_appliance(settings) as appliance:
        await migrate(appliance.database, appliance.radius_database)
        async with appliance.database.begin() as db:
            await appliance.services(db).radius_service.define_plan(name=PLAN, terms=PlanTerms(100_000, 20_000))
        took = []
        for _ in range(2):
            began = time.perf_counter()
            done = await bring_in(appliance, await opened(content), audited=lambda _counts: None)
            took.append(time.perf_counter() - began)
        if done.unchanged != SUBSCRIBERS or done.failed:
            raise RuntimeError(f"the same list again has changed something: {done}")
    say(
        {
            "bench": "radius.import",
            "database": kind,
            "part": "whole",
            "subscribers": SUBSCRIBERS,
            "rate_per_s": round(SUBSCRIBERS / took[0], 1),
            "again_per_s": round(SUBSCRIBERS / took[1], 1),
            "runs": 1,
        }
    )
