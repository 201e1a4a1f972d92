"""One process migrates at a time, whichever tables it has come to: ours, the queue's or FreeRADIUS'.

Who waits looks again and again and holds no transaction meanwhile: DBOS makes indexes CONCURRENTLY, which waits for
every transaction that is open, and one that waited for the lock would be waited for by the lock's own holder.
"""

from __future__ import annotations

import asyncio
import fcntl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO

import structlog
from sqlalchemy import text

from provisioning.database import Database

MIGRATION_LOCK = 0x4D696772617465
LOOK_AGAIN_SECONDS = 0.2

log = structlog.get_logger(__name__)


@asynccontextmanager
async def sole_migration(database: Database) -> AsyncIterator[None]:
    """Waits until no other process migrates this database, and lets none begin for the time of the block.

    A process that dies lets go: PostgreSQL ends its session's locks, the kernel those of a file.
    """
    if database.is_postgresql:
        async with _lock_of_postgresql(database):
            yield
    elif database.url.database in (None, "", ":memory:"):
        yield
    else:
        with _lock_file(str(database.url.database)) as lock:
            await _until_taken(lambda: _take(lock))
            yield


@asynccontextmanager
async def _lock_of_postgresql(database: Database) -> AsyncIterator[None]:
    async with database.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")

        async def take() -> bool:
            return bool(await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": MIGRATION_LOCK}))

        await _until_taken(take)
        try:
            yield
        finally:  # the session goes back to its pool and would keep the lock
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": MIGRATION_LOCK})


def _lock_file(database: str) -> BinaryIO:
    file = Path(database).absolute()
    return file.with_name(f"{file.name}.migration.lock").open("ab")


async def _take(lock: BinaryIO) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


async def _until_taken(take: Callable[[], Awaitable[bool]]) -> None:
    told = False
    while True:
        if await take():
            return
        if not told:
            log.warning("another process migrates this database, waiting for it")
            told = True
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
