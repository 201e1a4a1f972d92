"""The commercial tables in a new database, one known moment, and the outbox of an ISP called Northern Fibre."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import CommunicationsService, MailTemplates
from provisioning.commercial.mails.delivery import Begin
from provisioning.commercial.testing import MailSink
from provisioning.database import Database
from provisioning.links import SignedLinks
from provisioning.vault import Keyring, SecretVault, create_keyring, load_keyring
from tests.conftest import DATABASES, migrated_copy
from tests.support.appliances import Original
from tests.support.partnership import Partnership, make_partnership

TENANT = "north"
ISP_NAME = "Northern Fibre"
PUBLIC_URL = "https://isp.example"
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


Communications = Callable[..., CommunicationsService]
"""Called with a transaction, and if need be with ``tenant_id``, ``isp_name``, ``language``, ``public_url``."""


@pytest.fixture(scope="session")
def keyring(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    file = tmp_path_factory.mktemp("keyring") / "sealing-key.json"
    create_keyring(file, now=lambda: NOW)
    return load_keyring(file)


@pytest.fixture
def vault(keyring: Keyring) -> SecretVault:
    return SecretVault(keyring, tenant_id=TENANT)


@pytest.fixture
def communications(keyring: Keyring) -> Communications:
    def made(
        db: AsyncSession,
        *,
        tenant_id: str = TENANT,
        isp_name: str = ISP_NAME,
        language: str = "en",
        public_url: str | None = PUBLIC_URL,
    ) -> CommunicationsService:
        vault = SecretVault(keyring, tenant_id=tenant_id)
        return CommunicationsService(
            db,
            tenant_id=tenant_id,
            now=lambda: NOW,
            sender="noreply@isp.example",
            templates=MailTemplates(isp_name=isp_name, language=language),
            links=SignedLinks(vault, tenant_id=tenant_id, now=lambda: NOW, public_url=public_url),
        )

    return made


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """With the appliance's tables, and nothing in them."""
    return migrated_copy(request, tmp_path)


@pytest.fixture
async def begin(database: Database) -> Begin:
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
async def quick(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Begin]:
    """The tables on SQLite alone, for what no database decides."""
    database = Database(migrated_sqlite.copy_database(tmp_path / "quick"))
    yield database.begin
    await database.close()
