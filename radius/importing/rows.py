"""The rows of thousands of subscribers, new ones or changed ones, in one transaction in the radius database.

On PostgreSQL they are copied (COPY), on SQLite written by one statement a table. All names are locked for that time,
so what is found to be new stays new, and nobody projects one of them meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Table, Text, bindparam, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from radius.importing.many import chunks
from radius.lists import among, is_postgresql
from radius.projection.freeradius_tables import radcheck, radius_projection, radreply, radusergroup
from radius.projection.projection import Row, digest
from radius.projection.radius_database import (
    FoundRows,
    LedgerEntry,
    RowKey,
    Wish,
    actual_rows,
    lock_every_name,
    surplus_rows,
)

_TABLES = (radcheck, radreply, radusergroup)
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "radcheck": ("username", "attribute", "op", "value"),
    "radreply": ("username", "attribute", "op", "value"),
    "radusergroup": ("username", "groupname", "priority"),
}
NAMES_AT_ONCE = 5000
_LEDGER = ("kind", "name", "tenant_id", "source_id", "version", "digest", "projected_at")
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
"""What COPY's text would take for its own."""


async def show_new(db: AsyncSession, wishes: Sequence[Wish], now: datetime, *, seen: Mapping[str, str]) -> list[Wish]:
    """Write the rows of those that have none, with their line in the ledger; returns the wishes that were shown.

    ``seen`` has names whose rows, which are not ours, may be replaced: those of which the rows have that digest still.
    """
    await lock_every_name(db)
    # Put into the database's words while it looks: mostly all of them are new.
    preparing = asyncio.create_task(asyncio.to_thread(_prepared, wishes, now, as_text=is_postgresql(db)))
    try:
        known, standing = await _known_and_standing(db, [wish.name for wish in wishes])
    finally:
        await asyncio.wait([preparing])
    replaced = await _unaltered(db, (standing - known).intersection(seen), seen)
    shown = [wish for wish in wishes if wish.name not in known and (wish.name not in standing or wish.name in replaced)]
    for some in chunks(sorted(replaced)):
        for table in _TABLES:
            await db.execute(delete(table).where(table.c.username.in_(some)))
    if len(shown) < len(wishes):
        preparing = asyncio.create_task(asyncio.to_thread(_prepared, shown, now, as_text=is_postgresql(db)))
    await _write(db, await preparing)
    return shown


async def show_changed(db: AsyncSession, wishes: Sequence[Wish], now: datetime) -> list[Wish]:
    """Bring the rows of those whom we have shown under the same name before to what is wanted by now; returns the
    wishes that were shown.

    Left out are those of which more changes than rows of their own: their name or the line that logs in for them, or
    of whom a later wish is shown, or of whom nothing is to be left.
    """
    await lock_every_name(db)
    entries = await _ledger_of(db, wishes)
    actual = await actual_rows(db, "subscriber", [wish.name for wish in wishes])
    shown = [wish for wish in wishes if _is_same_but_for_rows(wish, entries[wish.source_id], actual[wish.name])]
    surplus = [key for wish in shown for key in surplus_rows(actual[wish.name], wish.rows)]
    for table in _TABLES:
        ids = [row_id for name, row_id in surplus if name == table.name]
        if ids:
            await db.execute(delete(table).where(among(db, table.c.id, ids)))
    noted = (radius_projection.c.kind == "subscriber", among(db, radius_projection.c.name, [one.name for one in shown]))
    await db.execute(delete(radius_projection).where(*noted))
    missing = {wish.name: Counter(wish.rows) - Counter(actual[wish.name].values()) for wish in shown}
    wanted = [replace(wish, rows=tuple(missing[wish.name].elements())) for wish in shown]
    await _write(db, _prepared(wanted, now, as_text=is_postgresql(db)))
    return shown


async def _ledger_of(db: AsyncSession, wishes: Sequence[Wish]) -> dict[int, list[LedgerEntry]]:
    """By subscriber all that the ledger has of it."""
    found: dict[int, list[LedgerEntry]] = {wish.source_id: [] for wish in wishes}
    columns = radius_projection.c
    asked = select(columns.name, columns.tenant_id, columns.source_id, columns.version, columns.digest)
    asked = asked.where(columns.kind == "subscriber", among(db, columns.source_id, found))
    for row in await db.execute(asked.where(columns.tenant_id.in_({wish.tenant_id for wish in wishes}))):
        found[row.source_id].append(LedgerEntry(*row))
    return found


def _is_same_but_for_rows(wish: Wish, entries: Sequence[LedgerEntry], actual: Mapping[RowKey, Row]) -> bool:
    of_tables = {table.name for table in _TABLES}
    rows = (*wish.rows, *actual.values())
    return (
        [entry.name for entry in entries] == [wish.name]
        and entries[0].age <= wish.age
        and bool(wish.rows)
        and all(row.table in of_tables for row in rows)
    )


async def foreign_names(db: AsyncSession, names: Sequence[str]) -> set[str]:
    """Those of the names that have rows which nobody here has written."""
    known, standing = await _known_and_standing(db, names)
    return standing - known


async def _known_and_standing(db: AsyncSession, names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of the names that are in the ledger, and those that have rows."""
    known, standing = set[str](), set[str]()
    for some in chunks(names, NAMES_AT_ONCE):
        asked: Any = func.json_each(json.dumps(some)).table_valued("value", name="asked")
        if is_postgresql(db):
            listed = bindparam("names", list(some), type_=ARRAY(Text))
            asked = func.unnest(listed).table_valued("value", name="asked").render_derived()
        name = asked.c.value
        in_ledger = exists().where(radius_projection.c.kind == "subscriber", radius_projection.c.name == name)
        has_rows = or_(*(exists().where(table.c.username == name) for table in _TABLES))
        for found, is_known, stands in await db.execute(select(name, in_ledger, has_rows).where(in_ledger | has_rows)):
            known |= {found} if is_known else set()
            standing |= {found} if stands else set()
    return known, standing


async def _unaltered(db: AsyncSession, names: Collection[str], seen: Mapping[str, str]) -> set[str]:
    rows: FoundRows = await actual_rows(db, "subscriber", sorted(names)) if names else {}
    return {name for name, found in rows.items() if digest(found.values()) == seen[name]}


class _Prepared(NamedTuple):
    """The rows of one table as its database takes them: SQLite one by one, PostgreSQL as COPY's text."""

    table: Table
    columns: Sequence[str]
    rows: Sequence[tuple[Any, ...]]
    text: str


def _prepared(wishes: Sequence[Wish], now: datetime, *, as_text: bool) -> list[_Prepared]:
    by_table: dict[str, list[tuple[Any, ...]]] = {table.name: [] for table in _TABLES}
    for wish in wishes:
        for row in wish.rows:
            by_table[row.table].append(_values(row))
    at: Any = now.astimezone(UTC).isoformat() if as_text else int(now.timestamp())
    ledger = [(wish.kind, wish.name, wish.tenant_id, wish.source_id, wish.version, wish.digest, at) for wish in wishes]
    every = [(table, _COLUMNS[table.name], by_table[table.name]) for table in _TABLES]
    return [
        _Prepared(table, columns, rows, _as_copied(rows, len(columns)) if as_text else "")
        for table, columns, rows in (*every, (radius_projection, _LEDGER, ledger))
        if rows
    ]


def _values(row: Row) -> tuple[Any, ...]:
    values = tuple(value for _, value in row.columns)
    return (row.owner, values[0], int(values[1])) if row.table == "radusergroup" else (row.owner, *values)


def _as_copied(rows: Sequence[tuple[Any, ...]], columns: int) -> str:
    """COPY's text (PostgreSQL, COPY, "Text Format"). What the encoder lets pass needs no escape."""
    text = "\n".join(["\t".join(map(str, row)) for row in rows]) + "\n"
    if "\\" not in text and text.count("\t") == len(rows) * (columns - 1) and text.count("\n") == len(rows):
        return text
    return "".join("\t".join(str(value).translate(_ESCAPED) for value in row) + "\n" for row in rows)


async def _write(db: AsyncSession, prepared: Sequence[_Prepared]) -> None:
    """In the quickest way that the database has."""
    connection = await db.connection()
    for table, columns, rows, text in prepared:
        if is_postgresql(db):
            await _copy(db, connection, f"COPY {table.name} ({', '.join(columns)}) FROM STDIN", text)
            continue
        places = ", ".join("?" * len(columns))
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608 - names of our own
            list(rows),
        )


async def _copy(db: AsyncSession, connection: AsyncConnection, statement: str, text: str) -> None:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        async with driver.cursor() as cursor, cursor.copy(statement) as copy:
            await copy.write(text)
    except psycopg.Error as exc:
        dialect = db.get_bind().dialect
        raise DBAPIError.instance(statement, None, exc, psycopg.Error, hide_parameters=True, dialect=dialect) from exc
