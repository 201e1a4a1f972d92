"""The database's shape, migrated in place: our tables by Alembic, the queue's by DBOS, FreeRADIUS' own where missing.

To change a table: change its model and write the next file in ``versions/`` by hand, with what Alembic cannot see
(triggers, EXCLUDE constraints, and row-level security for a new table of PostgreSQL);
``tests/provisioning/test_migrations.py`` shows every difference between the migrated schema and the models, on both
databases.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, text
from sqlalchemy.engine import URL

from provisioning.database import EVERY_TENANT, TENANT_SETTING, Database, sync_engine, sync_url
from provisioning.migrations.sole_migration import sole_migration
from radius.projection.existing_tables import complete_existing_tables
from radius.projection.freeradius_tables import ensure_freeradius_tables
from workflows.engine.dispatch import prepare_queue_tables

if TYPE_CHECKING:
    from alembic.config import Config

__all__ = ["alembic_config", "migrate"]


async def migrate(database: Database, radius_database: Database) -> list[str]:
    """Brings every table to this release's shape; does nothing where that is so already. Returns, in sentences, what an
    existing RADIUS server's tables still lack and only somebody else can do.

    Processes that migrate at once take turns.
    """
    url = sync_url(database.url)
    async with sole_migration(database):
        await asyncio.to_thread(_migrate_ours, url)
        await asyncio.to_thread(prepare_queue_tables, url)
        async with radius_database.engine.begin() as connection:
            await connection.run_sync(ensure_freeradius_tables)
        return await complete_existing_tables(radius_database.engine)


def alembic_config(connection: Connection | None = None) -> Config:
    """Alembic's configuration, with no file to find: it works from a wheel as well."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.set_main_option("path_separator", "os")
    if connection is not None:
        config.attributes["connection"] = connection
    return config


def _migrate_ours(url: URL) -> None:
    from alembic import command  # a tenth of the start of every command that migrates nothing

    engine = sync_engine(url)
    try:
        with engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                setting = {"name": TENANT_SETTING, "value": EVERY_TENANT}
                connection.execute(text("SELECT set_config(:name, :value, true)"), setting)
            command.upgrade(alembic_config(connection), "head")
    finally:
        engine.dispose()
