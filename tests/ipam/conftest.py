"""A small network on both databases, and the shorthand of these tests."""

from __future__ import annotations

import asyncio
import csv
import io
import re
import shutil
import tomllib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncSession

import ipam
from ipam import (
    AddressInventory,
    AllocatedResources,
    ExportShape,
    ImportCounts,
    ImportRefused,
    ImportSource,
    NetworkEstate,
    NetworkService,
    NetworkUpkeep,
    PoolUsage,
    PortBlocks,
    ReleasedResources,
    StaticResources,
    Violation,
    badly_founded,
    badly_partitioned,
    cvlans_not_as_computed,
    given_too_early,
    given_twice,
    held_after_release,
    histories_out_of_order,
    incomplete,
    never_handed_out,
    not_as_written,
    off_its_history,
    overlapping,
    ports_of_two,
    ports_off_rules,
    read_import,
    read_mapping,
    rows_off_their_holders,
    served_otherwise,
    unguarded,
)
from ipam.tables import IpamBase
from provisioning.database import Database
from tests.conftest import DATABASES
from tests.support.postgres import SUPERUSER, PostgresServer

TENANT = "acme"
Check = Callable[..., Coroutine[Any, Any, list[Violation]]]
REALM = "isp.example"
CHECKS = (
    given_twice,
    overlapping,
    not_as_written,
    held_after_release,
    incomplete,
    badly_partitioned,
    never_handed_out,
    badly_founded,
)
"""What holds of the rows as they are; ``leaked`` is asked apart."""
HISTORY_CHECKS = (
    off_its_history,
    histories_out_of_order,
    rows_off_their_holders,
    given_too_early,
    unguarded,
    cvlans_not_as_computed,
    ports_of_two,
    ports_off_rules,
    served_otherwise,
)
"""What holds of them and of how they came to be."""
STARTED_AT = datetime(2030, 1, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A time that moves when it is told to."""

    at: datetime = STARTED_AT

    def __call__(self) -> datetime:
        return self.at

    def forward(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass
class Network:
    """One tenant's network: each call is a transaction of its own."""

    database: Database
    clock: Clock = field(default_factory=Clock)
    tenant_id: str = TENANT

    def service(self, db: AsyncSession) -> NetworkService:
        return NetworkService(db, tenant_id=self.tenant_id, now=self.clock, username_realm=REALM)

    def upkeep(self, db: AsyncSession) -> NetworkUpkeep:
        return NetworkUpkeep(db, tenant_id=self.tenant_id, now=self.clock)

    def estate(self, db: AsyncSession) -> NetworkEstate:
        return NetworkEstate(db, tenant_id=self.tenant_id, now=self.clock)

    async def apply(self, description: dict[str, Any]) -> list[str]:
        async with self.database.begin() as db:
            changes = await self.estate(db).apply(description)
        return [f"{change.part} {change.name} {change.outcome}" for change in changes]

    async def allocate(
        self,
        customer_id: int = 1001,
        location: str = "LOC-1",
        plan: str = "fiber-100",
        *,
        request_id: str | None = None,
        **static: Any,
    ) -> AllocatedResources:
        async with self.database.begin() as db:
            return await self.service(db).allocate_resources(
                customer_id=customer_id,
                service_location=location,
                bandwidth_plan=plan,
                request_id=request_id,
                static=StaticResources(**static) if static else None,
            )

    async def keep(self, verb: str, **said: Any) -> Any:
        """One act of upkeep, such as ``reserve``. Why something ends is the same for most tests."""
        said = {"note": "it is over", **said} if verb in ("include", "undrain") else said
        async with self.database.begin() as db:
            return await getattr(self.upkeep(db), verb)(**said)

    async def serve(self, verb: str, **said: Any) -> Any:
        """One act of the service, such as ``move_service``."""
        async with self.database.begin() as db:
            return await getattr(self.service(db), verb)(**said)

    async def ports(self, verb: str, **said: Any) -> Any:
        """One act about CGNAT's blocks of ports, such as ``holder``."""
        async with self.database.begin() as db:
            blocks = PortBlocks(db, tenant_id=self.tenant_id, now=self.clock)
            return await getattr(blocks, verb)(**said)

    def inventory(self, db: AsyncSession) -> AddressInventory:
        return AddressInventory(db, tenant_id=self.tenant_id, now=self.clock, username_realm=REALM)

    async def bring_in(self, text: str, source: ImportSource = "csv", mapping: str = "username\n") -> ImportCounts:
        """A file of allocations, given as text."""
        file = read_import(lines_of(text), source, read_mapping(lines_of(mapping)))
        async with self.database.begin() as db:
            return await self.inventory(db).bring_in(file)

    async def faults(
        self, text: str, source: ImportSource = "csv", mapping: str = "username\n"
    ) -> dict[int, list[str]]:
        """What is wrong with the lines of a file; what a dry run finds is what an import refuses."""
        file = read_import(lines_of(text), source, read_mapping(lines_of(mapping)))
        async with self.database.read() as db:
            checked = await self.inventory(db).check(file)
        with pytest.raises(ImportRefused) as refused:
            async with self.database.begin() as db:
                await self.inventory(db).bring_in(file)
        assert {line: list(faults) for line, faults in refused.value.by_line.items()} == checked.faults
        return checked.faults

    async def export(self, pool: str | None = None, shape: ExportShape = "csv") -> str:
        """What is held, kept or cooling, as a file."""
        written = io.StringIO()
        writer = csv.writer(written, lineterminator="\n")
        writer.writerow(AddressInventory.columns(shape))
        async with self.database.read() as db:
            async for row in self.inventory(db).export(pool=pool, shape=shape):
                writer.writerow(row)
        return written.getvalue()

    async def usage(self, pool: str) -> PoolUsage:
        async with self.database.begin() as db:
            return next(each for each in await self.service(db).utilisation() if each["pool"] == pool)

    async def release(self, service_id: int) -> ReleasedResources:
        async with self.database.begin() as db:
            return await self.service(db).release_resources(service_id=service_id)

    async def violations(self) -> list[str]:
        """Of every invariant that needs no more than the database."""
        found: list[str] = []
        async with self.database.begin() as db:
            for check in (*CHECKS, *HISTORY_CHECKS):
                found += [str(violation) for violation in await check(db, tenant_id=self.tenant_id)]
        return found


def lines_of(text: str) -> list[str]:
    """With their ends, as a file is read."""
    return text.splitlines(keepends=True)


def example() -> dict[str, Any]:
    """The description in the package's docstring, as the TOML parser reads it."""
    text = ipam.__doc__ or ""
    block = re.search(r"::\n\n(    \[\[bng\]\].*?)\n\nHow to add", text, flags=re.S)
    assert block is not None
    return tomllib.loads(re.sub(r"^    ", "", block[1], flags=re.M))


def small(**changed: list[dict[str, Any]]) -> dict[str, Any]:
    """A network with one node in the N:1 model and one in 1:1, and pools of a few units. ``changed`` replaces parts."""
    bng: list[dict[str, Any]] = [{"bng": "bng-1"}]
    return {
        "bng": [{"name": "bng-1"}],
        "site": [{"name": "north"}],
        "plan": [
            {"name": "fiber-100", "access": "pppoe", "ipv6_wan": True, "ipv6_pd": True},
            {"name": "business", "access": "ipoe"},
            {"name": "dynamic", "access": "pppoe", "addressing": "framed_pool", "ipv6_pd": True},
        ],
        "access_node": [
            {
                "name": "OLT-1",
                "site": "north",
                "bng": "bng-1",
                "cpe_vlan_id": 35,
                "management_vlan": 4000,
                "ports": ["0/1/0", "0/1/1"],
            },
            {"name": "OLT-2", "site": "north", "bng": "bng-1", "vlan_model": "one_to_one", "ports": ["0/2/0"]},
        ],
        "location": [
            {"id": "LOC-1", "access_node": "OLT-1", "port": "0/1/0", "aliases": ["OLT-1/0/1/0/7", "DROP-7781"]},
            {"id": "LOC-2", "access_node": "OLT-2", "port": "0/2/0"},
            {"id": "LOC-3", "access_node": "OLT-1"},
        ],
        "pool": [
            {
                "name": "cgnat",
                "kind": "ipv4",
                "network": "100.64.0.0/28",
                "role": "cgnat",
                "gateway": "100.64.0.1",
                "quarantine_seconds": 3600,
                "bindings": bng,
            },
            {
                "name": "office",
                "kind": "ipv4",
                "network": "203.0.113.0/29",
                "gateway": "203.0.113.1",
                "bindings": [{"bng": "bng-1", "plan": "business"}],
            },
            {
                "name": "at-the-bng",
                "kind": "ipv4",
                "network": "100.72.0.0/16",
                "framed_pool": "POOL-A",
                "bindings": [{"bng": "bng-1", "plan": "dynamic"}],
            },
            {"name": "wan6", "kind": "ipv6_wan", "network": "2001:db8:1000::/60", "bindings": bng},
            {"name": "pd", "kind": "ipv6_pd", "network": "2001:db8:2000::/48", "bindings": bng},
        ],
        "vlan_group": [{"name": "metro", "vids": ["100-399"], "reserved": ["150"]}],
        "svlan": [
            {"group": "metro", "vid": 110, "bindings": [{"access_node": "OLT-1"}]},
            {
                "group": "metro",
                "vid": 210,
                "cvlans": ["2-4094"],
                "reserved": ["100-199"],
                "bindings": [{"access_node": "OLT-2", "port": "0/2/0"}],
            },
        ],
    } | changed


def one_pool(network: str = "192.0.2.0/28", **pool: Any) -> dict[str, Any]:
    """A network whose only pool is called ``cgnat``, for one plan that wants IPv4 alone."""
    described = {"name": "cgnat", "kind": "ipv4", "network": network, "bindings": [{"bng": "bng-1"}], **pool}
    return small(pool=[described], plan=[{"name": "fiber-100", "access": "pppoe"}])


async def make_tables(url: str, *, filled: bool) -> None:
    database = Database(url)
    async with database.engine.begin() as connection:
        await connection.run_sync(IpamBase.metadata.create_all)
    if filled:
        await Network(database).apply(small())
    await database.close()


@pytest.fixture(scope="session")
def sqlite_templates(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Files with the tables of ``ipam``, without and with the small network; a test gets a copy."""
    folder = tmp_path_factory.mktemp("ipam")
    paths = {filled: folder / f"{filled}.db" for filled in (False, True)}
    for filled, path in paths.items():
        asyncio.run(make_tables(f"sqlite+aiosqlite:///{path}", filled=filled))
    return paths


NOT_COUNTED = ("ipam_free_range", "ipam_network_version", "ipam_serving")
"""Tables whose rows have a key that says what they are of."""


def _counted(table: str) -> str:
    return next(iter(IpamBase.metadata.tables[table].primary_key.columns)).name


class RestoredPostgres:
    """One database for all these tests: brought back to nothing, or to the small network, in a few milliseconds."""

    def __init__(self, url: str) -> None:
        self.url = url
        asyncio.run(make_tables(url, filled=True))
        where = make_url(url)
        self._connection = psycopg.connect(
            host=str(where.query["host"]), dbname=where.database, user=SUPERUSER, autocommit=True
        )
        # Rows come and go without foreign keys and the triggers that guard history.
        self._run("SET session_replication_role = replica", "CREATE SCHEMA kept")
        tables = [table.name for table in IpamBase.metadata.sorted_tables]
        self._run(*(f"CREATE TABLE kept.{name} AS TABLE {name}" for name in tables))
        self._empty = [f"DELETE FROM {name}" for name in tables]
        self._fill = [f"INSERT INTO {name} SELECT * FROM kept.{name}" for name in tables]
        self._count = [
            f"SELECT setval(pg_get_serial_sequence('{name}', '{key}'), coalesce(max({key}), 0) + 1, false) FROM {name}"
            for name, key in ((name, _counted(name)) for name in tables if name not in NOT_COUNTED)
        ]

    def _run(self, *statements: str) -> None:
        self._connection.execute("; ".join(statements).encode())

    def restore(self, *, filled: bool) -> str:
        self._run(*self._empty, *(self._fill if filled else []), *self._count)
        return self.url

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="session")
def restored_postgres(postgres: PostgresServer) -> Iterator[RestoredPostgres]:
    restored = RestoredPostgres(postgres.create_database())
    yield restored
    restored.close()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database of either kind with the tables of ``ipam``; in them the small network, if the test asks for it."""
    filled = "network" in request.fixturenames
    if request.param == "postgresql":
        restored: RestoredPostgres = request.getfixturevalue("restored_postgres")
        return restored.restore(filled=filled)
    copy = tmp_path / "firstlight.db"
    shutil.copy(request.getfixturevalue("sqlite_templates")[filled], copy)
    return f"sqlite+aiosqlite:///{copy}"


@pytest.fixture
def empty(database: Database) -> Network:
    """No network at all."""
    return Network(database)


@pytest.fixture
def network(database: Database) -> Network:
    """The small network."""
    return Network(database)


async def corrupt(network: Network, *statements: str) -> None:
    """Write what no service of ours would."""
    async with network.database.begin() as db:
        for statement in statements:
            await db.execute(text(statement))


@asynccontextmanager
async def laid_open(network: Network, table: str) -> AsyncIterator[AsyncSession]:
    """A transaction in which no trigger of the table refuses anything."""
    async with network.database.begin() as db:
        if network.database.is_postgresql:
            guards, again = [f"ALTER TABLE {table} DISABLE TRIGGER USER"], [f"ALTER TABLE {table} ENABLE TRIGGER USER"]
        else:
            asked = text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :table")
            found = (await db.execute(asked, {"table": table})).all()
            guards, again = [f"DROP TRIGGER {each.name}" for each in found], [each.sql for each in found]
        for statement in guards:
            await db.execute(text(statement))
        yield db
        for statement in again:
            await db.execute(text(statement))


async def found(network: Network, checks: Sequence[Check] = CHECKS) -> dict[str, list[str]]:
    """The violations by invariant, as sentences."""
    violations: dict[str, list[str]] = {}
    async with network.database.begin() as db:
        for check in checks:
            for violation in await check(db, tenant_id=network.tenant_id):
                violations.setdefault(check.__name__, []).append(str(violation))
    return violations


@pytest.fixture
async def two_services(network: Network) -> list[AllocatedResources]:
    """One line shares its VLAN and one has its own; a third one was released."""
    given = [await network.allocate(1, "LOC-1"), await network.allocate(2, "LOC-2")]
    await network.release((await network.allocate(3, "LOC-3"))["service_id"])
    return given
