"""What the tests of ``acs`` share: its tables in both databases, a lab ACS on virtual time, a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from acs import AcsBase, DeviceConvergence, DeviceSettings, GenieAcsService, NbiClient, TemplateLibrary
from provisioning.database import Database
from tests.conftest import DATABASES
from tests.support.postgres import PostgresServer

if TYPE_CHECKING:
    from acs.testing import LabAcs
    from tests.acs.bench import Bench

TENANT = "north"


class KeptSecrets:
    """Keeps secrets in memory; counts nothing, hides nothing from a test."""

    def __init__(self) -> None:
        self.plaintexts: dict[str, str] = {}

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None:
        self.plaintexts[ref] = plaintext

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        return self.plaintexts[ref]

    async def reveal_many(self, db: AsyncSession, refs: Collection[str]) -> dict[str, str]:
        return {ref: self.plaintexts[ref] for ref in refs if ref in self.plaintexts}

    async def discard(self, db: AsyncSession, ref: str) -> None:
        self.plaintexts.pop(ref, None)


class Clockwork:
    """A clock that only moves when told, or when somebody sleeps on it."""

    def __init__(self) -> None:
        self.time = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time


@pytest.fixture(scope="session")
def acs_postgres_url(postgres: PostgresServer) -> str:
    return postgres.create_database()


@pytest.fixture(params=DATABASES)
async def acs_database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """Empty tables of ``acs`` in either database; the PostgreSQL one is made once, which saves most of the time."""
    sqlite = request.param == "sqlite"
    url = f"sqlite+aiosqlite:///{tmp_path}/acs.db" if sqlite else request.getfixturevalue("acs_postgres_url")
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(AcsBase.metadata.drop_all)
        await connection.run_sync(AcsBase.metadata.create_all)
    yield database
    await database.close()


@pytest.fixture
def secrets() -> KeptSecrets:
    kept = KeptSecrets()
    kept.plaintexts["secret:subscriber/42"] = "s3cret-of-42"
    return kept


@pytest.fixture(scope="session")
def templates() -> TemplateLibrary:
    return TemplateLibrary.load()


@pytest.fixture
def clockwork() -> Clockwork:
    return Clockwork()


class Devices:
    """``GenieAcsService``, each call in a transaction of its own."""

    def __init__(self, database: Database, templates: TemplateLibrary, secrets: KeptSecrets, now: Clockwork) -> None:
        self.database = database
        self.templates = templates
        self.secrets = secrets
        self.clock = now

    def service(self, db: AsyncSession, tenant_id: str = TENANT) -> GenieAcsService:
        return GenieAcsService(
            db, tenant_id=tenant_id, now=self.clock.now, templates=self.templates, secrets=self.secrets
        )

    def settings(self, db: AsyncSession, tenant_id: str = TENANT) -> DeviceSettings:
        return DeviceSettings(db, tenant_id=tenant_id, now=self.clock.now, templates=self.templates)


@pytest.fixture
def devices(acs_database: Database, templates: TemplateLibrary, secrets: KeptSecrets, clockwork: Clockwork) -> Devices:
    return Devices(acs_database, templates, secrets, clockwork)


@pytest.fixture
async def lab() -> AsyncIterator[LabAcs]:
    from acs.testing import LabAcs, LabClock

    lab = LabAcs(clock=LabClock())
    await lab.start()
    yield lab
    await lab.stop()


@pytest.fixture
async def nbi(lab: LabAcs) -> AsyncIterator[NbiClient]:
    started = lab.clock.now()
    async with NbiClient(
        lab.url,
        sleep=lab.clock.sleep,
        monotonic=lambda: (lab.clock.now() - started).total_seconds(),
        jitter=lambda: 0.5,
    ) as client:
        yield client


@pytest.fixture
def convergence(acs_database: Database, nbi: NbiClient, lab: LabAcs, secrets: KeptSecrets) -> DeviceConvergence:
    return DeviceConvergence(
        acs_database.begin, nbi, tenant_id=TENANT, now=lab.clock.now, secrets=secrets, sleep=lab.clock.sleep
    )


@pytest.fixture
def bench(devices: Devices, convergence: DeviceConvergence, lab: LabAcs, nbi: NbiClient, secrets: KeptSecrets) -> Bench:
    from tests.acs.bench import Bench

    return Bench(devices, convergence, lab, nbi, secrets)
