"""What an existing server's tables lack, and what its role may not read. Its logins and its accounting go on meanwhile.

Indexes are made one by one, on PostgreSQL each CONCURRENTLY and in no transaction. One that cannot be made now, or not
by our role, is no failure: the questions that need it are slow, and whoever migrates is told what to do.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, Index, Table, inspect, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.schema import CreateIndex

from radius.projection.freeradius_tables import FREERADIUS_OWN, freeradius_metadata, lacks_index
from radius.sessions.tables import radius_session_archive

LOCK_TIMEOUT_SECONDS = 10
_NOT_THE_OWNER, _LOCK_NOT_FREE = "42501", "55P03"
_ASKED_BY_FREERADIUS = (radius_session_archive.name, "radius_line")


async def complete_existing_tables(engine: AsyncEngine) -> list[str]:
    """Makes the indexes that tables of FreeRADIUS lack, which ``ensure_freeradius_tables`` leaves as they were; what is
    left to somebody else, in sentences. Safe to repeat; by one process at a time.
    """
    if engine.dialect.name == "sqlite":
        async with engine.begin() as connection:
            await connection.run_sync(_make_all)
        return []
    async with engine.connect() as connection:
        outside = await connection.execution_options(isolation_level="AUTOCOMMIT")
        return await outside.run_sync(_complete)


def _make_all(connection: Connection) -> None:
    for index in _missing(connection):
        index.create(connection)


def _complete(connection: Connection) -> list[str]:
    us = connection.scalar(text("SELECT current_user"))
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT_SECONDS}s'"))
    try:
        _drop_half_made(connection)
        made = [_make_beside_work(connection, index, str(us)) for index in _missing(connection)]
    finally:
        connection.execute(text("RESET lock_timeout"))
    return [*(notice for notice in made if notice), *_unreadable(connection)]


def _missing(connection: Connection) -> Iterator[Index]:
    found = inspect(connection)
    for name in sorted(FREERADIUS_OWN):
        yield from lacks_index(found, freeradius_metadata.tables[name])


def _drop_half_made(connection: Connection) -> None:
    """What an earlier try has left: nobody reads by it, and every packet keeps it up."""
    ours = {str(index.name) for name in FREERADIUS_OWN for index in freeradius_metadata.tables[name].indexes}
    half_made = text(
        "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace ORDER BY c.relname"
    )
    for name in list(connection.scalars(half_made)):
        if name in ours:
            _refused(connection, f"DROP INDEX CONCURRENTLY {name}")


def _refused(connection: Connection, statement: str) -> str | None:
    """Why it could not be done: somebody else owns the table, or has locked it. None: it is done."""
    try:
        connection.execute(text(statement))
    except DBAPIError as exc:
        reason = getattr(exc.orig, "sqlstate", None)
        if reason in (_NOT_THE_OWNER, _LOCK_NOT_FREE):
            return str(reason)
        raise
    return None


def _make_beside_work(connection: Connection, index: Index, us: str) -> str | None:
    """None: it is made."""
    made = str(CreateIndex(index).compile(dialect=connection.dialect))
    statement = made.strip().replace("CREATE INDEX", "CREATE INDEX CONCURRENTLY", 1)
    table, reason = _table(index), _refused(connection, statement)
    if reason == _NOT_THE_OWNER:
        owned = text("SELECT tableowner FROM pg_tables WHERE tablename = :name AND schemaname = current_schema()")
        owner = connection.scalar(owned, {"name": table.name})
        return (
            f"{table.name} belongs to role {owner}, so that its index {index.name} could not be made: let {owner} say"
            f" {statement}; or GRANT {owner} TO {us}; and migrate again. Until then questions to that table are slow."
        )
    if reason == _LOCK_NOT_FREE:
        return (
            f"{table.name} was busy for {LOCK_TIMEOUT_SECONDS} seconds, so that its index {index.name} could not be"
            " made: migrate again when no long transaction (a backup) is under way."
        )
    return None


def _table(index: Index) -> Table:
    assert index.table is not None, "each index of ours is of a table"
    return index.table


def _unreadable(connection: Connection) -> list[str]:
    """FreeRADIUS asks tables of ours as well: where its role may not, every interim and every line's login fails."""
    notices = []
    schema = connection.scalar(text("SELECT current_schema()"))
    for table in _ASKED_BY_FREERADIUS:
        may_not = text(
            "SELECT r.rolname FROM pg_roles r WHERE r.rolcanlogin AND has_table_privilege(r.oid, 'radacct', 'INSERT')"
            " AND NOT has_table_privilege(r.oid, :name, 'SELECT') ORDER BY r.rolname"
        )
        notices += [
            f"Role {role} writes radacct and may not read {table}, which our queries of FreeRADIUS ask, so they would"
            f" fail: GRANT SELECT ON {schema}.{table} TO {role};"
            for role in connection.scalars(may_not, {"name": table})
        ]
    return notices
