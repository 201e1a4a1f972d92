"""Who writes to SQLite has a turn to itself; short ones share a COMMIT, and none of them hears anything before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning import sqlite_writer
from provisioning.database import Database
from provisioning.database_errors import as_database_error

pytestmark = pytest.mark.both_databases
Block = Callable[[AsyncSession], Awaitable[object]]
SAVED = ("SAVEPOINT firstlight_turn", "RELEASE firstlight_turn")


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


async def write(database: Database, block: Block, *, shared: bool = True) -> None:
    async with database.begin(shared=shared) as db:
        await block(db)


async def at_once(database: Database, *blocks: Block, alone: Sequence[Block] = ()) -> list[BaseException | None]:
    """What became of each. All wait for their turn before the first has it."""
    async with asyncio.TaskGroup() as group:

        async def one(block: Block) -> BaseException | None:
            try:
                await write(database, block, shared=block not in alone)
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

    assert seen[2:] == ["BEGIN IMMEDIATE", *SAVED, *SAVED, "COMMIT"]
    assert await names(database) == ["a", "alone", "b", "c"]


async def test_who_shares_nothing_has_its_turn_to_itself_in_the_order_in_which_it_came(database: Database) -> None:
    seen: list[str] = []
    await said(database, seen)
    blocks = [adds(each) for each in "abcdef"]

    async def fails(db: AsyncSession) -> None:
        await adds("of the failure")(db)
        raise ZeroDivisionError

    outcomes = await at_once(database, *blocks[:3], fails, *blocks[3:], alone=[*blocks[:2], fails, blocks[4]])

    assert [type(each) for each in outcomes] == [*[type(None)] * 3, ZeroDivisionError, *[type(None)] * 3]
    one = ["BEGIN IMMEDIATE", "COMMIT"]
    assert seen == [*one, *one, *one, "BEGIN IMMEDIATE", "ROLLBACK", *one, *one, *one]
    assert await names(database) == list("abcdef")


async def test_a_group_closes_as_soon_as_somebody_waits_for_a_turn_of_its_own(database: Database) -> None:
    seen: list[str] = []
    await said(database, seen)
    alone = adds("alone")
    late: list[asyncio.Task[None]] = []

    async def second(db: AsyncSession) -> None:
        await adds("b")(db)
        late.append(asyncio.create_task(write(database, alone, shared=False)))
        await asyncio.sleep(0)

    assert await at_once(database, adds("a"), second, adds("c"), adds("d")) == [None] * 4
    await late[0]

    assert seen == [
        *("BEGIN IMMEDIATE", *SAVED, "COMMIT"),
        *("BEGIN IMMEDIATE", "COMMIT"),
        *("BEGIN IMMEDIATE", "COMMIT"),
        *("BEGIN IMMEDIATE", "COMMIT"),
    ]


async def test_who_shares_nothing_is_told_at_once_and_sees_what_came_before_by_either_way(database: Database) -> None:
    told: list[str] = []

    async def first() -> None:
        await write(database, adds("a"), shared=False)
        told.append("a")

    async def second(db: AsyncSession) -> None:
        here = list(await db.scalars(text("SELECT name FROM item")))
        assert (here, await names(database), told) == (["a"], ["a"], ["a"])

    async with asyncio.TaskGroup() as group:
        group.create_task(first())
        group.create_task(write(database, second, shared=False))


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


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("moments", range(8))
async def test_who_is_called_off_twice_leaves_the_connection_to_the_others(
    database: Database, moments: int, shared: bool
) -> None:
    has_begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def slow(db: AsyncSession) -> None:
        await adds("slow")(db)
        has_begun.set()
        await may_go_on.wait()
        await adds("slow, again")(db)

    at_work = asyncio.create_task(write(database, slow, shared=shared))
    await has_begun.wait()
    waiting = [asyncio.create_task(write(database, adds(each), shared=shared)) for each in "ab"]
    for _ in range(100):
        await asyncio.sleep(0)
    for _ in range(2):
        for task in waiting:
            task.cancel()
        for _ in range(moments):
            await asyncio.sleep(0)
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    may_go_on.set()
    async with asyncio.timeout(5):
        await at_work
        await write(database, adds("next"), shared=shared)

    assert [type(each) for each in outcomes] == [asyncio.CancelledError] * 2
    assert await names(database) == ["next", "slow", "slow, again"]


async def test_who_is_called_off_hears_of_that_also_when_its_group_has_failed(database: Database) -> None:
    has_begun = asyncio.Event()

    async def called_off(db: AsyncSession) -> None:
        await adds("a")(db)
        await db.execute(text("ROLLBACK"))
        has_begun.set()
        await asyncio.Event().wait()

    tasks = [asyncio.create_task(write(database, block)) for block in (adds("b"), called_off)]
    await has_begun.wait()
    tasks[1].cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)

    assert [type(each) for each in outcomes] == [OperationalError, asyncio.CancelledError]


async def test_a_full_disk_is_told_as_what_it_is_to_all_of_the_group(database: Database) -> None:
    async with database.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        [pages] = await (await driver.execute("PRAGMA page_count")).fetchone()
        await (await driver.execute(f"PRAGMA max_page_count={pages + 3}")).fetchall()

    outcomes = await at_once(database, adds("a"), adds("b" * 1_000_000), adds("c"))

    told = [as_database_error(each) for each in outcomes if isinstance(each, OperationalError)]
    assert [str(each) for each in told] == [
        "The database can't be reached, nothing was changed: database or disk is full."
    ] * 3
    assert all(each.transient for each in told)
    assert await names(database) == []
    big = adds("b" * 1_000_000)
    [one, other, third] = await at_once(database, adds("a"), big, adds("c"), alone=[big])
    assert (one, third) == (None, None)
    assert "disk is full" in str(other)
    assert await names(database) == ["a", "c"]


def test_who_cleans_up_when_the_event_loop_ends_still_has_its_turn(tmp_path: Path) -> None:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/firstlight.db")
    outcomes: list[str] = []

    async def cleans_up(name: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await write(opened, adds(name), shared=False)
            outcomes.append(name)

    async def is_at_work(has_begun: asyncio.Event) -> None:
        async with opened.begin() as db:
            await adds("nothing")(db)
            has_begun.set()
            await asyncio.Event().wait()

    async def main() -> list[asyncio.Task[None]]:
        await write(opened, lambda db: db.execute(text("CREATE TABLE item (name text)")))
        tasks = [asyncio.create_task(cleans_up(each)) for each in "abcd"]
        has_begun = asyncio.Event()
        tasks.append(asyncio.create_task(is_at_work(has_begun)))
        await has_begun.wait()
        return tasks

    tasks = asyncio.run(main())

    assert sorted(outcomes) == list("abcd")
    assert all(task.cancelled() for task in tasks)


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
