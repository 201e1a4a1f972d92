"""The real FreeRADIUS for tests: one server a kind of database, asked by many tests about names of their own."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import create_engine, text
from sqlalchemy.engine import make_url

from provisioning.database import sync_url
from radius import ensure_freeradius_tables
from radius.testing import FreeRadiusServer

RADDB = Path(__file__).parents[2] / "deploy" / "freeradius" / "raddb"
SCHEMA = "radius"


@dataclass
class RadiusBackend:
    """A radius database with its tables, and a FreeRADIUS that reads it."""

    database_url: str
    schema: str | None
    server: FreeRadiusServer
    _last_nas: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def is_postgresql(self) -> bool:
        return self.database_url.startswith("postgresql")

    def free_nas_address(self) -> str:
        """A loopback address that no other test has used for its NAS."""
        number = next(self._last_nas)
        return f"127.77.{number // 250}.{number % 250 + 1}"


def start_backend(database_url: str, run_dir: Path) -> RadiusBackend:
    """Make the radius database and start FreeRADIUS on it."""
    schema = SCHEMA if database_url.startswith("postgresql") else None
    prepare_radius_database(database_url, schema)
    server = FreeRadiusServer(raddb=RADDB, run_dir=run_dir, database_url=database_url, schema=schema)
    server.start()
    return RadiusBackend(database_url, schema, server)


def prepare_radius_database(database_url: str, schema: str | None) -> None:
    """Create FreeRADIUS' tables, outside of any event loop."""
    options = {"options": f"-csearch_path={schema}"} if schema else {}
    engine = create_engine(sync_url(make_url(database_url)), connect_args=options)
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.execute(text("PRAGMA journal_mode=WAL"))
            connection.commit()
        ensure_freeradius_tables(connection)
        connection.commit()
    engine.dispose()
