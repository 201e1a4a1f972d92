"""Those of one process who write to SQLite share its COMMITs, and nobody hears anything before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning import sqlite_writer
from provisioning.database import Database

pytestmark = pytest.mark.both_databases
Block = Callable[[AsyncSession], Awaitable[object]]


@pytest.fixture
async def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Database]:
    monkeypatch.setattr(sqlite_writer, "GROUP_SECONDS", 60)
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/firstlight.db")
    async with opened.begin() as db:
        await db.execute(text("CREATE TABLE item (name text PRIMARY KEY)"))
        await db.execute(text("CREATE TABLE part (of_item text REFERENCES item DEFERRABLE INITIALLY DEFERRED)"))
    yield opened
    await opened.close()


async def names(database: Database) -> list[str]:
    async with database.read() as db:
        return list(await db.scalars(text("SELECT name FROM item ORDER BY name")))


async def said(database: Database, seen: list[str]) -> None:
    """From now on, what SQLite carries out to begin and end transactions."""

    def note(statement: str) -> None:
        if statement.split()[0] in ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE"):
            seen.append(statement)

    async with database.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.set_trace_callback(note)


def adds(name: str) -> Block:
    return lambda db: db.execute(text("INSERT INTO item VALUES (:name)"), {"name": name})


async def write(database: Database, block: Block) -> None:
    async with database.begin() as db:
        await block(db)


async def at_once(database: Database, *blocks: Block) -> list[BaseException | None]:
    """What became of each. All wait for their turn before the first has it."""
    async with asyncio.TaskGroup() as group:

        async def one(block: Block) -> BaseException | None:
            try:
                await write(database, block)
            except Exception as error:  # noqa: BLE001 - it is looked at
                return error
            return None

        tasks = [group.create_task(one(block)) for block in blocks]
    return [task.result() for task in tasks]


async def test_who_writes_at_the_same_time_shares_a_commit_and_who_writes_alone_has_it_alone(
    database: Database,
) -> None:
    seen: list[str] = []
    await said(database, seen)
    await write(database, adds("alone"))
    assert seen == ["BEGIN IMMEDIATE", "COMMIT"]

    assert await at_once(database, *(adds(each) for each in "abc")) == [None] * 3

    turn = ["SAVEPOINT firstlight_turn", "RELEASE firstlight_turn"]
    assert seen[2:] == ["BEGIN IMMEDIATE", *turn, *turn, "COMMIT"]
    assert await names(database) == ["a", "alone", "b", "c"]


async def test_one_that_fails_is_undone_by_itself_wherever_it_comes(database: Database) -> None:
    async def fails(db: AsyncSession) -> None:
        await adds("of the failure")(db)
        raise ZeroDivisionError

    outcomes = await at_once(database, fails, adds("a"), fails, adds("b"), fails)

    assert [type(each) for each in outcomes] == [
        ZeroDivisionError,
        type(None),
        ZeroDivisionError,
        type(None),
        ZeroDivisionError,
    ]
    assert await names(database) == ["a", "b"]


async def test_nobody_hears_anything_before_the_commit_not_even_of_a_refusal(database: Database) -> None:
    told: list[str] = []
    seen_last: list[list[str]] = []

    async def one(name: str) -> None:
        try:
            await write(database, adds(name))
        except IntegrityError:
            told.append(f"{name} refused")
        else:
            told.append(f"{name} added")

    async def last(db: AsyncSession) -> None:
        await adds("z")(db)
        for _ in range(10):
            await asyncio.sleep(0)
        seen_last.append([*told, *await names(database)])

    async with asyncio.TaskGroup() as group:
        for name in ("a", "b", "a"):
            group.create_task(one(name))
        group.create_task(write(database, last))

    assert seen_last == [[]]
    assert sorted(told) == ["a added", "a refused", "b added"]
    assert await names(database) == ["a", "b", "z"]


async def test_a_commit_that_fails_has_failed_for_all_and_the_next_ones_go_on(database: Database) -> None:
    def refers(db: AsyncSession) -> Awaitable[object]:
        return db.execute(text("INSERT INTO part VALUES ('nothing')"))

    outcomes = await at_once(database, adds("a"), refers, adds("b"))

    assert [type(each) for each in outcomes] == [IntegrityError] * 3
    assert await names(database) == []
    assert await at_once(database, adds("c"), adds("d")) == [None, None]
    assert await names(database) == ["c", "d"]


async def test_a_transaction_that_sqlite_takes_back_is_lost_for_all_and_goes_on_for_nobody(
    database: Database,
) -> None:
    async def taken_back(db: AsyncSession) -> None:
        await db.execute(text("ROLLBACK"))  # as SQLite does by itself when the disk is full
        with pytest.raises(OperationalError, match="was rolled back"):
            await adds("afterwards")(db)

    outcomes = await at_once(database, adds("a"), taken_back, adds("b"))

    assert [type(each) for each in outcomes] == [OperationalError, OperationalError, OperationalError]
    assert await names(database) == []
    assert await at_once(database, adds("c")) == [None]


async def test_a_group_takes_in_no_more_than_its_size(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_writer, "GROUP_SIZE", 2)
    seen: list[str] = []
    await said(database, seen)

    assert await at_once(database, *(adds(each) for each in "abcde")) == [None] * 5

    assert seen.count("COMMIT") == seen.count("BEGIN IMMEDIATE") == 3


async def test_a_group_whose_first_has_waited_long_enough_takes_in_nobody_else(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_writer, "GROUP_SECONDS", 0)
    seen: list[str] = []
    await said(database, seen)

    assert await at_once(database, *(adds(each) for each in "abc")) == [None] * 3

    assert seen.count("COMMIT") == 3


@pytest.mark.parametrize("moments", range(0, 12, 2))
async def test_who_is_called_off_at_any_moment_leaves_the_others_as_they_are(database: Database, moments: int) -> None:
    tasks = [asyncio.create_task(write(database, adds(each))) for each in "abc"]
    for _ in range(moments):
        await asyncio.sleep(0)
    tasks[1].cancel()
    async with asyncio.timeout(5):
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        await write(database, adds("d"))

    assert (outcomes[0], outcomes[2]) == (None, None)
    assert {"a", "c", "d"} <= set(await names(database)) <= {"a", "b", "c", "d"}


async def test_connections_are_closed_with_the_last_and_opened_anew(database: Database, tmp_path: Path) -> None:
    await at_once(database, adds("a"), adds("b"))
    await database.close()
    await write(database, adds("c"))
    await database.close()
    nowhere = Database(f"sqlite+aiosqlite:///{tmp_path}/late/firstlight.db")
    (tmp_path / "late").rmdir()
    for _ in range(2):
        with pytest.raises(DBAPIError, match="unable to open"):
            await write(nowhere, adds("a"))
    (tmp_path / "late").mkdir()
    await write(nowhere, lambda db: db.execute(text("CREATE TABLE item (name text)")))
    await nowhere.close()
    assert await names(database) == ["a", "b", "c"]
    await database.close()
