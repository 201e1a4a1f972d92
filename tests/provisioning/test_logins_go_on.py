"""FreeRADIUS goes on letting subscribers in, whatever becomes of our own process: killed, started again, migrating."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from provisioning.bootstrap import Appliance, open_appliance, utc_now
from provisioning.migrations import migrate
from provisioning.settings import Settings, load_settings
from provisioning.subscriber_files import bring_in, opened
from provisioning.vault import create_keyring
from radius import PlanTerms
from radius.testing import FreeRadiusServer
from tests.bench.radius_load import address_of, log_in, password_of
from tests.support.freeradius import RADDB

SECRET = "a-lab-secret-of-24-chars"
SUBSCRIBERS = 50
ROOT = Path(__file__).parents[2]


@pytest.fixture
async def appliance(database_url: str, tmp_path: Path) -> AsyncIterator[Appliance]:
    settings = load_settings(data_dir=tmp_path / "data", database_url=database_url)
    create_keyring(settings.sealing_key_file, now=utc_now)
    async with open_appliance(settings) as opened_appliance:
        await migrate(opened_appliance.database, opened_appliance.radius_database)
        yield opened_appliance


@pytest.fixture
async def served(appliance: Appliance, tmp_path: Path) -> AsyncIterator[FreeRadiusServer]:
    """A FreeRADIUS that knows fifty subscribers and one NAS."""
    async with appliance.database.begin() as db:
        radius = appliance.services(db).radius_service
        await radius.define_plan(name="fiber-100", terms=PlanTerms(100_000, 20_000))
        await radius.define_nas(name="bng", address="127.0.0.1", dialect="mikrotik", secret=SECRET)
    await appliance.projector.project_nas()
    lines = "".join(
        f"u{number}@isp.example,{number},fiber-100,{password_of(number)},{address_of(number)}\n"
        for number in range(1, SUBSCRIBERS + 1)
    )
    content = f"username,customer_id,plan,password,ipv4\n{lines}".encode()
    done = await bring_in(appliance, await opened(content), audited=lambda _counts: None)
    assert (done.created, done.projected, done.failed) == (SUBSCRIBERS, SUBSCRIBERS, [])
    server = FreeRadiusServer(
        raddb=RADDB,
        run_dir=tmp_path / "run",
        database_url=appliance.settings.radius_database_url,
        schema=appliance.settings.radius_database_schema,
        nas_lifetime_seconds=300,
    )
    await asyncio.to_thread(server.start)
    yield server
    await asyncio.to_thread(server.stop)


@pytest.mark.parametrize(
    "logins",
    [pytest.param(200, marks=pytest.mark.durability_sweep), pytest.param(10_000, marks=pytest.mark.second_half)],
    ids=["some", "10000"],
)
@pytest.mark.timeout(600)
async def test_no_login_fails_while_our_process_is_killed_started_again_or_migrating(
    appliance: Appliance, served: FreeRadiusServer, logins: int, tmp_path: Path
) -> None:
    asking = asyncio.create_task(_log_in_until(served, logins, ended := asyncio.Event()))
    for _ in range(2):
        worker = await _ours(appliance.settings, "worker", log := tmp_path / "worker.log")
        async with asyncio.timeout(120):
            while b"dispatch is open" not in log.read_bytes():  # noqa: ASYNC110 - another process's log
                await asyncio.sleep(0.05)
        worker.send_signal(signal.SIGKILL)
        assert await worker.wait() == -signal.SIGKILL
    migrating = await _ours(appliance.settings, "migrate", tmp_path / "migrate.log")
    assert await migrating.wait() == 0
    ended.set()
    answered, wrong, lost = await asking

    assert answered >= logins
    assert (wrong, lost) == (0, 0)


async def _log_in_until(server: FreeRadiusServer, logins: int, ended: asyncio.Event) -> tuple[int, int, int]:
    """Logins that were answered, answered otherwise than they had to be, and not answered: so many at least, and until
    all has happened."""
    answered = wrong = lost = 0
    while answered < logins or not ended.is_set():
        window = await asyncio.to_thread(
            log_in, server.auth_port, SECRET.encode(), subscribers=SUBSCRIBERS, seconds=0.5, under_way=4
        )
        answered, wrong, lost = answered + len(window.took_ms), wrong + window.wrong, lost + window.lost
        if lost:
            break
    return answered, wrong, lost


async def _ours(settings: Settings, command: str, log: Path) -> asyncio.subprocess.Process:
    """``firstlight worker`` or ``migrate`` as a process of its own."""
    with log.open("wb") as written:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "provisioning",
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "FIRSTLIGHT_DATA_DIR": str(settings.data_dir),
                "FIRSTLIGHT_DATABASE_URL": settings.database_url,
                "FIRSTLIGHT_GENIEACS_NBI_URL": "http://127.0.0.1:1",
            },
            stdout=written,
            stderr=written,
        )
