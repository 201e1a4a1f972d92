"""What an allocation costs, as one JSON object a line: `make bench-ipam`.

    make bench-ipam QUICK=1            a few shapes in short windows: within 50 seconds
    make bench-ipam RUNS=5 SECONDS=1   all of them
    make bench-ipam DATABASE=sqlite    on one of the two databases
    make bench-ipam POOL=/8            allocations from pools of that size, and nothing else

Against a *floor*: one bare INSERT and its COMMIT, of a row like an allocation's with the same keys, by the same driver
and engine, in the same database. Both in turn, in windows of ``SECONDS``, ``RUNS`` times, by 1 client and by 8
processes. ``floor`` and ``rate_per_s`` are operations a second, ``ratio`` is how many times the floor an operation
costs (the median of the runs): what else the machine does falls on both sides. On SQLite fresh pools are measured by 8
clients of one process as well (``"processes": 1``): those share COMMITs, as allocations by `firstlight serve` do, and
so does their floor. The databases are a SQLite file and a PostgreSQL server of its own that syncs what it commits.

* ``ipam.allocate``: one allocation, from pools of every size. ``fresh``: ``fill_percent`` of a pool is somebody's and
  the rest was never used. ``churn``: all of it was used before; what a client was given it gives back, untimed, some of
  it at a time, so that allocations come one after the other as the floor's INSERTs do.
* ``ipam.service``: an IPv4 address, a WAN prefix, a delegated prefix and a C-VLAN in one transaction, against one
  INSERT.
* ``ipam.api``: the same through the API. ``cpu_ms`` is what the serving processes spend on one (the client's time isn't
  counted); ``database_cpu_ms`` is what PostgreSQL does besides.

A /8 is filled with reservations, by one statement: minutes and some gigabytes for its 16 million rows, so that it is
measured full only without QUICK, and not in churn.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count, cycle
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import BigInteger, Column, DateTime, MetaData, Table, Text, UniqueConstraint, insert

from ipam import NetworkEstate, NetworkService
from provisioning.access import Tokens
from provisioning.bootstrap import open_appliance, utc_now
from provisioning.database import Database
from provisioning.estate import import_estate
from provisioning.migrations import migrate
from provisioning.settings import Settings, load_settings
from provisioning.vault import create_keyring
from tests.bench.lines import Tally, percentiles, say, told
from tests.bench.load import Client
from tests.bench.networks import PLAN, Shape, make, whole_service
from tests.bench.reading import cpu_seconds, serve, until_served
from tests.bench.seed import ESTATE
from tests.bench.windows import WARM, Acts, Clients
from tests.support.postgres import PostgresServer

QUICK = bool(os.environ.get("QUICK"))
RUNS = int(os.environ.get("RUNS") or (3 if QUICK else 5))
SECONDS = float(os.environ.get("SECONDS") or (0.15 if QUICK else 1.0))
ONLY = os.environ.get("DATABASE", "")
POOL = os.environ.get("POOL", "")
AT_ONCE = (1, 8)
WARM_FOR = {"postgresql": WARM, "sqlite": 2}
"""SQLite keeps a statement from the first time on, and of 8 processes each waits for all others."""
FRESH = (0, 50, 95)
SHAPES = (
    [Shape("/16", "fresh", 0), Shape("/24", "churn", 95)]
    if QUICK
    else [
        *(Shape(pool, "fresh", fill) for pool in ("/24", "/16", "/56 of /40") for fill in FRESH),
        *(Shape("/24", "churn", fill) for fill in (50, 95)),
        *(Shape(pool, "churn", fill) for pool in ("/16", "/56 of /40") for fill in (50, 95, 99.9)),
        *(Shape("/8", "fresh", fill) for fill in FRESH),
    ]
)
REALM = "isp.example"
ROW = Table(
    "bench_floor",
    MetaData(),
    Column("id", BigInteger, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("pool_id", BigInteger, nullable=False),
    Column("unit", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("service_id", BigInteger),
    Column("subject", Text, nullable=False),
    Column("assigned_at", DateTime(timezone=True), nullable=False),
    UniqueConstraint("pool_id", "unit"),
)
_INSERT = insert(ROW)
_ids = count(1)


@dataclass(frozen=True)
class Allocating:
    """Allocations of one tenant, at its places in turn. ``keeps``: how many a client has before it releases them all,
    untimed; None: it releases none."""

    url: str
    tenant_id: str
    locations: tuple[str, ...]
    keeps: int | None = None

    @asynccontextmanager
    async def opened(self, client: int) -> AsyncIterator[Acts]:
        database = Database(self.url, tenant_id=self.tenant_id)
        numbers = (time.monotonic_ns() // 1000 % 10**12 * 100 + client + 100 * each for each in count())
        places = cycle(self.locations)  # of our turns alone, so that no place has more of them than it has room for
        for _ in range(client * len(self.locations) // max(AT_ONCE)):
            next(places)

        async def floor() -> float:
            number = next(numbers)
            row = {"id": number, "tenant_id": self.tenant_id, "pool_id": client, "unit": number, "state": "assigned"}
            row |= {"service_id": number, "subject": f"{number}@1", "assigned_at": utc_now()}
            began = time.perf_counter()
            async with database.sharing.begin() as connection:
                await connection.execute(_INSERT, row)
            return (time.perf_counter() - began) * 1000

        kept: list[int] = []

        async def ours() -> float:
            number, where = next(numbers), next(places)
            began = time.perf_counter()
            async with database.begin(shared=True) as db:
                given = await self._service(db).allocate_resources(
                    customer_id=number, service_location=where, bandwidth_plan=PLAN, request_id=f"bench/{number}"
                )
            took = (time.perf_counter() - began) * 1000
            kept.append(given["service_id"])
            if len(kept) == self.keeps:
                for service_id in kept:
                    async with database.begin() as db:
                        await self._service(db).release_resources(service_id=service_id)
                kept.clear()
            return took

        try:
            yield {"floor": floor, "ours": ours}
        finally:
            await database.close()

    def _service(self, db: Any) -> NetworkService:
        return NetworkService(db, tenant_id=self.tenant_id, now=utc_now, username_realm=REALM)


def main() -> None:
    """Everything, on both databases."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with Clients(max(AT_ONCE)) as clients:
        for database in ("sqlite", "postgresql"):
            if ONLY in ("", database):
                _on(clients, database)


def _on(clients: Clients, database: str) -> None:
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        if database == "sqlite":
            asyncio.run(_measure(clients, database, load_settings(data_dir=Path(folder)), folder))
            return
        with _postgresql() as (url, server):
            settings = load_settings(data_dir=Path(folder), database_url=url)
            asyncio.run(_measure(clients, database, settings, folder, server))


@contextmanager
def _postgresql() -> Iterator[tuple[str, int]]:
    server = PostgresServer(durable=True)
    server.start()
    try:
        pid = int((server.home / "data" / "postmaster.pid").read_text().split()[0])
        yield server.create_database(), pid
    finally:
        server.stop()


async def _measure(clients: Clients, database: str, settings: Settings, folder: str, server: int | None = None) -> None:
    create_keyring(settings.sealing_key_file, now=utc_now)
    async with open_appliance(settings) as appliance:
        await migrate(appliance.database, appliance.radius_database)
        async with appliance.database.engine.begin() as connection:
            await connection.run_sync(ROW.metadata.create_all)
        await import_estate(appliance, ESTATE)
        async with appliance.database.begin() as db:
            tokens = Tokens(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            token = (await tokens.create(name="bench", role="admin", days=1)).secret
    for shape in (each for each in SHAPES if POOL in ("", each.pool)):
        for at_once in AT_ONCE:
            await _one_shape(clients, database, settings.database_url, shape, at_once)
        if database == "sqlite" and shape.state == "fresh":
            await _one_shape(clients, database, settings.database_url, shape, max(AT_ONCE), in_one_process=True)
    if POOL:
        return
    await _whole_service(clients, database, settings.database_url)
    await _api(database, settings, folder, token, server)


async def _one_shape(
    clients: Clients, database: str, url: str, shape: Shape, at_once: int, *, in_one_process: bool = False
) -> None:
    tenant_id = f"bench-{next(_ids)}"
    opened = Database(url, tenant_id=tenant_id)
    async with opened.begin() as db:
        await make(db, tenant_id, shape)
    await opened.close()
    work = Allocating(url, tenant_id, shape.locations, keeps=shape.keeps(at_once))
    free = shape.free(at_once)
    processes, each = (1, at_once) if in_one_process else (at_once, 1)
    how: dict[str, Any] = {"runs": RUNS, "seconds": SECONDS, "at_most": free, "warm": WARM_FOR[database]}
    pairs = clients.alternate(work, clients=processes, at_once=each, **how)
    facts: dict[str, Any] = {"pool": shape.pool, "state": shape.state, "fill_percent": shape.fill_percent}
    facts |= {"processes": 1} if in_one_process else {}
    say(told("ipam.allocate", pairs, database=database, clients=at_once, **facts))


async def _whole_service(clients: Clients, database: str, url: str) -> None:
    tenant_id = f"bench-{next(_ids)}"
    described = whole_service()
    opened = Database(url, tenant_id=tenant_id)
    async with opened.begin() as db:
        await NetworkEstate(db, tenant_id=tenant_id, now=utc_now).apply(described)
    await opened.close()
    work = Allocating(url, tenant_id, tuple(each["id"] for each in described["location"]))
    for at_once in AT_ONCE:
        pairs = clients.alternate(
            work, clients=at_once, runs=RUNS, seconds=SECONDS, at_most=50_000, warm=WARM_FOR[database]
        )
        say(told("ipam.service", pairs, database=database, clients=at_once))


async def _api(database: str, settings: Settings, folder: str, token: str, server: int | None) -> None:
    serving, port = await serve(settings, folder)
    try:
        await until_served(port)
        async with Client("127.0.0.1", port) as client:
            for at_once in AT_ONCE:
                await _ask(client, token, at_once, SECONDS / 2)  # plans, pages and caches get warm
                before = cpu_seconds(serving.pid), cpu_seconds(server) if server else 0.0
                tally = await _ask(client, token, at_once, max(SECONDS * RUNS, 1.0))
                line = _api_line(tally, served=cpu_seconds(serving.pid) - before[0])
                if server:
                    stored = cpu_seconds(server) - before[1]
                    line["database_cpu_ms"] = round(stored / line["operations"] * 1000, 2)
                say({"bench": "ipam.api", "database": database, "clients": at_once, **line})
    finally:
        serving.terminate()
        await serving.wait()


def _api_line(tally: Tally, *, served: float) -> dict[str, Any]:
    took = tally.every_ms
    return {
        "rate_per_s": round(tally.rate_per_s, 1),
        **percentiles(took),
        "cpu_ms": round(served / len(took) * 1000, 2),
        "runs": 1,
        "operations": len(took),
    }


async def _ask(client: Client, token: str, at_once: int, seconds: float) -> Tally:
    """So many clients, each with one request after the other.

    Raises: RuntimeError for an answer that is not 201.
    """
    until = time.perf_counter() + seconds

    async def one() -> list[float]:
        took: list[float] = []
        while time.perf_counter() < until:
            request = _post(token, next(_ids))
            began = time.perf_counter()
            if (status := await client.ask(request)) != 201:
                raise RuntimeError(f"the API has answered {status} instead of 201")
            took.append((time.perf_counter() - began) * 1000)
        return took

    return Tally(await asyncio.gather(*(one() for _ in range(at_once))))


def _post(token: str, number: int) -> bytes:
    wish = {"customer_id": number, "service_location": "LOC-1", "bandwidth_plan": "fiber-300"}
    body = json.dumps(wish)
    head = (
        "POST /api/v1/addresses/services HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {token}",
        f'Idempotency-Key: "bench-{number}"',
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(head) + "\r\n\r\n" + body).encode()


if __name__ == "__main__":
    main()
