"""The migrated schema is the one the models describe, on both databases."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, text

from provisioning.database import Database
from provisioning.migrations import migrate
from provisioning.migrations.metadata import ALL_TABLES

OTHERS = {"firstlight_schema", "dbos_migrations"}


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
                    "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgrelid::regclass::text LIKE 'ipam%'"
                )
            )
            wanted = {"ipam_prefix_overlap", "ipam_allocation_event_append_only", "ex_visit_technician_once"}
        else:
            found = await db.scalars(text("SELECT name FROM sqlite_master WHERE type = 'trigger'"))
            wanted = {"ipam_prefix_overlap_insert", "ipam_prefix_overlap_update", "visit_technician_once_on_insert"}
        names = set(found)
    await radius.close()
    assert wanted <= names, names


async def test_migrating_again_changes_nothing(database: Database, tmp_path: Path) -> None:
    radius = await migrated(database, tmp_path)
    await migrate(database, radius)
    async with database.begin() as db:
        assert (await db.scalars(text("SELECT version_num FROM firstlight_schema"))).all() == ["0005"]
    await radius.close()


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
