"""A database for the lab: a file that is made anew, or a PostgreSQL database that only a lab has used before."""

from __future__ import annotations

from sqlalchemy import text

from provisioning.database import Database
from provisioning.errors import Fault
from provisioning.settings import Settings, SettingsRefused

MARK = "firstlight_lab"
SCHEMAS = ("public", "radius", "dbos")


async def empty_lab_database(settings: Settings) -> None:
    """Empties a PostgreSQL database that a lab filled before, and marks it as a lab's.

    Raises: SettingsRefused if the database holds tables and no lab's mark: somebody else's data is never touched.
    """
    database = Database(settings.database_url)
    try:
        if not database.is_postgresql:
            return
        async with database.begin() as db:
            tables = set(
                await db.scalars(
                    text("SELECT tablename FROM pg_tables WHERE schemaname = ANY(:schemas)"), {"schemas": list(SCHEMAS)}
                )
            )
            if tables and MARK not in tables:
                fault = "holds tables that no lab made; give the demo an empty database"
                raise SettingsRefused([Fault("FIRSTLIGHT_DATABASE_URL", fault)])
            for schema in SCHEMAS:
                await db.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
            await db.execute(text("CREATE SCHEMA public"))
            await db.execute(text(f"CREATE TABLE {MARK} (made_at timestamptz NOT NULL DEFAULT now())"))
    finally:
        await database.close()
