"""The promises of a transaction, the same on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.tables import Customer
from provisioning.database import EVERY_TENANT, Database
from radius import PlanTerms, RadiusService, SubscriberVerbs, UsernameTaken
from tests.support.appliances import Original
from tests.support.postgres import PostgresServer

pytestmark = pytest.mark.both_databases


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


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[Database]:
    opened = Database(f"sqlite+aiosqlite:///{tmp_path}/firstlight.db")
    async with opened.begin() as db:
        await db.execute(text("CREATE TABLE item (id integer PRIMARY KEY, name text)"))
    yield opened
    await opened.close()


async def test_on_sqlite_a_statement_that_writes_asks_its_thread_once_and_tells_all_that_there_is(
    sqlite: Database,
) -> None:
    asked = 0
    async with sqlite.begin() as db:
        driver: Any = (await (await db.connection()).get_raw_connection()).driver_connection
        execute = driver._execute

        async def counted(*arguments: Any) -> Any:
            nonlocal asked
            asked += 1
            return await execute(*arguments)

        driver._execute = counted
        made = await db.execute(text("INSERT INTO item (name) VALUES ('a') RETURNING id"))
        assert made.all() == [(1,)]
        await db.execute(text("INSERT INTO item (name) VALUES (:name)"), [{"name": "b"}, {"name": "c"}])
        changed: Any = await db.execute(text("UPDATE item SET name = 'd' WHERE id > 1"))
        assert (changed.rowcount, asked) == (2, 3)
        del driver._execute
        with pytest.raises(IntegrityError):
            async with db.begin_nested():
                await db.execute(text("INSERT INTO item (id) VALUES (1)"))
    async with sqlite.read() as db:
        found = await db.execute(text("SELECT id, name FROM item ORDER BY id"))
        assert (list(found.keys()), found.all()) == (["id", "name"], [(1, "a"), (2, "d"), (3, "d")])


async def test_on_sqlite_who_wants_to_write_comes_as_they_came_even_if_one_wants_to_again(sqlite: Database) -> None:
    order: list[int] = []

    async def write(number: int) -> None:
        async with sqlite.begin() as db:
            await db.execute(text("INSERT INTO item (name) VALUES ('x')"))
            order.append(number)

    async def write_twice(number: int) -> None:
        await write(number)
        await write(number)

    async with sqlite.begin() as first:
        await first.execute(text("INSERT INTO item (name) VALUES ('first')"))
        waiting = [asyncio.create_task(write_twice(0))]
        for number in (1, 2, 3):
            await asyncio.sleep(0)
            waiting.append(asyncio.create_task(write(number)))
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2, 3, 0]


async def test_on_sqlite_who_waits_too_long_for_a_turn_is_told_so_and_the_next_one_gets_it(
    sqlite: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioning.sqlite_writer.BUSY_TIMEOUT_MS", 50)
    async with sqlite.begin() as first:
        await first.execute(text("INSERT INTO item (name) VALUES ('first')"))
        with pytest.raises(OperationalError, match="database is locked"):
            async with sqlite.begin() as second:
                await second.execute(text("INSERT INTO item (name) VALUES ('second')"))
    async with sqlite.begin() as third:
        names = await third.scalars(text("SELECT name FROM item"))
        assert names.all() == ["first"]


async def test_on_sqlite_who_gives_up_waiting_for_a_turn_holds_up_nobody(sqlite: Database) -> None:
    async def write() -> None:
        async with sqlite.begin() as db:
            await db.execute(text("INSERT INTO item (name) VALUES ('late')"))

    async with sqlite.begin() as first:
        await first.execute(text("INSERT INTO item (name) VALUES ('first')"))
        impatient, patient = (asyncio.create_task(write()) for _ in range(2))
        await asyncio.sleep(0)
        impatient.cancel()
        await asyncio.wait([impatient])
    async with asyncio.timeout(5):
        await patient
    async with sqlite.read() as db:
        assert (await db.execute(text("SELECT count(*) FROM item"))).scalar_one() == 2


@pytest.mark.parametrize("turns", range(5))
async def test_on_sqlite_who_is_called_off_as_its_turn_comes_is_called_off(sqlite: Database, turns: int) -> None:
    written: list[str] = []

    async def write(name: str) -> None:
        async with sqlite.begin() as db:
            await db.execute(text("INSERT INTO item (name) VALUES (:name)"), {"name": name})
        written.append(name)

    async with sqlite.begin() as first:
        await first.execute(text("INSERT INTO item (name) VALUES ('first')"))
        impatient, patient = (asyncio.create_task(write(name)) for name in ("impatient", "patient"))
        await asyncio.sleep(0)
    for _ in range(turns):
        await asyncio.sleep(0)
    impatient.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait([impatient, patient])
    assert impatient.cancelled() is ("impatient" not in written)
    async with sqlite.read() as db:
        names = set(await db.scalars(text("SELECT name FROM item")))
    assert {"first", "patient"} <= names
    assert names <= {"first", "patient", "impatient"}


COUNTED_FOR_SECONDS = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < :most) SELECT count(*) FROM n"
)


async def test_on_sqlite_what_takes_long_to_read_holds_up_nobody_and_sees_its_one_moment(sqlite: Database) -> None:
    async with sqlite.read() as db:
        assert (await db.execute(text("SELECT count(*) FROM item"))).scalar_one() == 0
        async with sqlite.begin() as writing:
            await writing.execute(text("INSERT INTO item (name) VALUES ('late')"))
        counting = asyncio.create_task(db.execute(text(COUNTED_FOR_SECONDS), {"most": 500_000}))
        others = 0
        while not counting.done():
            async with sqlite.read() as other:
                assert (await other.execute(text("SELECT count(*) FROM item"))).scalar_one() == 1
            others += 1
            await asyncio.sleep(0)
        assert (await counting).scalar_one() == 500_000
        assert others > 1
        assert (await db.execute(text("SELECT count(*) FROM item"))).scalar_one() == 0


async def test_on_sqlite_what_nobody_wants_to_read_any_more_ends(sqlite: Database) -> None:
    async with asyncio.timeout(10):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), sqlite.read() as db:
                await db.execute(text(COUNTED_FOR_SECONDS), {"most": 10**12})
        async with sqlite.read() as db:
            assert (await db.execute(text("SELECT count(*) FROM item"))).scalar_one() == 0


async def test_a_reader_that_asked_nothing_leaves_nothing_open(counted: Database) -> None:
    async with counted.read() as db:
        await db.connection()
    async with asyncio.timeout(5), counted.begin() as db:
        await db.execute(text("UPDATE counter SET n = 1"))
    assert await count(counted) == 1


async def test_on_postgresql_what_is_read_again_and_again_stays_prepared(postgres: PostgresServer) -> None:
    url = postgres.create_database()
    database = Database(url)
    for number in range(10):
        async with database.read() as db:
            assert await db.scalar(text("SELECT CAST(:number AS integer) + 1"), {"number": number}) == number + 1
    async with database.read() as db:
        prepared = list(await db.scalars(text("SELECT statement FROM pg_prepared_statements")))
    await database.close()
    postgres.drop_database(url)
    assert [statement for statement in prepared if "+ 1" in statement] != []


async def test_a_look_writes_nothing_and_sees_what_was_committed_before_it(counted: Database) -> None:
    with pytest.raises(DBAPIError, match=r"read-?only"):
        async with counted.look() as db:
            await db.execute(text("UPDATE counter SET n = 5"))
            await db.commit()
    async with counted.begin() as db:
        await db.execute(text("UPDATE counter SET n = n + 1"))
    async with counted.look() as db:
        assert await db.scalar(text("SELECT n FROM counter")) == 1


async def test_on_postgresql_each_statement_of_a_look_is_one_of_its_own_and_stays_prepared(
    postgres: PostgresServer,
) -> None:
    url = postgres.create_database()
    database = Database(url)
    async with database.begin() as db:
        await db.execute(text("CREATE TABLE counter (n integer NOT NULL)"))
        await db.execute(text("INSERT INTO counter VALUES (0)"))
    state = text("SELECT state FROM pg_stat_activity WHERE pid = :pid")
    for number in range(1, 11):
        async with database.look() as db:
            asked = {"less": number - 1}
            assert await db.scalar(text("SELECT n - CAST(:less AS integer) FROM counter"), asked) == 0
            pid = await db.scalar(text("SELECT pg_backend_pid()"))
            async with database.begin() as writer:
                assert await writer.scalar(state, {"pid": pid}) == "idle"
                await writer.execute(text("UPDATE counter SET n = n + 1"))
            assert await db.scalar(text("SELECT n FROM counter")) == number
            prepared = list(await db.scalars(text("SELECT statement FROM pg_prepared_statements")))
    await database.close()
    postgres.drop_database(url)
    assert [statement for statement in prepared if "SELECT n - " in statement] != []


async def tenants(database: Database, table: str = "customer") -> list[str]:
    async with database.read() as db:
        return list(await db.scalars(text(f"SELECT DISTINCT tenant_id FROM {table} ORDER BY tenant_id")))


async def test_a_session_sees_and_writes_the_rows_of_its_own_tenant_alone(
    migrated_postgresql: Original, tmp_path: Path
) -> None:
    url = migrated_postgresql.copy(tmp_path).database_url
    north, south, everybody, nobody = (
        Database(url, tenant_id=tenant_id) for tenant_id in ("north", "south", EVERY_TENANT, None)
    )
    for database, tenant_id in ((north, "north"), (south, "south")):
        async with database.begin() as db:
            await db.execute(insert(Customer).values(**a_customer(tenant_id)))
    assert [await tenants(each) for each in (north, south)] == [["north"], ["south"]]
    assert await tenants(everybody) == ["north", "south"]
    assert await tenants(nobody) == []
    async with north.begin() as db:
        changed = await db.execute(
            text("UPDATE customer SET name = 'Eve'"), execution_options={"preserve_rowcount": True}
        )
        assert changed.rowcount == 1  # type: ignore[attr-defined]
    with pytest.raises(ProgrammingError, match="row-level security"):
        async with north.begin() as db:
            await db.execute(insert(Customer).values(**a_customer("south")))
    for database in (north, south, everybody, nobody):
        await database.close()


class Unsealed:
    """Of a test in which nobody logs in."""

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None: ...

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        return "x" * 20

    async def discard(self, db: AsyncSession, ref: str) -> None: ...


async def test_a_name_that_an_isp_gave_up_or_ended_is_not_free_for_another_one(
    migrated_postgresql: Original, tmp_path: Path
) -> None:
    url = migrated_postgresql.copy(tmp_path).database_url
    north, south = (Database(url, tenant_id=tenant_id) for tenant_id in ("north", "south"))
    given: dict[str, Any] = {"now": lambda: datetime(2026, 1, 1, tzinfo=UTC), "secrets": Unsealed()}
    terms = PlanTerms(download_kbps=1000, upload_kbps=1000)
    async with north.begin() as db:
        radius = RadiusService(db, tenant_id="north", **given)
        await radius.define_plan(name="p", terms=terms)
        for name in ("anna@isp", "ben@isp"):
            made = await radius.create_subscriber(customer_id=7, username=name, bandwidth_profile="p")
            await radius.activate(subscriber_id=made["subscriber_id"])
        verbs = SubscriberVerbs(db, tenant_id="north", **given)
        await verbs.rename(subscriber_id=1, username="eve@isp")
        await radius.terminate(subscriber_id=2)
    async with south.begin() as db:
        radius = RadiusService(db, tenant_id="south", **given)
        await radius.define_plan(name="p", terms=terms)
    for name in ("anna@isp", "ben@isp", "eve@isp"):
        with pytest.raises(UsernameTaken):
            async with south.begin() as db:
                radius = RadiusService(db, tenant_id="south", **given)
                await radius.create_subscriber(customer_id=7, username=name, bandwidth_profile="p")
    async with south.begin() as db:
        assert await RadiusService(db, tenant_id="south", **given).subscribers() == []
    assert await tenants(south, "radius_former_username") == []
    for database in (north, south):
        await database.close()


def a_customer(tenant_id: str) -> dict[str, Any]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        "tenant_id": tenant_id,
        "id": 42,
        "name": "Ada",
        "email": "ada@example.net",
        "registered_at": moment,
        "state": "active",
    }


async def test_who_reads_again_and_again_lets_others_have_a_turn(counted: Database) -> None:
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    for _ in range(10):
        await count(counted)
    running.cancel()
    await asyncio.wait({running})
    assert turns >= 10
