"""How long the API's reading routes take under a steady load: p50 and p99 in milliseconds, one JSON object a route.

    make bench CUSTOMERS=100000 STEPS=1000000 RATE=200 SECONDS=10

A database of that size is made by bulk insert in a folder that is thrown away, or in an empty ``DATABASE_URL``;
``firstlight serve`` answers in a process of its own. Requests are sent when it is their time, whether the earlier ones
were answered or not, so that a slow answer is not hidden by a client that waits for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import Tokens
from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.commercial.tables import Customer
from provisioning.migrations import migrate
from provisioning.settings import load_settings
from provisioning.vault import create_keyring
from tests.support.appliances import TICKET
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.tables import RunRow, StepRow

CUSTOMERS = int(os.environ.get("CUSTOMERS", "100000"))
STEPS = int(os.environ.get("STEPS", "1000000"))
RATE = float(os.environ.get("RATE", "200"))
SECONDS = float(os.environ.get("SECONDS", "10"))
STEPS_A_RUN = 10
CHUNK = 10_000
UNANSWERED = 30_000.0
"""What a request counts that was not answered within these milliseconds."""
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


async def main() -> None:
    """Makes the database, serves it, and asks."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        told = {"database_url": url} if (url := os.environ.get("DATABASE_URL")) else {}
        settings = load_settings(data_dir=Path(folder), **told)
        create_keyring(settings.sealing_key_file, now=utc_now)
        began = time.monotonic()
        async with open_appliance(settings) as appliance:
            await migrate(appliance.database, appliance.radius_database)
            token = await seed(appliance)
        say(seeded_customers=CUSTOMERS, seeded_steps=STEPS, seconds=round(time.monotonic() - began, 1))
        port = free_port()
        environment = {
            **os.environ,
            "FIRSTLIGHT_DATA_DIR": folder,
            "FIRSTLIGHT_DATABASE_URL": settings.database_url,
            "FIRSTLIGHT_LOG_LEVEL": "warning",
        }
        command = [sys.executable, "-m", "provisioning", "serve", "--no-worker"]
        server = await asyncio.create_subprocess_exec(*command, "--port", str(port), env=environment)
        try:
            await measure(f"http://127.0.0.1:{port}/api/v1", token)
        finally:
            server.terminate()
            await server.wait()


async def seed(appliance: Appliance) -> str:
    """Customers, runs and their steps; the token with which they are read."""
    ticket = json.loads(TICKET.read_text())
    tenant, runs = appliance.tenant_id, max(STEPS // STEPS_A_RUN, 1)
    async with appliance.database.begin() as db:
        await fill(db, Customer, (customer(tenant, number) for number in range(1, CUSTOMERS + 1)))
    async with appliance.database.begin() as db:
        await fill(db, RunRow, (run(tenant, number, ticket) for number in range(1, runs + 1)))
    async with appliance.database.begin() as db:
        await fill(db, StepRow, (step(number) for number in range(STEPS)))
        made = await Tokens(db, tenant_id=tenant, now=appliance.clock).create(name="bench", role="admin", days=1)
    return made.secret


async def fill(db: AsyncSession, table: Any, rows: Iterator[dict[str, Any]]) -> None:
    """Inserts them a chunk at a time."""
    while chunk := list(islice(rows, CHUNK)):
        await db.execute(insert(table), chunk)


def customer(tenant: str, number: int) -> dict[str, Any]:
    return {
        "tenant_id": tenant,
        "id": number,
        "name": f"Customer {number}",
        "email": f"customer{number}@example.net",
        "state": "active",
        "registered_at": BEGAN + timedelta(seconds=number),
    }


def run(tenant: str, number: int, ticket: dict[str, Any]) -> dict[str, Any]:
    moment = BEGAN + timedelta(seconds=number)
    return {
        "id": number,
        "tenant_id": tenant,
        "journey": ISP_TICKET_TO_DEPLOYMENT.name,
        "version": ISP_TICKET_TO_DEPLOYMENT.version,
        "business_key": f"ticket/bench-{number}",
        "customer_id": 1 + number % CUSTOMERS,
        "input": json.dumps({**ticket, "ticket_id": f"bench-{number}"}),
        "input_digest": "0" * 64,
        "state": ("completed", "held", "pending")[number % 100 if number % 100 < 3 else 0],
        "direction": "forward",
        "created_at": moment,
        "updated_at": moment,
    }


def step(number: int) -> dict[str, Any]:
    run_id, position = number // STEPS_A_RUN + 1, number % STEPS_A_RUN
    planned = ISP_TICKET_TO_DEPLOYMENT.steps[position]
    moment = BEGAN + timedelta(seconds=run_id)
    return {
        "run_id": run_id,
        "step": planned.name,
        "round": 1,
        "state": "skipped",
        "effect": planned.effect,
        "key": f"ticket/bench-{run_id}/{planned.name}",
        "started_at": moment,
        "finished_at": moment + timedelta(milliseconds=40),
    }


async def measure(base: str, token: str) -> None:
    """One line a route."""
    middle = STEPS // STEPS_A_RUN // 2 or 1
    routes = {
        "runs": "/runs",
        "runs held": "/runs?state=held",
        "runs of a customer": f"/runs?customer={CUSTOMERS // 2}",
        "runs in two states": "/runs?state=held&state=pending",
        "runs of a journey": f"/runs?journey={ISP_TICKET_TO_DEPLOYMENT.name}",
        "runs of a journey without runs": "/runs?journey=customer_renewal_process",
        "runs created before the first": "/runs?created_before=2025-12-31T00:00:00Z",
        "runs created after the last": "/runs?created_since=2036-01-01T00:00:00Z",
        "runs created before the middle one": f"/runs?created_before={moment_of(middle)}",
        "run": f"/runs/{middle}",
        "customers": "/customers",
        "customer": f"/customers/{CUSTOMERS // 2}",
        "customer by mail": f"/customers?email=customer{CUSTOMERS // 2}@example.net",
    }
    headers, limits = {"Authorization": f"Bearer {token}"}, httpx.Limits(max_connections=200)
    async with httpx.AsyncClient(headers=headers, limits=limits, trust_env=False, timeout=UNANSWERED / 1000) as client:
        await until_served(client, base)
        for name, path in routes.items():
            await load(client, base + path, seconds=1)  # plans, pages and connections get warm
            took = sorted(await load(client, base + path, seconds=SECONDS))
            p50, p99 = took[len(took) // 2], took[int(len(took) * 0.99)]
            lost = sum(one == UNANSWERED for one in took)
            say(route=name, requests=len(took), rate=RATE, p50_ms=round(p50, 1), p99_ms=round(p99, 1), unanswered=lost)


def moment_of(number: int) -> str:
    """When a run was started, as it stands in an address."""
    return (BEGAN + timedelta(seconds=number)).strftime("%Y-%m-%dT%H:%M:%SZ")


async def until_served(client: httpx.AsyncClient, base: str) -> None:
    for _ in range(600):
        try:
            (await client.get(f"{base}/runs?limit=1")).raise_for_status()
            return
        except httpx.TransportError:
            await asyncio.sleep(0.1)
    raise SystemExit("the API does not answer")


async def load(client: httpx.AsyncClient, address: str, *, seconds: float) -> list[float]:
    """What each request took in milliseconds, counted from when it should have been sent."""
    began = time.perf_counter()

    async def ask(due: float) -> float:
        try:
            (await client.get(address)).raise_for_status()
        except httpx.TransportError:  # more was asked than it can answer
            return UNANSWERED
        return (time.perf_counter() - due) * 1000

    asked = []
    for number in range(max(int(RATE * seconds), 1)):
        due = began + number / RATE
        if (early := due - time.perf_counter()) > 0:
            await asyncio.sleep(early)
        asked.append(asyncio.create_task(ask(due)))
    return list(await asyncio.gather(*asked))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def say(**facts: Any) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
