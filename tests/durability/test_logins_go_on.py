"""Logins go on while the appliance is down, migrates, starts, is killed or stops: FreeRADIUS asks tables alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Connection, insert, inspect, text

from provisioning.bootstrap import utc_now
from provisioning.database import EVERY_TENANT, TENANT_SETTING, Database, sync_engine, sync_url
from provisioning.migrations import alembic_config
from provisioning.settings import Settings, load_settings
from provisioning.vault import create_keyring
from radius.projection.freeradius_tables import freeradius_metadata, radacct, radcheck, radreply, radusergroup
from radius.projection.freeradius_tables import nas as nas_table
from radius.testing import FreeRadiusServer
from tests.bench.radius_load import Logins, address_of, log_in, password_of
from tests.bench.radius_tables import PLAN, TENANT, group_rows
from tests.durability.test_worker_process import FIRSTLIGHT, Services, environment_of
from tests.support.freeradius import RADDB, prepare_radius_database

SECRET = "a-lab-secret-of-24-chars"
SUBSCRIBERS, AT_LEAST, AT_ONCE = 200, 10_000, 1_000
FORMER = "0045"
"""The shape of the appliance's tables in an earlier release."""
LACKS_TABLES = ("radius_nas_clock", "radius_station")
LACKS_INDEXES = ("radacct_by_user", "radacct_by_address", "radius_login_by_user")
SESSIONS = 50_000
"""What FreeRADIUS' tables lack by then, and of how many sessions there the indexes are to be made."""


@pytest.fixture
async def settings(tmp_path: Path, database_url: str) -> Settings:
    """An appliance of an earlier release, which nobody has migrated yet."""
    home = tmp_path / "home"
    home.mkdir()
    made = load_settings(data_dir=home, database_url=database_url, genieacs_nbi_url="http://127.0.0.1:9")
    create_keyring(made.sealing_key_file, now=utc_now)
    engine = sync_engine(sync_url(Database(database_url).url))
    with engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            setting = {"name": TENANT_SETTING, "value": EVERY_TENANT}
            connection.execute(text("SELECT set_config(:name, :value, true)"), setting)
        command.upgrade(alembic_config(connection), FORMER)
    engine.dispose()
    return made


@pytest.fixture
async def server(settings: Settings, run_dir: Path) -> AsyncIterator[FreeRadiusServer]:
    url, schema = settings.radius_database_url, settings.radius_database_schema
    await asyncio.to_thread(prepare_radius_database, url, schema)
    await _fill(Database(url, schema=schema))
    started = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=url, schema=schema, nas_lifetime_seconds=3600)
    await asyncio.to_thread(started.start)
    yield started
    await asyncio.to_thread(started.stop)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
async def services(settings: Settings, tmp_path: Path) -> AsyncIterator[Services]:
    started = Services(settings, tmp_path)
    yield started
    await started.end_all()


async def _fill(database: Database) -> None:
    """So many subscribers, each with its own address, the plan's rows, and the NAS that asks."""
    numbers = {number: f"u{number}@isp.example" for number in range(1, SUBSCRIBERS + 1)}
    row = {"op": ":=", "attribute": "Cleartext-Password"}
    passwords = [{**row, "username": name, "value": password_of(number)} for number, name in numbers.items()]
    row = {"op": ":=", "attribute": "Framed-IP-Address"}
    addresses = [{**row, "username": name, "value": address_of(number)} for number, name in numbers.items()]
    async with database.begin() as db:
        nas = {"nasname": "127.0.0.1", "shortname": "bng", "type": "mikrotik", "secret": SECRET}
        await db.execute(insert(nas_table).values(nas))
        for plan_row in group_rows():
            values = {"groupname": plan_row.owner, **dict(plan_row.columns)}
            await db.execute(insert(freeradius_metadata.tables[plan_row.table]).values(values))
        await db.execute(insert(radcheck), passwords)
        await db.execute(insert(radreply), addresses)
        groups = [{"username": name, "groupname": f"{TENANT}/{PLAN}"} for name in numbers.values()]
        await db.execute(insert(radusergroup), groups)
        began = utc_now() - timedelta(days=1)
        over = {"nasipaddress": "127.0.0.1", "acctstarttime": began, "acctupdatetime": began, "acctstoptime": began}
        sessions = [
            {**over, "acctsessionid": str(each), "acctuniqueid": str(each), "username": numbers[each % SUBSCRIBERS + 1]}
            for each in range(SESSIONS)
        ]
        await db.execute(insert(radacct), sessions)
        for name in LACKS_INDEXES:
            await db.execute(text(f"DROP INDEX {name}"))
        for name in LACKS_TABLES:
            await db.execute(text(f"DROP TABLE {name}"))
    await database.close()


async def _lacking(settings: Settings) -> set[str]:
    """Which tables and indexes of FreeRADIUS' there are not."""
    database = Database(settings.radius_database_url, schema=settings.radius_database_schema)
    async with database.engine.connect() as connection:
        found = await connection.run_sync(inspected)
    await database.close()
    return {*LACKS_TABLES, *LACKS_INDEXES} - found


def inspected(connection: Connection) -> set[str]:
    """The names of all tables and indexes."""
    there = inspect(connection)
    tables = there.get_table_names()
    return {*tables, *(str(index["name"]) for table in tables for index in there.get_indexes(table))}


async def _ask_until(over: asyncio.Event, port: int) -> list[Logins]:
    """Login upon login, some of them with a wrong password, until it is over, and so many at least."""
    asked: list[Logins] = []
    while not over.is_set() or sum(len(each.took_ms) for each in asked) < AT_LEAST:
        some = partial(log_in, port, SECRET.encode(), subscribers=SUBSCRIBERS, seconds=60.0, count=AT_ONCE)
        asked.append(await asyncio.to_thread(some))
    return asked


async def _migrate(settings: Settings) -> int:
    process = await asyncio.create_subprocess_exec(FIRSTLIGHT, "migrate", env=environment_of(settings))
    return await process.wait()


@pytest.mark.second_half
async def test_of_ten_thousand_logins_none_fails_while_the_appliance_is_down_migrates_starts_is_killed_and_stops(
    settings: Settings, server: FreeRadiusServer, services: Services
) -> None:
    over = asyncio.Event()
    assert await _lacking(settings) == {*LACKS_TABLES, *LACKS_INDEXES}
    async with asyncio.TaskGroup() as group:
        asking = group.create_task(_ask_until(over, server.auth_port))
        assert await _migrate(settings) == 0
        assert await _lacking(settings) == set()
        killed = await services.start()
        await killed.at_work()
        killed.process.kill()
        await killed.ended()
        stopped = await services.start()
        await stopped.at_work()
        assert await stopped.told_to_stop() == 0, stopped.said
        over.set()
    asked = asking.result()
    assert sum(len(each.took_ms) for each in asked) >= AT_LEAST
    assert [(each.wrong, each.lost) for each in asked] == [(0, 0)] * len(asked)
