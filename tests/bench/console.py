"""How long the console's read models and lists take, as one JSON object a line: `make bench-console`.

    make bench-console QUICK=1               1,000 customers and 30,000 accounting rows: within 50 seconds
    make bench-console                       100,000 customers and 5,000,000 accounting rows, on both databases
    make bench-console DATABASE=sqlite ONLY=console.search

The customers, lines, CPEs, tickets and runs are those of `make bench`; the sessions are theirs, one of each open.

* ``console.search``: the one search box, asked for somebody else each time, by what ``what`` says; and how many
  sessions a second are read for the list of MAC addresses.
* ``console.attention``: all that needs a person, with some hundred sessions lost a moment ago.
* ``console.pages``: the pages with lists, for somebody who may see all of them, rendered; and how many bytes each has.

``cpu_ms`` is what our process spends on one of them: where the milliseconds are many more, the machine was busy, or
the database was.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import structlog
import uvloop
from sqlalchemy import text

from provisioning.access import Passwords
from provisioning.api import create_app
from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.console import add_console
from provisioning.lab.names import name_of
from provisioning.migrations import migrate
from provisioning.settings import load_settings
from provisioning.sight import ALL_SIGHT
from provisioning.vault import create_keyring
from tests.bench.console_sessions import fill_sessions, mac_of, spelt_as
from tests.bench.lines import percentile, say
from tests.bench.seed import Size, address_of, phone_of, seed
from tests.support.console import CHEAP, Console, Person
from tests.support.postgres import PostgresServer

QUICK = bool(os.environ.get("QUICK"))
CUSTOMERS = int(os.environ.get("CUSTOMERS") or (1_000 if QUICK else 100_000))
ROWS = int(os.environ.get("ROWS") or (30_000 if QUICK else 5_000_000))
TIMES, WARM = (20 if QUICK else 300), 10
DATABASES = [os.environ["DATABASE"]] if os.environ.get("DATABASE") else ["sqlite", "postgresql"]
ONLY = os.environ.get("ONLY", "")

LISTS = (
    "/home",
    "/queue",
    "/runs",
    "/subscribers",
    "/customers",
    "/customers/77",
    "/quotes",
    "/orders",
    "/tickets",
    "/sessions",
    "/sessions?doubtful=yes",
    "/pools",
    "/access-nodes",
    "/devices",
    "/devices?state=drifted",
    "/mails",
    "/notices",
    "/audit",
)
Ask = Callable[[], Awaitable[Any]]


def main() -> None:
    """Both on each database, or what is asked for."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    for database in DATABASES:
        uvloop.run(_measure(database))


async def _measure(database: str) -> None:
    async with _appliance(database) as appliance:
        await seed(appliance, Size(customers=CUSTOMERS, steps=CUSTOMERS))
        await fill_sessions(appliance, rows=ROWS, customers=CUSTOMERS)
        began = time.perf_counter()
        read = await appliance.station_book.note()
        took = time.perf_counter() - began
        await _analyse(appliance)
        if ONLY in ("", "console.search"):
            _say(database, "console.search", "reading sessions for MAC addresses", rate_per_s=round(read / took, 1))
            await _search(appliance, database)
        if ONLY in ("", "console.attention"):
            await _attention(appliance, database)
        if ONLY in ("", "console.pages"):
            await _pages(appliance, database)


async def _search(appliance: Appliance, database: str) -> None:
    chance, every, spent = random.Random(7), list[float](), 0.0
    for what, typed in TYPED.items():
        took, cpu = await _timed(_asking(appliance, typed, chance))
        every, spent = every + took, spent + cpu
        _say(database, "console.search", what, took, cpu_ms=round(cpu, 2))
    _say(database, "console.search", "all of these in turn", every, cpu_ms=round(spent / len(TYPED), 2))


def _asking(appliance: Appliance, typed: Callable[[random.Random], str], chance: random.Random) -> Ask:
    async def ask() -> None:
        async with appliance.database.read() as db:
            found = await appliance.search_desk(db, ALL_SIGHT).find(typed(chance))
        assert found.hits, found.asked

    return ask


async def _attention(appliance: Appliance, database: str) -> None:
    async def look() -> None:
        async with appliance.database.read() as db:
            seen = await appliance.attention_desk(db, ALL_SIGHT).look()
        assert seen.items

    took, cpu = await _timed(look)
    _say(database, "console.attention", "all that needs a person", took, cpu_ms=round(cpu, 2))


async def _pages(appliance: Appliance, database: str) -> None:
    app = create_app(appliance)
    console = Console(appliance, app, add_console(app, appliance, passwords=Passwords(CHEAP)))
    try:
        admin = await console.somebody("admin")
        for path in LISTS:
            weight = len((await _page(admin, path)).content)
            took, cpu = await _timed(lambda path=path: _page(admin, path))  # type: ignore[misc]
            _say(database, "console.pages", path, took, cpu_ms=round(cpu, 2), octets=weight)
    finally:
        await console.close()


async def _page(person: Person, path: str) -> httpx.Response:
    answer = await person.get(path)
    assert answer.status_code == 200, (path, answer.text)
    return answer


async def _timed(ask: Ask) -> tuple[list[float], float]:
    """How long each took, and what one of them costs our process; both in milliseconds."""
    for _ in range(WARM):
        await ask()
    took, spent = [], time.process_time()
    for _ in range(TIMES):
        began = time.perf_counter()
        await ask()
        took.append((time.perf_counter() - began) * 1000)
    return took, (time.process_time() - spent) * 1000 / TIMES


def _customer(chance: random.Random) -> int:
    return chance.randrange(1, CUSTOMERS + 1)


TYPED: dict[str, Callable[[random.Random], str]] = {
    "a name": lambda chance: name_of(_customer(chance)),
    "half a name": lambda chance: name_of(_customer(chance)).split()[1][:4],
    "a telephone number": lambda chance: phone_of(_customer(chance)),
    "a mail address": lambda chance: f"customer{_customer(chance)}@example.net",
    "a username": lambda chance: f"c{_customer(chance)}-",
    "a MAC address": lambda chance: spelt_as(mac_of(_customer(chance)), ":"),
    "the first half of a MAC address": lambda chance: spelt_as(mac_of(_customer(chance))[:6], "-"),
    "the second half of a MAC address": lambda chance: mac_of(_customer(chance))[6:],
    "an IPv4 address": lambda chance: address_of(_customer(chance)),
    "a serial number in hex": lambda chance: f"48575443{_customer(chance):08X}",
    "the beginning of a serial number": lambda chance: f"HWTC{_customer(chance):08X}"[:10],
    "a bare number": lambda chance: str(_customer(chance)),
    "the number of a ticket": lambda chance: f"ticket {_customer(chance)}",
}


@asynccontextmanager
async def _appliance(database: str) -> AsyncIterator[Appliance]:
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        server = PostgresServer(durable=False) if database == "postgresql" else None
        if server is not None:
            await asyncio.to_thread(server.start)
        try:
            told = {"database_url": server.create_database()} if server is not None else {}
            settings = load_settings(data_dir=Path(folder), **told)
            create_keyring(settings.sealing_key_file, now=utc_now)
            async with open_appliance(settings) as appliance:
                await migrate(appliance.database, appliance.radius_database)
                yield appliance
        finally:
            if server is not None:
                await asyncio.to_thread(server.stop)


async def _analyse(appliance: Appliance) -> None:
    """As PostgreSQL does by itself after a minute; SQLite never does."""
    if not appliance.database.is_postgresql:
        return
    for database in (appliance.database, appliance.radius_database):
        async with database.engine.connect() as connection:
            outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
            await outside.execute(text("VACUUM ANALYZE"))


def _say(database: str, bench: str, what: str, took: Sequence[float] = (), **facts: Any) -> None:
    line = {"bench": bench, "database": database, "what": what, "customers": CUSTOMERS, "rows": ROWS, **facts}
    if took:
        for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95), ("p99_ms", 0.99)):
            line[name] = round(percentile(took, share), 2)
    say({**line, "runs": len(took) or 1})


if __name__ == "__main__":
    main()
