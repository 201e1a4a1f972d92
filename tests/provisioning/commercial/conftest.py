"""The commercial tables in a new database, and one known moment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import provisioning.commercial
from provisioning.commercial.delivery import Begin
from provisioning.commercial.testing import MailSink
from provisioning.database import Database
from provisioning.tables import ProvisioningBase
from tests.support.partnership import Partnership, make_partnership

assert provisioning.commercial.__all__, "the package's tables are known once it is imported"

TENANT = "north"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ON_SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what has nothing to do with the kind of database."""
ACTIVATION = {
    "customer_name": "Ada Byron",
    "plan": "fiber-300",
    "service_id": 7,
    "username": "u7@isp.example",
    "activated_at": NOW,
}
"""What the activation mail tells."""


@pytest.fixture
async def begin(database: Database) -> Begin:
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
    return database.begin


@pytest.fixture
async def isp(begin: Begin, tmp_path: Path) -> Partnership:
    """An ISP that sells through partners."""
    return await make_partnership(begin, tmp_path)


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[MailSink]:
    async with MailSink(tmp_path / "mails") as running:
        yield running


@pytest.fixture
async def quick(tmp_path: Path) -> AsyncIterator[Begin]:
    """The tables on SQLite alone, for what no database decides."""
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/quick.db")
    async with database.engine.begin() as connection:
        await connection.run_sync(ProvisioningBase.metadata.create_all)
    yield database.begin
    await database.close()
