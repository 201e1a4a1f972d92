"""A million allocations and releases by many clients at once, and what an independent look at them finds.

    OPERATIONS=1000000 CLIENTS=16 DATABASE_URL=postgresql://... .venv/bin/python -m tests.bench.million

Each client is a process with a log of its own, in which it writes what was acknowledged, and when, after the commit.
The check knows nothing of our services: it reads those logs, and the tables by plain SQL. ``duplicates``: units that
two services held at a time by the logs, or that two rows give to somebody. ``leaks``: units that are neither free nor
anybody's, or that somebody has who was never told so or has given them back. ``lost``: what was acknowledged and isn't
there. The exit status is 1 if any of them isn't 0. Without ``DATABASE_URL``, it is done on a PostgreSQL server of its
own.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, TextIO

import structlog
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url

from ipam import NetworkEstate, NetworkService, PoolBusy, PoolExhausted
from ipam.tables import IpamBase
from provisioning.bootstrap import utc_now
from provisioning.database import Database, sync_url
from tests.bench.lines import say
from tests.bench.networks import PLAN
from tests.bench.windows import FORK
from tests.support.postgres import PostgresServer

TENANT = "million"
HELD_BY_ONE = 40
"""A client that holds so many lines gives one back; with 16 of them, some 640 of the 1,022 addresses are held."""
NETWORK = "10.0.0.0/22"


@dataclass(frozen=True)
class Stay:
    """A unit was a service's from then to then for certain: from when it was told so until it asked to give it back."""

    unit: str
    service_id: int
    since: float
    until: float


@dataclass(frozen=True)
class Held:
    """What the logs come to."""

    stays: list[Stay]
    now: dict[int, frozenset[str]]
    """By service what it holds in the end."""
    allocated: int
    released: int
    refused: int


def described() -> dict[str, Any]:
    """Two scarce pools, whose units come back at once."""
    pools = {"ipv4": NETWORK, "ipv6_pd": "2001:db8::/46"}
    bindings = [{"bng": "bng-1"}]
    return {
        "bng": [{"name": "bng-1"}],
        "site": [{"name": "site-1"}],
        "access_node": [{"name": "OLT-1", "site": "site-1", "bng": "bng-1"}],
        "location": [{"id": "LOC-1", "access_node": "OLT-1"}],
        "plan": [{"name": PLAN, "access": "pppoe", "ipv6_pd": True}],
        "pool": [
            {"name": kind, "kind": kind, "network": network, "quarantine_seconds": 0, "bindings": bindings}
            for kind, network in pools.items()
        ],
        "vlan_group": [{"name": "metro", "vids": ["100-199"]}],
        "svlan": [{"group": "metro", "vid": 100, "bindings": bindings}],
    }


def run(url: str, *, operations: int, clients: int, folder: Path) -> dict[str, Any]:
    """Allocates and releases, and checks."""
    asyncio.run(_describe(url))
    began = time.monotonic()
    shares = [operations // clients + (number < operations % clients) for number in range(clients)]
    processes = [
        FORK.Process(target=_come_and_go, args=(url, number, share, folder / f"{number}.log"))
        for number, share in enumerate(shares)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    if any(process.exitcode for process in processes):
        raise RuntimeError("a client has failed; what it said is above")
    seconds = time.monotonic() - began
    held = read_logs(sorted(folder.glob("*.log")))
    engine = create_engine(sync_url(make_url(url)))
    try:
        with engine.connect() as connection:
            found = check(connection, held)
    finally:
        engine.dispose()
    done = held.allocated + held.released
    return {
        "bench": "ipam.million",
        "database": make_url(url).get_backend_name(),
        "clients": clients,
        "operations": done,
        "allocated": held.allocated,
        "released": held.released,
        "refused": held.refused,
        **{name: len(what) for name, what in found.items()},
        "rate_per_s": round(done / seconds, 1),
        "seconds": round(seconds, 1),
    }


async def _describe(url: str) -> None:
    database = Database(url, tenant_id=TENANT)
    async with database.begin() as db:
        await NetworkEstate(db, tenant_id=TENANT, now=utc_now).apply(described())
    await database.close()


def _come_and_go(url: str, client: int, operations: int, log: Path) -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    with log.open("w", buffering=1) as written:  # what was told is in the log, whatever becomes of the client
        asyncio.run(_Client(url, client, written).work(operations))


class _Client:
    """Takes and gives back, and writes down what it was told."""

    def __init__(self, url: str, client: int, log: TextIO) -> None:
        self._database = Database(url, tenant_id=TENANT)
        self._client = client
        self._log = log
        self._held: list[int] = []
        self._chance = random.Random(client)
        self._customers = 0

    async def work(self, operations: int) -> None:
        for _ in range(operations):
            full = len(self._held) >= HELD_BY_ONE
            if self._held and (full or self._chance.random() < 0.5):
                await self._release(self._held.pop(self._chance.randrange(len(self._held))))
            else:
                await self._allocate()
        await self._database.close()

    async def _allocate(self) -> None:
        self._customers += 1
        customer = self._customers * 1000 + self._client + 1
        try:
            async with self._database.begin() as db:
                given = await self._service(db).allocate_resources(
                    customer_id=customer,
                    service_location="LOC-1",
                    bandwidth_plan=PLAN,
                    request_id=f"million/{os.getpid()}/{customer}",
                )
        except (PoolExhausted, PoolBusy):
            self._write("refused")
            return
        self._held.append(given["service_id"])
        self._write("allocated", given["service_id"], given["ip_address"], given["delegated_prefix"])

    async def _release(self, service_id: int) -> None:
        self._write("releasing", service_id)
        async with self._database.begin() as db:
            await self._service(db).release_resources(service_id=service_id)
        self._write("released", service_id)

    def _service(self, db: Any) -> NetworkService:
        return NetworkService(db, tenant_id=TENANT, now=utc_now, username_realm="")

    def _write(self, what: str, *facts: object) -> None:
        self._log.write(" ".join(map(str, (what, time.monotonic(), *facts))) + "\n")


def read_logs(logs: Iterable[Path]) -> Held:
    """A service is given back by the client who took it, so each log tells the whole story of its services."""
    stays: list[Stay] = []
    holding: dict[int, tuple[float, frozenset[str]]] = {}
    counts: dict[str, int] = defaultdict(int)
    for log in logs:
        for line in log.read_text().splitlines():
            what, at, *facts = line.split()
            counts[what] += 1
            if what == "allocated":
                holding[int(facts[0])] = float(at), frozenset(facts[1:])
            elif what == "releasing":
                since, units = holding.pop(int(facts[0]))
                stays += [Stay(unit, int(facts[0]), since, float(at)) for unit in units]
    for service_id, (since, units) in holding.items():
        stays += [Stay(unit, service_id, since, float("inf")) for unit in units]
    now = {service_id: units for service_id, (_, units) in holding.items()}
    return Held(stays, now, counts["allocated"], counts["released"], counts["refused"])


def overlaps(stays: Iterable[Stay]) -> Iterator[tuple[Stay, Stay]]:
    """Two that had the same unit at the same time."""
    by_unit: dict[str, list[Stay]] = defaultdict(list)
    for stay in stays:
        by_unit[stay.unit].append(stay)
    for of_unit in by_unit.values():
        ranked = sorted(of_unit, key=lambda stay: stay.since)
        yield from ((one, next_) for one, next_ in pairwise(ranked) if next_.since < one.until)


def check(connection: Connection, held: Held) -> dict[str, list[Any]]:
    """What is wrong, by plain SQL and by the logs."""

    def rows(sql: str) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(text(sql), {"tenant": TENANT})]

    twice = rows(
        "SELECT pool_id, unit, count(*) FROM ipam_allocation WHERE tenant_id = :tenant AND state = 'assigned'"
        " GROUP BY pool_id, unit HAVING count(*) > 1"
    )
    assigned = dict(
        rows(
            "SELECT service_id, count(*) FROM ipam_allocation WHERE tenant_id = :tenant AND state = 'assigned'"
            " GROUP BY service_id"
        )
    )
    live = {
        row[0] for row in rows("SELECT service_id FROM ipam_service WHERE tenant_id = :tenant AND state = 'active'")
    }
    unaccounted = rows(
        "SELECT name, size, free, used FROM (SELECT p.name, p.size,"
        " (SELECT coalesce(sum(last_unit - next_unit + 1), 0) FROM ipam_free_range f WHERE f.pool_id = p.id) AS free,"
        " (SELECT count(*) FROM ipam_allocation a WHERE a.pool_id = p.id) AS used"
        " FROM ipam_pool p WHERE p.tenant_id = :tenant) AS pools WHERE free + used <> size"
    )
    told = {service_id: len(units) for service_id, units in held.now.items()}
    events = dict(rows("SELECT what, count(*) FROM ipam_allocation_event WHERE tenant_id = :tenant GROUP BY what"))
    wanted = {"assigned": 2 * held.allocated, "released": 2 * held.released}
    lost: list[Any] = [service_id for service_id, units in told.items() if assigned.get(service_id, 0) < units]
    lost += [what for what, number in wanted.items() if events.get(what, 0) < number]
    leaks: list[Any] = [*unaccounted, *(live - told.keys()), *(assigned.keys() - told.keys())]
    leaks += [service_id for service_id, units in told.items() if assigned.get(service_id, 0) > units]
    leaks += [what for what, number in wanted.items() if events.get(what, 0) > number]
    return {"duplicates": [*overlaps(held.stays), *twice], "leaks": leaks, "lost": lost}


@contextmanager
def _database() -> Iterator[str]:
    """The one that is named, which has our tables, or a PostgreSQL server of its own."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    server = PostgresServer(durable=True)
    server.start()
    try:
        url = server.create_database()
        asyncio.run(_make_tables(url))
        yield url
    finally:
        server.stop()


async def _make_tables(url: str) -> None:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(IpamBase.metadata.create_all)
    await database.close()


def main() -> int:
    """As often and by as many as the environment says."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    operations, clients = int(os.environ.get("OPERATIONS", "1000000")), int(os.environ.get("CLIENTS", "16"))
    with _database() as url, tempfile.TemporaryDirectory(prefix="firstlight-million-") as folder:
        line = run(url, operations=operations, clients=clients, folder=Path(folder))
    say(line)
    return int(any(line[name] for name in ("duplicates", "leaks", "lost")))


if __name__ == "__main__":
    sys.exit(main())
