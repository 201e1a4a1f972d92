"""The migrated schema is the one the models describe, on both databases."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import URL, Connection, create_engine, inspect, text
from sqlalchemy.exc import IntegrityError

import provisioning.migrations
from provisioning.database import EVERY_TENANT, TENANT_SETTING, Database, sync_url
from provisioning.migrations import alembic_config, migrate
from provisioning.migrations.metadata import ALL_TABLES
from tests.support.postgres import PostgresServer

OTHERS = {"firstlight_schema", "dbos_migrations"}
AT_ONCE = 4


async def migrated(database: Database, folder: Path) -> Database:
    """The radius database that goes with it."""
    url = database.url.render_as_string(hide_password=False)
    radius = Database(url, schema="radius") if database.is_postgresql else Database(f"sqlite:///{folder}/radius.db")
    await migrate(database, radius)
    return radius


@pytest.mark.filterwarnings("ignore:.*expression-based index")
async def test_the_migrated_schema_is_what_the_models_describe(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    async with database.engine.connect() as connection:
        differences = await connection.run_sync(_differences)
    await radius.close()
    assert differences == []


async def test_triggers_and_exclusions_are_those_that_create_all_makes(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    async with database.begin() as db:
        if database.is_postgresql:
            found = await db.scalars(
                text(
                    "SELECT conname FROM pg_constraint WHERE contype = 'x' UNION "
                    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal"
                )
            )
            wanted = {"ipam_prefix_overlap", "ipam_allocation_event_append_only", "ex_visit_technician_once"}
            wanted |= {"partner_pool_ledger_append_only", "audit_entry_append_only", "audit_entry_no_truncate"}
        else:
            found = await db.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            wanted = {"ipam_prefix_overlap_insert", "ipam_prefix_overlap_update", "visit_technician_once_on_insert"}
            wanted |= {"partner_pool_ledger_no_update", "partner_pool_ledger_no_delete"}
            wanted |= {"audit_entry_no_update", "audit_entry_no_delete"}
        names = set(found)
    await radius.close()
    assert wanted <= names, names


async def test_every_table_of_tenants_is_walled_and_so_is_what_hangs_on_a_run(postgres: PostgresServer) -> None:
    database = Database(postgres.create_database())
    radius = await migrated(database, Path())
    async with database.begin() as db:
        walls = await db.execute(
            text(
                "SELECT relname, relrowsecurity AND relforcerowsecurity AND EXISTS"
                " (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) FROM pg_class"
                " WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
            )
        )
        found = {name: walled for name, walled in walls}
    await radius.close()
    await database.close()
    ours = {table.name: table for metadata in ALL_TABLES for table in metadata.tables.values()}
    wanted = {name for name, table in ours.items() if "tenant_id" in table.c or "run_id" in table.c}
    assert {name for name, walled in found.items() if walled} == wanted
    assert set(ours) - wanted == {"run_worker"}


async def test_migrating_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    await migrate(database, radius)
    async with database.begin() as db:
        found = (await db.scalars(text("SELECT version_num FROM firstlight_schema"))).all()
    assert found == ScriptDirectory.from_config(alembic_config()).get_heads()
    await radius.close()


async def test_bills_of_the_first_shape_live_on_and_find_the_way_back(database: Database, tmp_path: Path) -> None:
    columns = "id, tenant_id, customer_id, service_id, plan, state, billing_started_at, billing_stopped_at"
    moment = "'2026-01-01 00:00:00.000000'"

    def there_and_back(connection: Connection) -> list[Any]:
        config = alembic_config(connection)
        command.upgrade(config, "0001")
        connection.exec_driver_sql(
            "INSERT INTO customer (tenant_id, id, name, email, registered_at)"
            f" VALUES ('north', 42, 'Ada', 'ada@example.com', {moment})"
        )
        connection.exec_driver_sql(
            f"INSERT INTO subscription ({columns}) VALUES (1, 'north', 42, 7, 'fiber-300', 'active', {moment}, NULL),"
            f" (2, 'north', 42, 8, NULL, 'cancelled', {moment}, {moment})"
        )
        question = text(f"SELECT {columns} FROM subscription ORDER BY id")
        seen = [connection.execute(question).all()]
        command.upgrade(config, "head")
        seen.append(connection.execute(question).all())
        command.downgrade(config, "0001")
        seen.append(connection.execute(question).all())
        command.upgrade(config, "head")
        seen.append(connection.execute(question).all())
        return seen

    # As migrations have it: SQLite's rebuilt tables break no reference, and PostgreSQL shows every tenant's rows.
    options = {"options": f"-c {TENANT_SETTING}={EVERY_TENANT}"} if database.is_postgresql else {}
    engine = create_engine(sync_url(database.url), connect_args=options)
    with engine.begin() as connection:
        first, *later = there_and_back(connection)
    engine.dispose()
    assert [row[5] for row in first] == ["active", "cancelled"]
    assert later == [first] * 3
    with pytest.raises(IntegrityError):
        async with database.begin() as db:
            await db.execute(text("UPDATE subscription SET service_id = NULL WHERE id = 1"))
    with pytest.raises(IntegrityError):
        async with database.begin() as db:
            await db.execute(
                text("UPDATE subscription SET service_id = 7, state = 'active', billing_stopped_at = NULL")
            )


async def test_several_that_migrate_one_empty_database_at_once_all_succeed(database: Database, tmp_path: Path) -> None:
    url = database.url.render_as_string(hide_password=False)
    others = [Database(url) for _ in range(AT_ONCE)]
    for radius in await asyncio.gather(*(migrated(other, tmp_path) for other in others)):
        async with radius.begin() as db:
            assert await db.scalar(text("SELECT count(*) FROM radacct")) == 0
        await radius.close()
    async with database.engine.connect() as connection:
        tables = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert {"run", "line_order", "firstlight_schema"} <= set(tables)
    for other in others:
        await other.close()


async def test_whatever_tables_are_being_made_another_process_waits(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database(postgres.create_database())
    watched = ("_migrate_ours", "prepare_queue_tables", "ensure_freeradius_tables")
    found: dict[str, str] = {}

    def watch(name: str, make: Any) -> None:
        def making(*args: Any) -> None:
            found[name] = _migration_lock(sync_url(database.url))
            make(*args)

        monkeypatch.setattr(provisioning.migrations, name, making)

    for name in watched:
        watch(name, getattr(provisioning.migrations, name))
    radius = await migrated(database, Path())
    assert found == dict.fromkeys(watched, "taken")
    assert _migration_lock(sync_url(database.url)) == "free"
    await radius.close()
    await database.close()


def _migration_lock(url: URL) -> str:
    """As another process finds it."""
    engine = create_engine(url)
    with engine.connect() as connection:
        key = {"key": 0x4D696772617465}
        taken = connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key)
    engine.dispose()
    return "free" if taken else "taken"


def _differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "target_metadata": ALL_TABLES})
    tables = set(inspect(connection).get_table_names()) - OTHERS
    known = {name for metadata in ALL_TABLES for name in metadata.tables}
    found: list[object] = [*sorted(known - tables)]
    for metadata in ALL_TABLES:
        context.opts["include_object"] = partial(_is_in, frozenset(metadata.tables))
        found += compare_metadata(context, metadata)
    return found


def _is_in(tables: frozenset[str], _object: object, name: str, kind: str, _reflected: bool, _compared: object) -> bool:
    return kind != "table" or name in tables
