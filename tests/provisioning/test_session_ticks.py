"""A worker reaps, counts and archives sessions by itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import open_appliance
from provisioning.worker import Pace, open_worker
from radius.projection.freeradius_tables import radacct, radreply
from radius.sessions.tables import radius_nas_heard, radius_session_archive, radius_usage_daily
from tests.support.appliances import Original

NBI = "http://127.0.0.1:1"
NAS = "10.9.9.9"


def _session(username: str, began: datetime, heard: datetime, **columns: Any) -> dict[str, Any]:
    return {
        "acctsessionid": username,
        "acctuniqueid": username,
        "username": username,
        "nasipaddress": NAS,
        "acctstarttime": began,
        "acctupdatetime": heard,
        "acctstoptime": None,
        "acctinputoctets": 1,
        "acctoutputoctets": 10,
        "acctsessiontime": int((heard - began).total_seconds()),
        "connectinfo_stop": "firstlight",
        **columns,
    }


async def test_a_worker_closes_counts_and_archives_sessions(migrated_sqlite: Original, tmp_path: Path) -> None:
    now = datetime.now(UTC).replace(microsecond=0)  # when it runs: whoever looked ten minutes ago knows nothing
    long_ago, an_hour_ago = now - timedelta(days=40), now - timedelta(hours=1)
    over = {"acctstoptime": long_ago + timedelta(hours=1), "acctterminatecause": "User-Request"}
    rows = [
        _session("old", long_ago, long_ago + timedelta(hours=1), **over),
        _session("ghost", now - timedelta(hours=3), an_hour_ago),
        _session("alive", now - timedelta(hours=3), datetime.now(UTC)),
    ]
    settings = migrated_sqlite.copy(tmp_path, genieacs_nbi_url=NBI)
    async with open_appliance(settings) as appliance:
        async with appliance.radius_database.begin() as db:
            for row in rows:
                await db.execute(insert(radacct).values(row))
            interval = {"username": "ghost", "attribute": "Acct-Interim-Interval", "op": "=", "value": "60"}
            await db.execute(insert(radreply).values(interval))
            heard = {"heard_at": an_hour_ago, "changed_at": now, "heard_since": an_hour_ago, "looked_at": now}
            await db.execute(insert(radius_nas_heard).values(nasipaddress=NAS, open_sessions=2, **heard))
        written = asyncio.Event()

        async def hear(_db: AsyncSession) -> None:
            written.set()

        appliance.radius_database.witness = hear
        pace = Pace(reap_every_seconds=0.2, session_upkeep_every_seconds=0.2)
        async with open_worker(appliance, pace=pace), asyncio.timeout(30):
            found: dict[str, Any] = {}
            while not (found.get("ghost") and found.get("archived") and len(found["counted"]) == 3):
                await written.wait()
                written.clear()
                async with appliance.radius_database.read() as db:
                    closed = select(radacct.c.acctstoptime, radacct.c.acctterminatecause)
                    found["ghost"] = [
                        tuple(row)
                        for row in await db.execute(closed.where(radacct.c.username == "ghost"))
                        if row.acctstoptime
                    ]
                    found["archived"] = list(await db.scalars(select(radius_session_archive.c.username)))
                    found["counted"] = set(await db.scalars(select(radius_usage_daily.c.username)))
                    left = set(await db.scalars(select(radacct.c.username)))
    assert found["ghost"] == [(an_hour_ago, "Lost-Carrier-Reaped")]
    assert found["archived"] == ["old"]
    assert (found["counted"], left) == ({"old", "ghost", "alive"}, {"ghost", "alive"})
