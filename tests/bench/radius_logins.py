"""``radius.auth``: logins through the real FreeRADIUS in one question and in five, and in one beside an import.

Five twice: by our raddb, where all else is alike, and by the configuration that Debian ships. One twice: with the log
of logins as a row each, and as lines of a file, which are carried into the same table meanwhile.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import delete, insert, text

from provisioning.database import Database
from radius import GivingWay, LoginCarrier, LoginLog
from radius.importing.rows import show_new
from radius.lists import among
from radius.projection.freeradius_tables import (
    freeradius_metadata,
    radcheck,
    radius_projection,
    radreply,
    radusergroup,
)
from radius.projection.freeradius_tables import nas as nas_table
from radius.testing import FreeRadiusServer
from radius.testing.freeradius_server import LoginQueries, libpq_string
from tests.bench.lines import percentiles, say
from tests.bench.radius_load import Logins, log_in
from tests.bench.radius_stock import SHIPPED, login_table, stock_is_readable, stock_server
from tests.bench.radius_tables import (
    PLAN,
    QUICK,
    RUNS,
    SECONDS,
    TENANT,
    group_rows,
    radius_database,
    utc_now,
    wishes,
)
from tests.bench.windows import FORK
from tests.support.freeradius import RADDB

SECRET = "a-bench-secret-of-24-characters"
SUBSCRIBERS = 10_000 if QUICK else 100_000
UNDER_WAY_SECONDS = 0.3 if QUICK else 2.0
"""For how long logins go on beside an import before they are counted."""
BATCH = 500
STOCK = "stock"
TO_FILES = "one, logins to files,"
CARRIED_EVERY_SECONDS = 1.0


def measure() -> None:
    """Who asks is a process of its own, made while there is no event loop that it would inherit."""
    with FORK.Pool(1) as pool:
        uvloop.run(_measure(pool))


async def _measure(pool: Any) -> None:
    """One PostgreSQL, and a server for each way on the same tables."""
    async with radius_database("postgresql", durable=False) as database:
        await _fill(database)
        with ExitStack() as closing:
            folder = closing.enter_context(tempfile.TemporaryDirectory(prefix="firstlight-bench-"))
            common: Any = {
                "raddb": RADDB,
                "database_url": database.url.render_as_string(hide_password=False),
                "schema": "radius",
                "nas_lifetime_seconds": 3600,
            }
            ways: tuple[tuple[str, LoginQueries], ...] = (("one", "one"), ("five", "five"), (TO_FILES, "one"))
            servers = {
                name: FreeRadiusServer(run_dir=Path(folder) / name, login_queries=queries, **common)
                for name, queries in ways
            }
            logins = Path(folder) / "logins"
            servers[TO_FILES].write_logins_to(logins)
            for server in servers.values():
                await asyncio.to_thread(server.start)
                closing.callback(server.stop)
            ports = {queries: server.auth_port for queries, server in servers.items()}
            if stock_is_readable():
                radius_db = libpq_string(database.url, "radius")
                (Path(folder) / STOCK).mkdir()
                ports[STOCK] = closing.enter_context(stock_server(Path(folder) / STOCK, radius_db, SECRET))
            bench = _Bench(pool, ports)
            async with _carried(LoginCarrier(logins, database.begin, now=utc_now)):
                for ours in ("one", TO_FILES):
                    for other in ("five", STOCK):
                        if not QUICK or other == STOCK:
                            await bench.against(other, ours)
                for ours in (TO_FILES,) if QUICK else ("one", TO_FILES):
                    await bench.beside_an_import(database, ours)


class _Bench:
    """``ports``: where each way of asking the database is served."""

    def __init__(self, pool: Any, ports: dict[str, int]) -> None:
        self._pool = pool
        self._ports = ports

    async def against(self, other: str, ours: str) -> None:
        if other not in self._ports:
            say({"bench": "radius.auth", "what": f"{ours} against {other}", "left_out": f"{SHIPPED} is root's to read"})
            return
        for queries in (ours, other):
            await self._window(queries, SECONDS / 2)  # its connections are made
        floors, pairs = [await self._window(other)], []
        for _ in range(RUNS):  # each of ours stands between two others: a machine's pace drifts
            mine = await self._window(ours)
            floors.append(await self._window(other))
            pairs.append((_both(*floors[-2:]), mine))
        say(_line(f"{ours} against {other}", pairs))

    async def beside_an_import(self, database: Database, ours: str) -> None:
        """Each window beside an import stands between two without one as well, and each of the three behind one that is
        not counted: an import learns there how many log in, and a machine is quicker when it has rested."""
        pairs, imported = [], list[float]()
        for _ in range(1 if QUICK else RUNS):
            await self._window(ours, UNDER_WAY_SECONDS)
            before = await self._window(ours)
            work = _Import(database)
            importing = asyncio.create_task(work.go_on())
            await self._window(ours, UNDER_WAY_SECONDS)
            already, began = work.shown, time.perf_counter()
            beside = await self._window(ours)
            imported.append((work.shown - already) / (time.perf_counter() - began))
            work.ended.set()
            await importing
            await self._window(ours, UNDER_WAY_SECONDS)
            pairs.append((_both(before, await self._window(ours)), beside))
        say({**_line(f"{ours} beside an import", pairs), "imported_per_s": round(statistics.median(imported), 1)})

    async def _window(self, queries: str, seconds: float = SECONDS) -> Logins:
        asked = {"subscribers": SUBSCRIBERS, "seconds": seconds, "signed": queries != STOCK}
        port = self._ports[queries]
        done: Logins = await asyncio.to_thread(self._pool.apply, log_in, (port, SECRET.encode()), asked)
        return done


def _both(before: Logins, after: Logins) -> Logins:
    return Logins(
        before.took_ms + after.took_ms,
        before.seconds + after.seconds,
        before.wrong + after.wrong,
        before.lost + after.lost,
    )


def _line(what: str, pairs: Sequence[tuple[Logins, Logins]]) -> dict[str, Any]:
    every = [window for pair in pairs for window in pair]
    took = [each for _, ours in pairs for each in ours.took_ms]
    return {
        "bench": "radius.auth",
        "database": "postgresql",
        "what": what,
        "subscribers": SUBSCRIBERS,
        "ratio": round(statistics.median(ours.rate_per_s / floor.rate_per_s for floor, ours in pairs), 2),
        "floor": round(statistics.median(floor.rate_per_s for floor, _ in pairs), 1),
        "rate_per_s": round(statistics.median(ours.rate_per_s for _, ours in pairs), 1),
        **percentiles(took),
        "wrong": sum(window.wrong for window in every),
        "lost": sum(window.lost for window in every),
        "runs": len(pairs),
    }


@asynccontextmanager
async def _carried(carrier: LoginCarrier) -> AsyncIterator[None]:
    """As a worker does it; where that fails, the bench does."""
    ended = asyncio.Event()

    async def carry() -> None:
        while not ended.is_set():
            await carrier.carry()
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), CARRIED_EVERY_SECONDS)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(carry())
        yield
        ended.set()


class _Import:
    """Subscribers are brought in, batch by batch, until it is over; they are taken away again."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.shown = 0
        self.ended = asyncio.Event()

    async def go_on(self) -> None:
        """As an import of a file does it, each batch after the rest that it owes to those who log in."""
        database = self._database
        giving_way, seen = GivingWay(LoginLog(database.read, database.begin)), dict[str, Any]()
        while not self.ended.is_set():
            wanted = await asyncio.to_thread(wishes, BATCH, SUBSCRIBERS + self.shown)
            async with giving_way.batch(), database.begin() as db:
                await show_new(db, wanted, utc_now(), seen=seen, beside=database.begin)
            self.shown += len(wanted)
        await self._take_away()

    async def _take_away(self) -> None:
        first = SUBSCRIBERS + 1
        names = [f"u{number}@isp.example" for number in range(first, first + self.shown)]
        async with self._database.begin() as db:
            for table in (radcheck, radreply, radusergroup):
                await db.execute(delete(table).where(among(db, table.c.username, names)))
            await db.execute(delete(radius_projection).where(among(db, radius_projection.c.name, names)))
        async with self._database.engine.connect() as connection:
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(text("VACUUM ANALYZE"))


async def _fill(database: Database) -> None:
    """So many active subscribers, each with its own address, the plan's rows, and the NAS that asks."""
    name, numbers = "'u' || n || '@isp.example'", f"generate_series(1, {SUBSCRIBERS}) n"
    async with database.begin() as db:
        nas = {"nasname": "127.0.0.1", "shortname": "bng", "type": "mikrotik", "secret": SECRET}
        await db.execute(insert(nas_table).values(nas))
        for row in group_rows():
            values = {"groupname": row.owner, **dict(row.columns)}
            await db.execute(insert(freeradius_metadata.tables[row.table]).values(values))
        for statement in (
            "INSERT INTO radcheck (username, attribute, op, value)"
            f" SELECT {name}, 'Cleartext-Password', ':=', 'pw-' || lpad(n::text, 18, '0') FROM {numbers}",
            "INSERT INTO radreply (username, attribute, op, value)"
            f" SELECT {name}, 'Framed-IP-Address', ':=', host('100.64.0.0'::inet + n) FROM {numbers}",
            f"INSERT INTO radusergroup (username, groupname) SELECT {name}, '{TENANT}/{PLAN}' FROM {numbers}",
        ):
            await (await db.connection()).exec_driver_sql(statement)
        if stock_is_readable():
            await (await db.connection()).exec_driver_sql(f"SET LOCAL search_path = radius; {login_table()}")
    async with database.engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await outside.execute(text("VACUUM ANALYZE"))
