"""What the benches of the ACS share: a lab of many CPEs in a process of its own, and rows for them in SQLite."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsBase, AcsDevice, TemplateLibrary
from acs.templates.rendering import InputValue, revision_of
from acs.templates.settings import rendering
from acs.testing import serial_of
from provisioning.database import Database

QUICK = bool(os.environ.get("QUICK"))
REAL = os.environ.get("FIRSTLIGHT_GENIEACS_NBI_URL", "")
TENANT = "bench"
WORKERS = 2
"""CWMP workers: what GenieACS begins by itself on two cores."""


class Secrets:
    """In memory: sealing is measured elsewhere."""

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None:
        raise AssertionError("nothing is sealed here")

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        return f"of {ref}"

    async def reveal_many(self, db: AsyncSession, refs: Collection[str]) -> dict[str, str]:
        return {ref: f"of {ref}" for ref in refs}

    async def discard(self, db: AsyncSession, ref: str) -> None:
        raise AssertionError("nothing is forgotten here")


def utc_now() -> datetime:
    return datetime.now(UTC)


@asynccontextmanager
async def lab_of(cpes: int) -> AsyncIterator[str]:
    """The URL of a lab's NBI with so many honest CPEs that have reported before."""
    lab = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "acs.testing", "--honest", "--cpes", str(cpes)),
        *("--inform-seconds", "86400", "--sessions", str(20 * WORKERS)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert lab.stdout is not None
    try:
        yield str(json.loads(await lab.stdout.readline())["url"])
    finally:
        if lab.returncode is None:
            lab.terminate()
        await lab.wait()


@asynccontextmanager
async def bound(cpes: int, *, converged: bool = False) -> AsyncIterator[Database]:
    """A database in which the first so many of the lab's CPEs are bound, and have got nothing yet or everything."""
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite+aiosqlite:///{Path(folder)}/acs.db")
        async with database.engine.begin() as connection:
            await connection.run_sync(AcsBase.metadata.create_all)
        templates = TemplateLibrary.load()
        for first in range(0, cpes, 1_000):
            async with database.begin() as db:
                await db.execute(
                    insert(AcsDevice), [_row(n, templates, converged) for n in range(first, min(first + 1_000, cpes))]
                )
        yield database
        await database.close()


def _row(number: int, templates: TemplateLibrary, converged: bool) -> dict[str, object]:
    template = templates.get("tr098-pppoe" if number % 2 else "tr181-pppoe")
    inputs: dict[str, InputValue] = {
        "pppoe_username": f"u{number}@isp.example",
        "pppoe_password": f"secret:subscriber/{number}",
        "cpe_vlan_id": 100,
        "wifi_ssid": f"Home {number}",
        "wifi_passphrase": f"secret:device/{serial_of(number)}/wifi",
    }
    wish = rendering(template, inputs)
    delivery = wish.delivery.as_json()
    now = utc_now()
    revision = revision_of(template.data_model, wish.settings, secret_version=1, delivery=delivery)
    taken = {"state": "accepted_unverifiable", "applied_revision": revision, "applied_at": now, "written_at": now}
    return {
        "tenant_id": TENANT,
        "serial": serial_of(number),
        "serial_as_given": serial_of(number),
        "customer_id": number,
        "service_id": number,
        "template": template.name,
        "data_model": template.data_model,
        "inputs": inputs,
        "parameters": [list(setting.as_row()) for setting in wish.settings],
        "delivery": delivery,
        "secret_version": 1,
        "revision": revision,
        "state": "queued",
        "reason": "",
        "details": [],
        "bound_at": now,
        "updated_at": now,
        **(taken if converged else {}),
    }
