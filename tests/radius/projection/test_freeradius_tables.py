"""FreeRADIUS' tables are made where they are missing, and an existing server keeps its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import Connection, inspect, text

from provisioning.database import Database
from radius import ensure_freeradius_tables
from radius.projection.existing_tables import complete_existing_tables
from radius.projection.freeradius_tables import freeradius_metadata, radacct
from tests.support.postgres import as_superuser

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
    assert await complete_existing_tables(empty.engine) == []
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


ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
STOCK_RADACCT = """
CREATE TABLE radius.radacct (
    radacctid bigserial PRIMARY KEY, acctsessionid text NOT NULL, acctuniqueid text NOT NULL UNIQUE, username text,
    groupname text, realm text, nasipaddress inet NOT NULL, nasportid text, nasporttype text, acctstarttime timestamptz,
    acctupdatetime timestamptz, acctstoptime timestamptz, acctinterval bigint, acctsessiontime bigint,
    acctauthentic text, connectinfo_start text, connectinfo_stop text, acctinputoctets bigint, acctoutputoctets bigint,
    calledstationid text,
    callingstationid text, acctterminatecause text, servicetype text, framedprotocol text, framedipaddress inet,
    framedipv6address inet, framedipv6prefix inet, framedinterfaceid text, delegatedipv6prefix inet, class text)
"""
"""As FreeRADIUS 3.2's own, with an older one's groupname."""


@ON_POSTGRESQL
async def test_what_only_the_owner_of_existing_tables_can_do_is_said_and_ours_are_made(empty: Database) -> None:
    """The server has a role of its own, to which its tables belong."""
    server = f"server_{uuid4().hex[:12]}"
    with psycopg.connect(_superuser(empty), autocommit=True) as admin:
        for statement in (
            f"CREATE ROLE {server} LOGIN",
            "CREATE SCHEMA radius",
            STOCK_RADACCT,
            f"ALTER TABLE radius.radacct OWNER TO {server}",
            f"GRANT ALL ON SCHEMA radius TO firstlight, {server}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON radius.radacct TO firstlight",
        ):
            admin.execute(statement.encode())
        async with empty.engine.begin() as connection:
            await connection.run_sync(ensure_freeradius_tables)
        notices = await complete_existing_tables(empty.engine)
        async with empty.engine.begin() as connection:
            assert await connection.run_sync(_tables) == set(freeradius_metadata.tables)
        assert any(
            one.startswith(f"radacct belongs to role {server}, so that its index radacct_by_user could not be made")
            and "CREATE INDEX CONCURRENTLY radacct_by_user ON radacct (username, acctstarttime);" in one
            for one in notices
        )
        grants = [one.split(" fail: ", 1)[1] for one in notices if one.startswith(f"Role {server} ")]
        assert grants == [
            f"GRANT SELECT ON radius.{table} TO {server};" for table in ("radius_session_archive", "radius_line")
        ]
        for grant in (*grants, f"GRANT {server} TO firstlight;"):
            admin.execute(grant.encode())
        assert await complete_existing_tables(empty.engine) == []
        async with empty.engine.begin() as connection:
            found = await connection.run_sync(lambda sync: inspect(sync).get_indexes("radacct"))
        assert {str(index.name) for index in radacct.indexes} <= {str(index["name"]) for index in found}
        admin.execute(f"REASSIGN OWNED BY {server} TO firstlight".encode())
        admin.execute(f"DROP OWNED BY {server}".encode())
        admin.execute(f"DROP ROLE {server}".encode())


@ON_POSTGRESQL
async def test_an_index_is_made_while_accounting_writes_and_what_was_left_half_made_is_made_anew(
    empty: Database,
) -> None:
    async with empty.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)
        await connection.execute(text("DROP INDEX radacct_by_user"))
    with psycopg.connect(_superuser(empty), autocommit=True) as admin:
        by_hand = "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'radius.radacct_by_address'::regclass"
        admin.execute(by_hand)
    row = "(acctsessionid, acctuniqueid, username, nasipaddress) VALUES ('1', '1', 'anna', '10.0.0.1')"
    async with empty.engine.begin() as before:
        await before.execute(text(f"INSERT INTO radacct {row}"))
    assert await complete_existing_tables(empty.engine) == []
    async with empty.engine.begin() as connection:
        valid = "SELECT indexrelid::regclass::text FROM pg_index WHERE indisvalid AND indrelid = 'radacct'::regclass"
        made = set(await connection.scalars(text(valid)))
    assert {"radacct_by_user", "radacct_by_address"} <= {name.removeprefix("radius.") for name in made}


def _superuser(database: Database) -> str:
    url = as_superuser(database.url)
    return f"host={url.query['host']} user={url.username} dbname={url.database}"
