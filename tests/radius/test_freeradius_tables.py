"""FreeRADIUS' tables are made where they are missing, and an existing server keeps its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Connection, inspect, text

from provisioning.database import Database
from radius import ensure_freeradius_tables
from radius.freeradius_tables import freeradius_metadata, radacct

pytestmark = pytest.mark.both_databases


def _tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names())


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, schema="radius" if database_url.startswith("postgresql") else None)
    yield opened
    await opened.close()


async def test_everything_is_made_in_an_empty_database_and_making_it_again_is_fine(empty: Database) -> None:
    for _ in range(2):
        async with empty.engine.begin() as connection:
            await connection.run_sync(ensure_freeradius_tables)
    async with empty.engine.begin() as connection:
        assert await connection.run_sync(_tables) == set(freeradius_metadata.tables)
        if empty.is_postgresql:
            assert await connection.scalar(text("SELECT current_schema()")) == "radius"


async def test_an_existing_servers_accounting_gets_the_indexes_it_lacks_and_keeps_its_rows(empty: Database) -> None:
    async with empty.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)
        await connection.execute(text("DROP INDEX radacct_by_user"))
        await connection.execute(text("DROP INDEX radacct_by_delegatedipv6prefix"))
        row = "(acctsessionid, acctuniqueid, username, nasipaddress) VALUES ('1', '1', 'anna', '10.0.0.1')"
        await connection.execute(text(f"INSERT INTO radacct {row}"))
        await connection.run_sync(ensure_freeradius_tables)
    async with empty.engine.begin() as connection:
        found = await connection.run_sync(lambda sync: inspect(sync).get_indexes("radacct"))
        assert await connection.scalar(text("SELECT username FROM radacct")) == "anna"
    made = {str(index["name"]): index["column_names"] for index in found}
    assert made["radacct_by_user"] == ["username", "acctstarttime"]
    assert made["radacct_by_delegatedipv6prefix"] == ["delegatedipv6prefix", "acctstarttime"]
    assert {str(index.name) for index in radacct.indexes} <= made.keys()


async def test_an_existing_servers_table_keeps_its_shape_and_its_rows(empty: Database) -> None:
    async with empty.engine.begin() as connection:
        if empty.is_postgresql:
            await connection.execute(text("CREATE SCHEMA radius"))
        await connection.execute(
            text("CREATE TABLE radcheck (id integer PRIMARY KEY, username text, attribute text, op text, value text)")
        )
        await connection.execute(
            text("INSERT INTO radcheck VALUES (1, 'o''brien', 'Cleartext-Password', '==', '''x''')")
        )
    async with empty.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)
    async with empty.engine.begin() as connection:
        kept = (await connection.execute(text("SELECT username, op FROM radcheck"))).one()
        tables = await connection.run_sync(_tables)
    assert tuple(kept) == ("o'brien", "==")
    assert tables == set(freeradius_metadata.tables)
