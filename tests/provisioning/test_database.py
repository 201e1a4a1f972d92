"""The promises of a transaction, the same on both databases."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from provisioning.database import Database


@pytest.fixture
async def counted(database: Database) -> Database:
    async with database.begin() as db:
        await db.execute(text("CREATE TABLE counter (n integer NOT NULL)"))
        await db.execute(text("INSERT INTO counter VALUES (0)"))
    return database


async def count(database: Database) -> int:
    async with database.read() as db:
        return int((await db.execute(text("SELECT n FROM counter"))).scalar_one())


async def test_a_block_that_raises_leaves_nothing_behind(counted: Database) -> None:
    with pytest.raises(ZeroDivisionError):
        async with counted.begin() as db:
            await db.execute(text("UPDATE counter SET n = 5"))
            raise ZeroDivisionError
    assert await count(counted) == 0


async def test_reading_then_writing_loses_no_update(counted: Database) -> None:
    async def increment() -> None:
        async with counted.begin() as db:
            lock = " FOR UPDATE" if counted.is_postgresql else ""
            n = int((await db.execute(text(f"SELECT n FROM counter{lock}"))).scalar_one())
            await db.execute(text("UPDATE counter SET n = :n"), {"n": n + 1})

    await asyncio.gather(*(increment() for _ in range(20)))
    assert await count(counted) == 20


async def test_a_reader_sees_one_moment_and_holds_up_no_writer(counted: Database) -> None:
    async with counted.read() as db:
        before = (await db.execute(text("SELECT n FROM counter"))).scalar_one()
        async with asyncio.timeout(5), counted.begin() as writer:
            await writer.execute(text("UPDATE counter SET n = 7"))
        assert (await db.execute(text("SELECT n FROM counter"))).scalar_one() == before == 0
    assert await count(counted) == 7


async def test_values_are_not_in_the_text_of_an_error(counted: Database) -> None:
    with pytest.raises(Exception) as failed:
        async with counted.begin() as db:
            await db.execute(text("INSERT INTO nowhere VALUES (:secret)"), {"secret": "s3cret-canary"})
    assert "s3cret-canary" not in str(failed.value)


async def test_a_reader_writes_nothing_even_if_it_commits(counted: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"):
        async with counted.read() as db:
            await db.execute(text("UPDATE counter SET n = 5"))
            await db.commit()
    assert await count(counted) == 0
    async with counted.begin() as db:
        await db.execute(text("UPDATE counter SET n = 6"))
    assert await count(counted) == 6
