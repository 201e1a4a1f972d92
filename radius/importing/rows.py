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

from sqlalchemy import BigInteger, ColumnElement, Table, Text, bindparam, delete, exists, func, or_, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.types import TypeEngine

from radius.copying import copy_text
from radius.importing.many import chunks
from radius.lists import among, is_postgresql
from radius.ports import Begin
from radius.projection.freeradius_tables import radcheck, radius_line, radius_projection, radreply, radusergroup
from radius.projection.projection import digest
from radius.projection.radius_database import (
    FoundRows,
    LedgerEntry,
    Wish,
    actual_rows,
    lines_of,
    lock_every_name,
    surplus_rows,
)

_TABLES = (radcheck, radreply, radusergroup, radius_line)
_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "radcheck": ("username", "attribute", "op", "value"),
    "radreply": ("username", "attribute", "op", "value"),
    "radusergroup": ("username", "groupname", "priority"),
    "radius_line": ("username", "line"),
}
NAMES_AT_ONCE = 5000
_LEDGER = ("kind", "name", "tenant_id", "source_id", "version", "digest", "projected_at")
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
"""What COPY's text would take for its own."""


async def show_new(
    db: AsyncSession, wishes: Sequence[Wish], now: datetime, *, seen: Mapping[str, str], beside: Begin
) -> list[Wish]:
    """Write the rows of those that have none, with their line in the ledger; returns the wishes that were shown. All of
    one tenant; who stands in the ledger by whatever name is nobody new, and whose line logs in for another one there
    is left out.

    ``seen`` has names whose rows, which are not ours, may be replaced: those of which the rows have that digest still.
    ``beside`` opens another transaction in the same database; SQLite has one at a time, so there it isn't called.
    """
    if seen or not is_postgresql(db):
        await lock_every_name(db)
        known, standing = await _found(db, wishes)
        return await _show_those(db, wishes, now, known, standing, seen)
    # Mostly all of them are new. So they are written while another connection looks, whose words count; it is ours
    # before the lock is, behind which whoever has the last connection of the pool may wait.
    async with beside() as other:
        await other.connection()
        await lock_every_name(db)
        written = await db.begin_nested()
        looking = asyncio.create_task(_found(other, wishes))
        try:
            await _write(db, wishes, now)
        except IntegrityError:  # of some that are there already, or of something else
            if not any(await looking):
                raise
        finally:
            await asyncio.wait([looking])
        known, standing = looking.result()
        if known or standing:
            await written.rollback()
    return await _show_those(db, wishes, now, known, standing, seen) if known or standing else list(wishes)


async def _show_those(
    db: AsyncSession,
    wishes: Sequence[Wish],
    now: datetime,
    known: Collection[str],
    standing: Collection[str],
    seen: Mapping[str, str],
) -> list[Wish]:
    replaced = await _unaltered(db, set(standing).difference(known).intersection(seen), seen)
    shown = [wish for wish in wishes if wish.name not in known and (wish.name not in standing or wish.name in replaced)]
    for some in chunks(sorted(replaced)):
        for table in _TABLES:
            await db.execute(delete(table).where(table.c.username.in_(some)))
    await _write(db, shown, now)
    return shown


async def show_changed(db: AsyncSession, wishes: Sequence[Wish], now: datetime) -> list[Wish]:
    """Bring the rows of those whom we have shown under the same name before to what is wanted by now; returns the
    wishes that were shown.

    Left out are those of which more changes than rows of their own: their name, or a line that logs in for another one
    there; or of whom a later wish is shown, or of whom nothing is to be left.
    """
    await lock_every_name(db)
    entries = await _ledger_of(db, wishes)
    actual = await actual_rows(db, "subscriber", [wish.name for wish in wishes])
    anothers = await _with_lines_of_others(db, wishes)
    shown = [
        wish for wish in wishes if wish.name not in anothers and _is_same_but_for_rows(wish, entries[wish.source_id])
    ]
    surplus = [key for wish in shown for key in surplus_rows(actual[wish.name], wish.rows)]
    for table in _TABLES:
        ids = [row_id for name, row_id in surplus if name == table.name]
        if ids:
            await db.execute(delete(table).where(among(db, table.c.id, ids)))
    noted = (radius_projection.c.kind == "subscriber", among(db, radius_projection.c.name, [one.name for one in shown]))
    await db.execute(delete(radius_projection).where(*noted))
    missing = {wish.name: Counter(wish.rows) - Counter(actual[wish.name].values()) for wish in shown}
    wanted = [replace(wish, rows=tuple(missing[wish.name].elements())) for wish in shown]
    await _write(db, wanted, now)
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


def _is_same_but_for_rows(wish: Wish, entries: Sequence[LedgerEntry]) -> bool:
    return [entry.name for entry in entries] == [wish.name] and entries[0].age <= wish.age and bool(wish.rows)


async def foreign_names(db: AsyncSession, names: Sequence[str]) -> set[str]:
    """Those of the names that have rows which nobody here has written."""
    known, standing = await _known_and_standing(db, names)
    return standing - known


async def _with_lines_of_others(db: AsyncSession, wishes: Sequence[Wish]) -> set[str]:
    """The names of those whose lines log in for somebody else, there or among these before them."""
    owner: dict[str, str] = {}
    found = set[str]()
    for wish in wishes:
        if any(owner.setdefault(line, wish.name) != wish.name for line in lines_of(wish)):
            found.add(wish.name)
    for some in chunks(list(owner), NAMES_AT_ONCE):
        lines_there = select(radius_line.c.line, radius_line.c.username).where(among(db, radius_line.c.line, some))
        found |= {owner[line] for line, username in await db.execute(lines_there) if username != owner[line]}
    return found


async def _found(db: AsyncSession, wishes: Sequence[Wish]) -> tuple[set[str], set[str]]:
    """The names of those who are in the ledger, by this name or another one, or whose lines are another's, and the
    names that have rows."""
    known, standing = await _known_and_standing(db, [wish.name for wish in wishes])
    known |= await _with_lines_of_others(db, wishes)
    ledger = radius_projection.c
    for some in chunks(wishes, NAMES_AT_ONCE):
        numbers = [wish.source_id for wish in some]
        ours = (ledger.kind == "subscriber", ledger.tenant_id == some[0].tenant_id)
        if not await db.scalar(select(exists().where(*ours, ledger.source_id.between(min(numbers), max(numbers))))):
            continue  # mostly so: who is new has a number above all others'
        source = _asked(db, numbers, BigInteger)
        # Asked of each by itself: as a condition, or as one of a list, it may be all of the ledger that is read.
        found = await db.execute(select(source, exists().where(*ours, ledger.source_id == source)))
        written = {number for number, is_written in found if is_written}
        known |= {wish.name for wish in some if wish.source_id in written}
    return known, standing


async def _known_and_standing(db: AsyncSession, names: Sequence[str]) -> tuple[set[str], set[str]]:
    """Those of the names that are in the ledger, and those that have rows."""
    known, standing = set[str](), set[str]()
    for some in chunks(names, NAMES_AT_ONCE):
        name = _asked(db, some, Text)
        in_ledger = exists().where(radius_projection.c.kind == "subscriber", radius_projection.c.name == name)
        has_rows = or_(*(exists().where(table.c.username == name) for table in _TABLES))
        for found, is_known, stands in await db.execute(select(name, in_ledger, has_rows).where(in_ledger | has_rows)):
            known |= {found} if is_known else set()
            standing |= {found} if stands else set()
    return known, standing


def _asked(db: AsyncSession, values: Sequence[Any], type_: type[TypeEngine[Any]]) -> ColumnElement[Any]:
    """Values of which each is a row of its own."""
    if is_postgresql(db):
        listed = bindparam("asked", list(values), type_=ARRAY(type_))
        return func.unnest(listed).table_valued("value", name="asked").render_derived().c.value
    return func.json_each(json.dumps(list(values))).table_valued("value", name="asked").c.value


async def _unaltered(db: AsyncSession, names: Collection[str], seen: Mapping[str, str]) -> set[str]:
    rows: FoundRows = await actual_rows(db, "subscriber", sorted(names)) if names else {}
    return {name for name, found in rows.items() if digest(found.values()) == seen[name]}


class _Lot(NamedTuple):
    """The rows that one table gets, each value as text: the column makes it what it is."""

    table: Table
    columns: Sequence[str]
    rows: Sequence[tuple[str, ...]]


async def _write(db: AsyncSession, wishes: Sequence[Wish], now: datetime) -> None:
    """In the quickest way that the database has."""
    if is_postgresql(db):
        texts = await asyncio.to_thread(
            lambda: [_as_copied(lot) for lot in _lots(wishes, now.astimezone(UTC).isoformat())]
        )
        for statement, text in texts:
            await copy_text(db, statement, text)
        return
    connection = await db.connection()
    for table, columns, rows in await asyncio.to_thread(_lots, wishes, str(int(now.timestamp()))):
        places = ", ".join("?" * len(columns))
        await connection.exec_driver_sql(
            f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({places})",  # noqa: S608 - names of our own
            list(rows),
        )


def _lots(wishes: Sequence[Wish], at: str) -> list[_Lot]:
    """Those of them that aren't empty."""
    by_table: dict[str, list[tuple[str, ...]]] = {table.name: [] for table in _TABLES}
    for wish in wishes:
        for row in wish.rows:
            by_table[row.table].append((row.owner, *[value for _, value in row.columns]))
    ledger = [
        (wish.kind, wish.name, wish.tenant_id, str(wish.source_id), str(wish.version), wish.digest, at)
        for wish in wishes
    ]
    lots = [_Lot(table, _COLUMNS[table.name], by_table[table.name]) for table in _TABLES]
    return [lot for lot in (*lots, _Lot(radius_projection, _LEDGER, ledger)) if lot.rows]


def _as_copied(lot: _Lot) -> tuple[str, str]:
    """The statement and its text (PostgreSQL, COPY, "Text Format"). What the encoder lets pass needs no escape."""
    table, columns, rows = lot
    text = "\n".join(map("\t".join, rows)) + "\n"
    is_plain = "\\" not in text and text.count("\t") == len(rows) * (len(columns) - 1) and text.count("\n") == len(rows)
    if not is_plain:
        text = "".join("\t".join(value.translate(_ESCAPED) for value in row) + "\n" for row in rows)
    return f"COPY {table.name} ({', '.join(columns)}) FROM STDIN", text
