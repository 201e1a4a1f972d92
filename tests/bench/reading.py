"""How long the API's reading routes take under a steady load, one JSON object a route.

    make bench CUSTOMERS=100000 STEPS=1000000 RATE=200 SECONDS=5 PROCESSES=2 ONLY=pools
    make bench DATABASE=postgresql

A database of that size is made by bulk insert in a folder that is thrown away (SQLite, or a PostgreSQL server of its
own), or in an empty ``DATABASE_URL``;
``firstlight serve`` answers in processes of its own. The goal is a p99 under 50 ms at that rate, each request answered.
``cpu_ms`` is what the serving processes spend on a request (PostgreSQL's own not counted), ``over_floor`` how many
times what a refusal for want of a token costs, which is all of HTTP and no statement. ``select_ms`` is what as many
rows of the route's main table cost when they are read from the same database without anything around it.
``others_cores``: what everybody else on the machine, PostgreSQL included, took meanwhile; where that is much, the
milliseconds are those of a busy machine.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, text

from provisioning.bootstrap import open_appliance, utc_now
from provisioning.database import EVERY_TENANT, TENANT_SETTING, sync_url
from provisioning.migrations import migrate
from provisioning.settings import Settings, load_settings
from provisioning.vault import create_keyring
from tests.bench.load import Client, Loaded
from tests.bench.routes import FLOOR, Route, routes_of
from tests.bench.seed import Callers, Size, seed
from tests.support.postgres import PostgresServer

SIZE = Size(customers=int(os.environ.get("CUSTOMERS") or 100_000), steps=int(os.environ.get("STEPS") or 1_000_000))
RATE = float(os.environ.get("RATE") or 200)
SECONDS = float(os.environ.get("SECONDS") or 5)
PROCESSES = os.environ.get("PROCESSES") or "2"
ONLY = os.environ.get("ONLY") or ""
"""Only routes whose name has this in it."""
GOAL_P99_MS = 50.0
TICKS = os.sysconf("SC_CLK_TCK")


async def main() -> int:
    """Makes the database, serves it, and asks. The number of routes that missed the goal."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder, database_url() as given:
        told = {"database_url": given} if given else {}
        settings = load_settings(data_dir=Path(folder), **told)
        create_keyring(settings.sealing_key_file, now=utc_now)
        began = time.monotonic()
        async with open_appliance(settings) as appliance:
            await migrate(appliance.database, appliance.radius_database)
            callers = await seed(appliance, SIZE)
            url = sync_url(appliance.database.url)
        sees_all = {} if url.get_backend_name() == "sqlite" else {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"}
        engine = create_engine(url, connect_args=sees_all)
        if settings.database_url.startswith("postgresql"):
            with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(text("VACUUM (ANALYZE)"))  # as PostgreSQL does by itself after a minute
        say(customers=SIZE.customers, steps=SIZE.steps, seeded_in_seconds=round(time.monotonic() - began, 1))
        server, port = await serve(settings, folder)
        gc.freeze()
        try:
            return await measure(engine, port, server.pid, callers)
        finally:
            server.terminate()
            await server.wait()


@contextmanager
def database_url() -> Iterator[str | None]:
    """The one that was given, that of a new PostgreSQL server, or None for SQLite."""
    if (given := os.environ.get("DATABASE_URL")) or os.environ.get("DATABASE") != "postgresql":
        yield given
        return
    server = PostgresServer(durable=True)
    server.start()
    try:
        yield server.create_database()
    finally:
        server.stop()


async def serve(settings: Settings, folder: str) -> tuple[asyncio.subprocess.Process, int]:
    port = free_port()
    environment = {
        **os.environ,
        "FIRSTLIGHT_DATA_DIR": folder,
        "FIRSTLIGHT_DATABASE_URL": settings.database_url,
        "FIRSTLIGHT_LOG_LEVEL": "warning",
    }
    command = [sys.executable, "-m", "provisioning", "serve", "--no-worker"]
    command += ["--port", str(port), "--processes", PROCESSES]
    return await asyncio.create_subprocess_exec(*command, env=environment), port


async def measure(engine: Engine, port: int, server_pid: int, callers: Callers) -> int:
    """One line a route, and one for all of them in turn."""
    routes = [route for route in routes_of(SIZE) if ONLY in route.name]
    await until_served(port)
    async with Client("127.0.0.1", port) as client:
        requests = {route.name: client.request(route.path, route.token(callers)) for route in (FLOOR, *routes)}
        floor_cpu_ms = await ask(client, server_pid, [requests[FLOOR.name]], FLOOR, status=401)
        missed = 0
        for route in routes:
            plain = select_ms(engine, route) if route.table else None
            cpu_ms = await ask(client, server_pid, [requests[route.name]], route, floor=floor_cpu_ms, plain=plain)
            missed += cpu_ms < 0
        every = [requests[route.name] for route in routes]
        missed += await ask(client, server_pid, every, Route("all of these in turn", ""), floor=floor_cpu_ms) < 0
    say(goal_p99_ms=GOAL_P99_MS, rate=RATE, routes=len(routes), missed=missed)
    return missed


async def ask(
    client: Client,
    server_pid: int,
    requests: list[bytes],
    route: Route,
    *,
    status: int = 200,
    floor: float | None = None,
    plain: float | None = None,
) -> float:
    """The CPU milliseconds of a request; below zero if the goal was missed."""
    await client.load(requests, rate=RATE, seconds=1, status=status)  # plans, pages and caches get warm
    before, own, everybody, began = cpu_seconds(server_pid), time.process_time(), machine_seconds(), time.monotonic()
    loaded = await client.load(requests, rate=RATE, seconds=SECONDS, status=status)
    count = len(loaded.took_ms)
    served, asked = cpu_seconds(server_pid) - before, time.process_time() - own
    others = machine_seconds() - everybody - served - asked
    cpu_ms = served / count * 1000
    met = is_met(loaded)
    say(
        route=route.name,
        requests=count,
        rate=round(loaded.rate, 1),
        p50_ms=round(loaded.percentile_ms(0.5), 1),
        p99_ms=round(loaded.percentile_ms(0.99), 1),
        unanswered=loaded.unanswered,
        met=met,
        cpu_ms=round(cpu_ms, 2),
        client_cpu_ms=round(asked / count * 1000, 2),
        others_cores=round(max(others, 0.0) / (time.monotonic() - began), 2),
        **({} if floor is None else {"over_floor": round(cpu_ms / floor, 1)}),
        **({} if plain is None else {"select_ms": plain}),
    )
    return cpu_ms if met else -cpu_ms


def is_met(loaded: Loaded) -> bool:
    return loaded.percentile_ms(0.99) < GOAL_P99_MS and not loaded.unanswered


def select_ms(engine: Engine, route: Route) -> float:
    """Read by one connection that does nothing else."""
    statement = text(f"SELECT * FROM {route.table} LIMIT {route.rows}")
    took = []
    with engine.connect() as connection:
        for _ in range(20):
            began = time.perf_counter()
            connection.execute(statement).all()
            took.append((time.perf_counter() - began) * 1000)
    return round(statistics.median(took), 2)


def cpu_seconds(pid: int) -> float:
    """Of a process and those it has started, since they began."""
    used = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return (int(used[11]) + int(used[12])) / TICKS + sum(cpu_seconds(int(child)) for child in children)


def machine_seconds() -> float:
    """What all processes of the machine have used since it was started."""
    user, nice, system, _idle, _waiting, interrupts, soft = map(int, Path("/proc/stat").read_text().split()[1:8])
    return (user + nice + system + interrupts + soft) / TICKS


async def until_served(port: int) -> None:
    for _ in range(600):
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
        else:
            writer.close()
            return
    raise SystemExit("the API does not answer")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
