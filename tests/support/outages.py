"""Taking a part of the world away for a while, the way it really goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import QueuePool
from sqlalchemy.util.concurrency import greenlet_spawn

from provisioning.database import Database
from tests.support.lab import PATIENCE_SECONDS, JourneyLab
from tests.support.postgres import as_superuser


@asynccontextmanager
async def radius_database_down(lab: JourneyLab) -> AsyncIterator[None]:
    """PostgreSQL lets nobody into the radius database any more; of SQLite the file is not where it was."""
    if lab.is_postgresql:
        async with _postgresql_refuses(lab):
            yield
        return
    file = Path(str(make_url(lab.appliance.settings.radius_database_url).database))
    away = file.with_suffix(".away")
    await asyncio.to_thread(_put_away, file, away)
    try:
        await _close_connections(lab.appliance.radius_database)  # after it: nobody can open another meanwhile
        yield
    finally:
        await asyncio.to_thread(_put_back, file, away)


async def _close_connections(database: Database) -> None:
    """Those that are in use come back first: what came back later would stay open for good."""
    for engine in (database.engine, database.reading):
        before = engine.sync_engine.pool
        assert isinstance(before, QueuePool)
        await engine.dispose(close=False)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while before.checkedout():  # noqa: ASYNC110 - a pool tells nobody
                await asyncio.sleep(0.01)
        await greenlet_spawn(before.dispose)


def _put_away(file: Path, away: Path) -> None:
    file.rename(away)
    file.mkdir()


def _put_back(file: Path, away: Path) -> None:
    file.rmdir()
    away.rename(file)


@asynccontextmanager
async def _postgresql_refuses(lab: JourneyLab) -> AsyncIterator[None]:
    url = make_url(lab.appliance.settings.radius_database_url)
    engine = create_async_engine(as_superuser(url).set(database="postgres"), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            await connection.execute(text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS false'))
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
                {"name": url.database},
            )
            try:
                yield
            finally:
                await connection.execute(text(f'ALTER DATABASE "{url.database}" ALLOW_CONNECTIONS true'))
    finally:
        await engine.dispose()


@asynccontextmanager
async def nbi_down(lab: JourneyLab) -> AsyncIterator[None]:
    """The ACS's northbound interface refuses connections; the CPEs go on informing."""
    await lab.world.acs.go_down()
    try:
        yield
    finally:
        await lab.world.acs.come_back()


@asynccontextmanager
async def nbi_answers_rubbish(lab: JourneyLab) -> AsyncIterator[None]:
    """Something that is no ACS answers 200 to everything."""
    lab.world.acs.trouble.rubbish = True
    try:
        yield
    finally:
        lab.world.acs.trouble.rubbish = False


@asynccontextmanager
async def freeradius_down(lab: JourneyLab) -> AsyncIterator[None]:
    """FreeRADIUS is stopped; afterwards it is there again, where it was."""
    world = lab.world
    assert world.freeradius is not None
    await asyncio.to_thread(world.freeradius.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(world.freeradius.start)


@asynccontextmanager
async def mail_server_down(lab: JourneyLab) -> AsyncIterator[None]:
    """Nobody listens at the mail server's port."""
    await lab.world.mail.close()
    try:
        yield
    finally:
        await lab.world.mail.start()
