"""The database's shape, migrated in place: our tables by Alembic, the queue's by DBOS, FreeRADIUS' own where missing.

To change a table: change its model and write the next file in ``versions/`` by hand, with what Alembic cannot see
(triggers, EXCLUDE constraints); ``tests/provisioning/test_migrations.py`` shows every difference between the migrated
schema and the models, on both databases.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import URL

from provisioning.database import Database, sync_url
from radius.freeradius_tables import ensure_freeradius_tables
from workflows.engine.dispatch import prepare_queue_tables

__all__ = ["alembic_config", "migrate"]

MIGRATION_LOCK = 0x4D696772617465  # one process migrates at a time


async def migrate(database: Database, radius_database: Database) -> None:
    """Brings every table to this release's shape; does nothing where that is so already."""
    await asyncio.to_thread(_migrate_ours, sync_url(database.url))
    async with radius_database.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, with no file to find: it works from a wheel as well."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def _migrate_ours(url: URL) -> None:
    if url.get_backend_name() == "sqlite" and url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(url)
    try:
        with engine.begin() as connection:
            if url.get_backend_name() == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()
    prepare_queue_tables(url)
