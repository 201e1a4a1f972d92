"""A connection that is dead is given to nobody; and what PostgreSQL takes back by itself may be asked again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from provisioning import postgresql_pool
from provisioning.database import Database
from provisioning.database_errors import as_database_error
from tests.support.postgres import as_superuser

pytestmark = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


async def backend(database: Database) -> int:
    async with database.read() as db:
        return int((await db.execute(text("SELECT pg_backend_pid()"))).scalar_one())


async def end_every_session(database: Database) -> None:
    engine = create_async_engine(as_superuser(database.url), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(
            text(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    await engine.dispose()


async def test_sessions_that_the_server_has_ended_are_replaced_before_anybody_gets_one(database: Database) -> None:
    before = {*await asyncio.gather(*(backend(database) for _ in range(5)))}
    await end_every_session(database)
    after = {*await asyncio.gather(*(backend(database) for _ in range(5)))}
    assert before.isdisjoint(after)
    async with database.begin() as db:
        assert (await db.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_session_is_asked_whether_it_lives_only_after_a_rest(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[int]()
    dialect = database.engine.sync_engine.dialect
    ping = dialect.do_ping

    def noted(connection: object) -> bool:
        asked.append(1)
        return ping(connection)  # type: ignore[arg-type]

    monkeypatch.setattr(dialect, "do_ping", noted)
    monkeypatch.setattr(postgresql_pool, "ASKED_AFTER_SECONDS", 3600.0)
    first = await backend(database)
    assert (await backend(database), asked) == (first, [])
    monkeypatch.setattr(postgresql_pool, "ASKED_AFTER_SECONDS", 0.0)
    assert (await backend(database), asked) == (first, [1])


async def test_the_session_that_was_used_last_is_used_first_and_what_a_crowd_has_opened_stays(
    database: Database,
) -> None:
    opened = list[int]()
    event.listen(database.engine.sync_engine, "connect", lambda *_: opened.append(1))
    for _ in range(3):
        await asyncio.gather(*(backend(database) for _ in range(30)))
    assert 1 < len(opened) <= 20
    assert len({await backend(database) for _ in range(5)}) == 1


async def test_of_two_changes_that_wait_for_each_other_one_is_taken_back_and_may_be_asked_again(
    database: Database,
) -> None:
    locked, met = [asyncio.Event(), asyncio.Event()], text("SELECT pg_advisory_xact_lock(:key)")

    async def lock_both(first: int) -> None:
        async with database.begin() as db:
            await db.execute(met, {"key": first})
            locked[first].set()
            await locked[1 - first].wait()
            await db.execute(met, {"key": 1 - first})

    ended = await asyncio.gather(lock_both(0), lock_both(1), return_exceptions=True)
    [refused] = [each for each in ended if each is not None]
    assert isinstance(refused, DBAPIError)
    told = as_database_error(refused)
    assert (told.code, told.transient) == ("provisioning.changes_collided", True)
    assert "deadlock detected" in str(told)


async def ask_once(way: Callable[[], AbstractAsyncContextManager[AsyncSession]]) -> None:
    async with way() as db:
        await db.execute(text("SELECT 1"))


@pytest.mark.parametrize("way", ["read", "begin", "look"])
async def test_whoever_is_called_off_at_whatever_moment_leaves_no_connection_behind(
    database: Database, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("psycopg.waiting.MAX_BUSY_TIME", 0.0)  # a turn for others at each step, as in a busy process
    lost = list[object]()
    monkeypatch.setattr("sys.unraisablehook", lost.append)
    opened, closed = set[int](), set[int]()
    engine = (database.looking if way == "look" else database.engine).sync_engine
    event.listen(engine, "connect", lambda connection, _record: opened.add(process_of(connection)))
    event.listen(engine, "close", lambda connection, _record: closed.add(process_of(connection)))
    for turns in range(30):
        await ask_once(getattr(database, way))
        called_off = asyncio.create_task(ask_once(getattr(database, way)))
        for _ in range(turns):
            await asyncio.sleep(0)
        called_off.cancel()
        await asyncio.wait([called_off])
        await database.close()
        assert (closed, lost) == (opened, [])
    assert len(opened) == 30


def process_of(connection: Any) -> int:
    number: int = connection.driver_connection.info.backend_pid
    return number
