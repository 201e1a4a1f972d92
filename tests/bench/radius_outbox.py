"""``radius.coa``, ``"what": "through the outbox"``: a plan is changed, and all who are online on it are told of it.

The whole way of an appliance of its own: the plan's new terms and a change for each subscriber, committed; FreeRADIUS'
rows looked at; a CoA-Request to each session's simulated NAS; what came of it, committed. Then a NAS's count of what it
has changed, and the outcomes that the appliance's database has, are compared with the sessions that there are.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvloop
from sqlalchemy import func, insert, select, text, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.migrations import migrate
from provisioning.settings import load_settings
from provisioning.subscriber_files import bring_in, opened
from provisioning.vault import create_keyring
from radius import PlanTerms, Retransmission
from radius.coa.tables import SessionTreatment
from radius.projection.freeradius_tables import radacct
from radius.tables import Plan
from tests.bench.lines import say
from tests.bench.radius_nas import NASES, BenchNas, started, stopped
from tests.bench.radius_tables import PLAN, QUICK, utc_now
from tests.support.postgres import PostgresServer

SESSIONS = 500 if QUICK else 10_000
AN_HOUR, A_WEEK = timedelta(hours=1), timedelta(days=7)


@dataclass(frozen=True)
class _Told:
    """Seconds: for the rows of the outbox, for the rest, and how many outcomes are kept."""

    outbox_seconds: float
    delivery_seconds: float
    cpu_seconds: float
    kept: int


def measure() -> None:
    """On both databases, with NASes of their own each time."""
    for kind in ("sqlite", "postgresql"):
        nases = started()
        try:
            told = uvloop.run(_measure(kind, nases))
        finally:
            changed = stopped(nases)
        seconds = told.outbox_seconds + told.delivery_seconds
        say(
            {
                "bench": "radius.coa",
                "what": "through the outbox",
                "database": kind,
                "clients": NASES,
                "sessions": SESSIONS,
                "rate_per_s": round(SESSIONS / seconds, 1),
                "outbox_per_s": round(SESSIONS / told.outbox_seconds, 1),
                "delivered_per_s": round(SESSIONS / told.delivery_seconds, 1),
                "cpu_ms": round(told.cpu_seconds / SESSIONS * 1000, 3),
                "lost": SESSIONS - told.kept,
                "not_changed": SESSIONS - changed,
                "runs": 1,
            }
        )


async def _measure(kind: str, nases: Sequence[BenchNas]) -> _Told:
    async with _appliance(kind) as appliance:
        await _put_online(appliance, nases)
        return await _tell(appliance)


async def _tell(appliance: Appliance) -> _Told:
    began, busy = time.perf_counter(), time.process_time()
    async with appliance.database.begin() as db:
        await appliance.services(db).radius_service.define_plan(name=PLAN, terms=PlanTerms(200_000, 40_000))
    await appliance.plan_changes.apply(PLAN)
    made = time.perf_counter()
    changes = appliance.session_changes(Retransmission())
    while await changes.deliver_due():
        pass
    over, worked = time.perf_counter(), time.process_time()
    async with appliance.database.read() as db:
        kept = await db.scalar(select(func.count()).where(SessionTreatment.said == "changed"))
    return _Told(made - began, over - made, worked - busy, kept or 0)


@asynccontextmanager
async def _appliance(kind: str) -> AsyncIterator[Appliance]:
    """A new one, with its tables and a plan."""
    with tempfile.TemporaryDirectory(prefix="firstlight-bench-") as folder:
        server = PostgresServer(durable=True) if kind == "postgresql" else None
        more: dict[str, Any] = {}
        try:
            if server is not None:
                await asyncio.to_thread(server.start)
                more["database_url"] = server.create_database()
            settings = load_settings(data_dir=Path(folder), **more)
            create_keyring(settings.sealing_key_file, now=utc_now)
            async with open_appliance(settings) as appliance:
                await migrate(appliance.database, appliance.radius_database)
                async with appliance.database.begin() as db:
                    await appliance.services(db).radius_service.define_plan(name=PLAN, terms=PlanTerms(100_000, 20_000))
                    long_ago = utc_now() - A_WEEK  # before any of the sessions
                    await db.execute(update(Plan).values(created_at=long_ago, updated_at=long_ago))
                yield appliance
        finally:
            if server is not None:
                await asyncio.to_thread(server.stop)


async def _put_online(appliance: Appliance, nases: Sequence[BenchNas]) -> None:
    """So many subscribers whom FreeRADIUS knows, each with one session at one of the NASes."""
    lines = "".join(f"{_name(number)},{number},{PLAN}\n" for number in range(1, SESSIONS + 1))
    await bring_in(
        appliance, await opened(f"username,customer_id,plan\n{lines}".encode()), audited=lambda _counts: None
    )
    async with appliance.database.begin() as db:
        for nas in nases:
            known = await appliance.services(db).radius_service.define_nas(
                name=nas.address, address=nas.address, dialect="mikrotik", coa_port=nas.port
            )
            nas.share(await appliance.vault.reveal(db, known["secret"]))
    since = utc_now() - AN_HOUR
    sessions = [
        {
            "acctsessionid": f"s{number}",
            "acctuniqueid": f"s{number}",
            "username": _name(number),
            "nasipaddress": nases[number % NASES].address,
            "acctstarttime": since,
            "acctupdatetime": since,
        }
        for number in range(1, SESSIONS + 1)
    ]
    async with appliance.radius_database.begin() as db:
        await db.execute(insert(radacct), sessions)
        if appliance.radius_database.is_postgresql:
            await db.execute(text("ANALYZE radacct"))  # as autovacuum has, once sessions have been up for an hour


def _name(number: int) -> str:
    return f"u{number}@isp.example"
