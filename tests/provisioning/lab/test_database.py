"""A lab's database is emptied before the next lab, and nobody else's ever is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import inspect, text

from provisioning.database import Database
from provisioning.lab.database import MARK, empty_lab_database
from provisioning.settings import Settings, SettingsRefused, load_settings
from tests.support.appliances import Original
from tests.support.postgres import PostgresServer


@pytest.fixture
def settings(postgres: PostgresServer, tmp_path: Path) -> Iterator[Settings]:
    """Of an empty PostgreSQL database whose owner is an ordinary role."""
    url = postgres.create_database()
    yield load_settings(data_dir=tmp_path, database_url=url)
    postgres.drop_database(url)


async def tables(settings: Settings) -> set[str]:
    database = Database(settings.database_url)
    async with database.engine.connect() as connection:
        found = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await database.close()
    return set(found)


async def execute(settings: Settings, *statements: str) -> None:
    database = Database(settings.database_url)
    async with database.begin() as db:
        for statement in statements:
            await db.execute(text(statement))
    await database.close()


async def test_what_a_lab_has_left_is_emptied_for_the_next_one(settings: Settings) -> None:
    await empty_lab_database(settings)
    await execute(settings, "CREATE TABLE run (id int)", "CREATE SCHEMA radius", "CREATE TABLE radius.nas (id int)")
    assert await tables(settings) == {MARK, "run"}
    await empty_lab_database(settings)
    assert await tables(settings) == {MARK}


async def test_a_database_with_tables_of_somebody_else_is_refused_and_left_alone(settings: Settings) -> None:
    await execute(settings, "CREATE TABLE crown_jewels (id int)")
    with pytest.raises(SettingsRefused, match="holds tables that no lab made; give the demo an empty database"):
        await empty_lab_database(settings)
    assert await tables(settings) == {"crown_jewels"}


async def test_an_appliances_database_is_somebody_elses_too(migrated_postgresql: Original, tmp_path: Path) -> None:
    theirs = migrated_postgresql.copy(tmp_path)
    before = await tables(theirs)
    with pytest.raises(SettingsRefused):
        await empty_lab_database(theirs)
    assert await tables(theirs) == before >= {"run", "customer"}
