"""The only maker of database engines: one transaction at a time, the same promises on SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import ExitStack, asynccontextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import AsyncAdaptedQueuePool

from provisioning.postgresql_pool import ask_in_doubt
from provisioning.sqlite_driver import reading_driver, writing_driver
from provisioning.sqlite_writer import BEGIN, SHARED_BEGIN

SQLITE_READERS = 16
"""Connections that stay open; a new one reads the whole schema before it answers anything."""
POSTGRES_POOL_SIZE = 20
"""They stay open as well: a new one plans every statement anew, and comes when the server is busiest."""
POSTGRES_LOOKERS = 8
"""Connections for statements that are a transaction each: a few milliseconds, where an index answers them."""
TENANT_SETTING = "firstlight.tenant_id"
"""The PostgreSQL setting that row-level security compares each row's ``tenant_id`` with."""
EVERY_TENANT = "*"
"""Its value for what must see all rows: a migration, and the keyring, which seals every tenant's secrets."""
POSTGRES_IDLE_IN_TRANSACTION_SECONDS = 60
"""Transactions last milliseconds. One that stands still belongs to a frozen process, whose locks others wait for."""


class Database:
    """One database and the way into a transaction: ``async with database.begin() as db``."""

    def __init__(self, url: str, *, schema: str | None = None, tenant_id: str | None = None) -> None:
        """``tenant_id``: on PostgreSQL its rows are the only ones that can be read or written (`EVERY_TENANT`: all
        are); without one, none of a table that belongs to tenants."""
        self.url = make_url(url)
        self.schema = schema
        self.engine = _make_engine(self.url, schema, tenant_id)
        self.sharing = self.engine.execution_options(shares_commit=True)
        """The same for transactions that may share their COMMIT, as ``begin`` says."""
        self.reading = _make_reading_engine(self.url, self.engine)
        self.looking = _make_looking_engine(self.url, schema, tenant_id) or self.reading
        self._session_class = type("DatabaseSession", (Session,), {})  # whoever listens hears this database alone
        self._given_back: set[asyncio.Task[None]] = set()
        self.witness: Callable[[AsyncSession], Awaitable[None]] | None = None
        """Called in each writing transaction before it is committed, when its block has succeeded."""
        self.broken_off: Callable[[AsyncSession], Awaitable[None]] | None = None
        """Called after each whose block has raised, when it is undone and has given its connection back. What was
        raised goes on afterwards; this must raise nothing."""

    @property
    def is_postgresql(self) -> bool:
        return self.url.get_backend_name() == "postgresql"

    @asynccontextmanager
    async def begin(self, *, shared: bool = False, witnessed: bool = True) -> AsyncIterator[AsyncSession]:
        """A transaction that commits when the block ends and rolls back when it raises.

        PostgreSQL: READ COMMITTED, uniqueness rests on constraints. SQLite: BEGIN IMMEDIATE, so a read followed by a
        write loses no update; the driver's own BEGIN is DEFERRED, and an isolation level given to SQLAlchemy would
        reset it. Those of one process come one after the other, in the order in which they came.

        ``shared``: the block is done in milliseconds, waits for nothing but the database, and asks nothing by ``read``.
        On SQLite it may then share its COMMIT with others of that kind, and is told of it with them
        (``provisioning.sqlite_writer``).

        ``witnessed``: it does what somebody wants; else what comes to pass by itself, whoever is there just then.
        """
        db = AsyncSession(
            self.sharing if shared else self.engine,
            expire_on_commit=False,
            autoflush=False,
            sync_session_class=self._session_class,
        )
        is_done = False
        try:
            async with db.begin():
                yield db
                is_done = True
                if self.witness is not None and witnessed:
                    await self.witness(db)
        finally:
            await self._give_back(db)
            if not is_done and self.broken_off is not None:
                await self.broken_off(db)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A transaction that sees one moment and holds up no writer; what it would write is refused."""
        db = AsyncSession(self.reading, expire_on_commit=False, autoflush=False)
        is_done = False
        try:
            yield db
            is_done = True
        finally:
            if self.is_postgresql:
                await self._give_back(db, commits=is_done)
            else:
                await db.close()  # it waits for nothing, so that nobody else gets a turn and opens one more connection

    @asynccontextmanager
    async def look(self) -> AsyncIterator[AsyncSession]:
        """As ``read``, but each statement sees a moment of its own: so a question that is one statement is one way to
        PostgreSQL and back, where BEGIN and COMMIT would make it three."""
        if not self.is_postgresql:
            async with self.read() as db:
                yield db
            return
        db = AsyncSession(self.looking, expire_on_commit=False, autoflush=False)
        try:
            yield db
        finally:
            await self._give_back(db)

    async def _give_back(self, db: AsyncSession, *, commits: bool = False) -> None:
        """Its connection, to the pool; to the end, even if whoever had it is called off meanwhile.

        A commit has given it back already, and what is left to close then waits for nothing. ``commits``: it has only
        read, and commits all the same: after a ROLLBACK psycopg forgets every statement that it has prepared.
        """
        if not db.in_transaction():
            await db.close()
            return
        giving_back = asyncio.create_task(_commit_and_close(db) if commits else db.close())
        self._given_back.add(giving_back)
        giving_back.add_done_callback(self._given_back.discard)
        await asyncio.shield(giving_back)

    def hear(self, listener: Callable[[Session], None]) -> None:
        """Calls this after every flush of a writing transaction, inside of it: what the listener writes commits or
        vanishes with what was flushed, and what it raises undoes both."""
        event.listen(self._session_class, "after_flush", lambda session, _context: listener(session))

    async def close(self) -> None:
        if self._given_back:
            await asyncio.wait(self._given_back)  # later they would come back to a pool that nobody empties any more
        for engine in (self.engine, self.reading, self.looking):
            await engine.dispose()


async def _commit_and_close(db: AsyncSession) -> None:
    """Of one that has read all that it wanted: its answers stand even if the connection is lost on the way back."""
    try:
        db.expunge_all()  # what a reader has made of its rows is nobody's to write
        with suppress(DBAPIError):
            await db.commit()
    finally:
        await db.close()


def sync_url(url: URL) -> URL:
    """The same database for a library that opens its own synchronous connections (Alembic, DBOS)."""
    drivers = {"sqlite": "sqlite", "postgresql": "postgresql+psycopg"}
    return url.set(drivername=drivers[url.get_backend_name()])


def sync_engine(url: URL) -> Engine:
    """A synchronous engine on the same database, for Alembic; whoever asked for it disposes of it.

    A change of a table is part of its transaction on SQLite as well, so that a migration which breaks off leaves
    nothing: the driver by itself would commit what comes before it.
    """
    engine = create_engine(sync_url(url), hide_parameters=True)
    if url.get_backend_name() == "sqlite":
        event.listen(engine, "connect", _begin_by_nothing)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql(BEGIN))
    return engine


def _begin_by_nothing(connection: Any, _record: Any) -> None:
    connection.isolation_level = None


def _make_reading_engine(url: URL, engine: AsyncEngine) -> AsyncEngine:
    """On SQLite connections of its own, on PostgreSQL those of the other one."""
    if url.get_backend_name() == "sqlite":
        return create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            hide_parameters=True,
            module=reading_driver(),
            pool_size=SQLITE_READERS,
            max_overflow=0,
            pool_use_lifo=True,  # the one that was used last knows the statements and the pages
        )
    reading = engine.execution_options()
    event.listen(reading.sync_engine, "engine_connect", _read_on_postgresql)
    return reading


def _make_engine(url: URL, schema: str | None, tenant_id: str | None) -> AsyncEngine:
    if url.get_backend_name() == "sqlite":
        if url.database not in (None, "", ":memory:"):
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        driver = writing_driver()
        engine = create_async_engine(
            url.set(drivername="sqlite+aiosqlite"),
            hide_parameters=True,
            module=driver,
            poolclass=AsyncAdaptedQueuePool,
            pool_size=0,  # as many as want to write at once: they share the one that there is
            pool_use_lifo=True,
        )
        event.listen(engine.sync_engine, "engine_disposed", lambda _engine: driver.renew())
        event.listen(engine.sync_engine, "begin", _begin_on_sqlite)
        return engine
    if url.get_backend_name() != "postgresql":
        raise ValueError(f"database {url.get_backend_name()!r} is not supported: use sqlite or postgresql")
    return _make_postgresql_engine(url, schema, tenant_id, pool_size=POSTGRES_POOL_SIZE)


def _make_looking_engine(url: URL, schema: str | None, tenant_id: str | None) -> AsyncEngine | None:
    """On PostgreSQL connections without transactions around statements, on which nothing can be written.

    A look finds its rows by one index, whatever it is asked: so its plan is made once. To make it takes longer than the
    look, and PostgreSQL may else make it anew each time, in the hope of a better one.
    """
    if url.get_backend_name() == "sqlite":
        return None
    settings = {
        "default_transaction_read_only": "on",
        "plan_cache_mode": "force_generic_plan",
        "max_parallel_workers_per_gather": "0",
    }
    how: dict[str, Any] = {"pool_size": POSTGRES_LOOKERS, "isolation_level": "AUTOCOMMIT"}
    return _make_postgresql_engine(url, schema, tenant_id, settings=settings, **how)


def _make_postgresql_engine(
    url: URL,
    schema: str | None,
    tenant_id: str | None,
    *,
    pool_size: int,
    isolation_level: Literal["READ COMMITTED", "AUTOCOMMIT"] = "READ COMMITTED",
    settings: Mapping[str, str] = MappingProxyType({}),
) -> AsyncEngine:
    """``settings`` of each session, beside those that all have."""
    options: dict[str, Any] = {"connect_args": {"options": f"-csearch_path={schema}"}} if schema else {}
    engine = create_async_engine(
        url.set(drivername="postgresql+psycopg"),
        hide_parameters=True,  # customers' data, and in the radius database passwords
        pool_size=pool_size,
        max_overflow=0,
        pool_use_lifo=True,
        isolation_level=isolation_level,
        **options,
    )
    ask_in_doubt(engine)
    # What PostgreSQL compiles for a plan that it guesses to be costly takes it seconds; ours look for a few rows each.
    ours = {"idle_in_transaction_session_timeout": f"{POSTGRES_IDLE_IN_TRANSACTION_SECONDS}s", "jit": "off", **settings}
    _set_up_postgresql_sessions(engine, ours if tenant_id is None else {**ours, TENANT_SETTING: tenant_id})
    return engine


def _read_on_postgresql(connection: Connection) -> None:
    """SQLAlchemy would do it by itself with an engine's options, and forget the connection of whoever is called off
    meanwhile: psycopg gives others a turn even where it has nothing to wait for."""
    with ExitStack() as broken_off:
        broken_off.callback(connection.close)
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        broken_off.pop_all()


def _begin_on_sqlite(connection: Connection) -> None:
    shared = connection.get_execution_options().get("shares_commit", False)
    connection.exec_driver_sql(SHARED_BEGIN if shared else BEGIN)


def _set_up_postgresql_sessions(engine: AsyncEngine, settings: Mapping[str, str]) -> None:
    """Each session belongs to one tenant from its first statement to its last. One that stands still in the middle of
    a transaction, in a process that is frozen, loses it, and those who wait for its locks go on."""

    @event.listens_for(engine.sync_engine, "connect")
    def set_up(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for setting in settings.items():
            cursor.execute("SELECT set_config(%s, %s, false)", setting)
        cursor.close()
        connection.commit()
