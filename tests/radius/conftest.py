"""A real FreeRADIUS, the appliance's tables, and names no other test uses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import String, delete, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from provisioning.database import Database
from radius import (
    CreatedSubscriber,
    FramedAddresses,
    PlanTerms,
    RadiusBase,
    RadiusProjector,
    RadiusService,
    SessionReader,
)
from radius.testing import FreeRadiusServer, LabNas
from tests.conftest import DATABASES
from tests.support.freeradius import RadiusBackend, start_backend
from tests.support.postgres import PostgresServer

PLAN = "fiber-100"
ADDRESSES = FramedAddresses(
    ipv4="100.64.7.9", ipv6_wan_prefix="2001:db8:0:79::/64", delegated_prefix="2001:db8:7900::/56"
)


class SecretBase(DeclarativeBase):
    """The table of the secrets of these tests."""


class KeptSecret(SecretBase):
    __tablename__ = "test_secret"
    ref: Mapped[str] = mapped_column(String(200), primary_key=True)
    plaintext: Mapped[str] = mapped_column(String(400))


class TableSecrets:
    """Secrets in a table of the same database, so that they share the transaction's fate."""

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None:
        await db.merge(KeptSecret(ref=ref, plaintext=plaintext))
        await db.flush()

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        return (await db.scalars(select(KeptSecret.plaintext).where(KeptSecret.ref == ref))).one()

    async def seal_many(self, db: AsyncSession, plaintexts: Mapping[str, str]) -> None:
        for ref, plaintext in plaintexts.items():
            await self.seal(db, ref, plaintext)

    async def reveal_many(self, db: AsyncSession, refs: Collection[str]) -> dict[str, str]:
        kept = select(KeptSecret.ref, KeptSecret.plaintext).where(KeptSecret.ref.in_(list(refs)))
        return {ref: plaintext for ref, plaintext in await db.execute(kept)}

    async def discard(self, db: AsyncSession, ref: str) -> None:
        await db.execute(delete(KeptSecret).where(KeptSecret.ref == ref))


@pytest.fixture(scope="session")
def sqlite_freeradius(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RadiusBackend]:
    folder = tmp_path_factory.mktemp("freeradius-sqlite")
    backend = start_backend(f"sqlite+aiosqlite:///{folder}/radius.db", folder / "run")
    yield backend
    backend.server.stop()


@pytest.fixture(scope="session")
def postgresql_freeradius(
    postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RadiusBackend]:
    folder = tmp_path_factory.mktemp("freeradius-postgresql")
    backend = start_backend(postgres.create_database(), folder / "run")
    yield backend
    backend.server.stop()


@pytest.fixture(params=DATABASES)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def freeradius(request: pytest.FixtureRequest, kind: str) -> RadiusBackend:
    """The test run's FreeRADIUS on the same kind of database as the test's own."""
    backend: RadiusBackend = request.getfixturevalue(f"{kind}_freeradius")
    return backend


@pytest.fixture
async def database(freeradius: RadiusBackend, tmp_path: Path) -> AsyncIterator[Database]:
    """The appliance's database, new and empty: a file, or a schema (quicker than a database) beside FreeRADIUS'."""
    if not freeradius.is_postgresql:
        opened = Database(f"sqlite+aiosqlite:///{tmp_path}/firstlight.db")
    else:
        opened = Database(freeradius.database_url, schema=f"app_{uuid4().hex}")
        async with opened.engine.begin() as connection:
            await connection.execute(text(f"CREATE SCHEMA {opened.schema}"))
    yield opened
    await opened.close()


@pytest.fixture
async def radius_database(freeradius: RadiusBackend) -> AsyncIterator[Database]:
    opened = Database(freeradius.database_url, schema=freeradius.schema)
    yield opened
    await opened.close()


@dataclass
class Site:
    """One ISP of its own (tenant) with the radius database and FreeRADIUS of the test run."""

    database: Database
    radius_database: Database
    backend: RadiusBackend
    tenant_id: str
    secrets: TableSecrets
    projector: RadiusProjector
    sessions: SessionReader

    def now(self) -> datetime:
        return datetime.now(UTC)

    def service(self, db: AsyncSession) -> RadiusService:
        return RadiusService(db, tenant_id=self.tenant_id, now=self.now, secrets=self.secrets)

    def new_username(self) -> str:
        return f"u{uuid4().hex[:12]}@isp.example"

    async def define_plan(self, *, download_kbps: int = 100_000, upload_kbps: int = 20_000, **terms: Any) -> None:
        """Several sessions of one line go on, unless the terms say otherwise: tests have them."""
        terms.setdefault("second_login", "allow")
        async with self.database.begin() as db:
            given = PlanTerms(download_kbps=download_kbps, upload_kbps=upload_kbps, **terms)
            await self.service(db).define_plan(name=PLAN, terms=given)

    async def create(self, username: str | None = None, addresses: FramedAddresses = ADDRESSES) -> CreatedSubscriber:
        """A new subscriber (state pending), not projected yet."""
        async with self.database.begin() as db:
            return await self.service(db).create_subscriber(
                customer_id=7, username=username or self.new_username(), bandwidth_profile=PLAN, addresses=addresses
            )

    async def test_until(self, subscriber_id: int, until: datetime) -> None:
        async with self.database.begin() as db:
            await self.service(db).begin_testing(subscriber_id=subscriber_id, until=until)
        await self.projector.project_subscriber(subscriber_id)

    async def activate(self, subscriber_id: int) -> None:
        async with self.database.begin() as db:
            await self.service(db).activate(subscriber_id=subscriber_id)
        await self.projector.project_subscriber(subscriber_id)

    async def active(self, addresses: FramedAddresses = ADDRESSES) -> CreatedSubscriber:
        """A new subscriber whom FreeRADIUS lets in."""
        subscriber = await self.create(addresses=addresses)
        await self.activate(subscriber["subscriber_id"])
        return subscriber

    async def password(self, subscriber: CreatedSubscriber) -> str:
        async with self.database.begin() as db:
            return await self.secrets.reveal(db, subscriber["password"])

    async def nas(
        self,
        dialect: str = "mikrotik",
        *,
        timeout_seconds: float = 6.0,
        server: FreeRadiusServer | None = None,
        login_methods: Sequence[str] = ("pap", "chap", "mschapv2"),
        lines: bool = False,
    ) -> LabNas:
        """A NAS of its own address that FreeRADIUS knows from SQL; it asks the test run's server, or another one."""
        terms: dict[str, Any] = {"login_methods": login_methods, "lines": lines}
        [nas] = await self.nases([dialect], timeout_seconds=timeout_seconds, server=server, **terms)
        return nas

    async def nases(
        self,
        dialects: Sequence[str],
        *,
        timeout_seconds: float = 6.0,
        server: FreeRadiusServer | None = None,
        login_methods: Sequence[str] = ("pap", "chap", "mschapv2"),
        lines: bool = False,
    ) -> list[LabNas]:
        """A NAS as ``nas`` for each dialect."""
        asked = server or self.backend.server
        made = []
        async with self.database.begin() as db:
            service = self.service(db)
            for dialect in dialects:
                address = self.backend.free_nas_address()
                defined = await service.define_nas(
                    name=f"bng-{address}", address=address, dialect=dialect, login_methods=login_methods, lines=lines
                )
                made.append(
                    LabNas(
                        name=defined["name"],
                        secret=await self.secrets.reveal(db, defined["secret"]),
                        auth_port=asked.auth_port,
                        acct_port=asked.acct_port,
                        source_address=address,
                        timeout_seconds=timeout_seconds,
                    )
                )
        await self.projector.project_nas()
        return made


def soon() -> datetime:
    """When a test at the door ends: some hours from now."""
    return datetime.now(UTC) + timedelta(hours=4)


@pytest.fixture
async def site(database: Database, radius_database: Database, freeradius: RadiusBackend) -> Site:
    async with database.engine.begin() as connection:
        await connection.run_sync(RadiusBase.metadata.create_all)
        await connection.run_sync(SecretBase.metadata.create_all)
    tenant_id, secrets = f"t{uuid4().hex[:10]}", TableSecrets()
    projector = RadiusProjector(
        database.begin,
        radius_database.begin,
        tenant_id=tenant_id,
        now=lambda: datetime.now(UTC),
        secrets=secrets,
    )
    made = Site(
        database=database,
        radius_database=radius_database,
        backend=freeradius,
        tenant_id=tenant_id,
        secrets=secrets,
        projector=projector,
        sessions=SessionReader(radius_database.look),
    )
    await made.define_plan()
    return made


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    return tmp_path / "run"
