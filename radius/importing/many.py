"""Many rows of the appliance's tables at once: one statement for all of them, where each would else be one.

On PostgreSQL COPY would be quicker still, but it doesn't go with row-level security.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Table, bindparam, func, literal, select, text, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from radius.lists import as_json, is_postgresql, told

T = TypeVar("T")

NAMES_AT_ONCE = 1000


def chunks(values: Sequence[T], size: int = NAMES_AT_ONCE) -> Iterator[Sequence[T]]:
    """So many of them at a time."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


async def insert_new(
    db: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]], *, same: Mapping[str, Any], key: str
) -> dict[str, int]:
    """Insert the rows, each with what is the ``same`` for all; one that some unique constraint refuses is left out.

    Returns the ids of those that were inserted, by what they have as ``key``, which tells them from all that are left
    out.
    """
    if not rows:
        return {}
    if not is_postgresql(db):
        return await _inserted_on_sqlite(db, table, rows, same, key)
    names = list(rows[0])
    every = told(table, names)
    constants = [literal(value, table.c[name].type) for name, value in same.items()]
    chosen = select(*(every.c[name] for name in names), *constants)
    statement = postgresql.insert(table).from_select([*names, *same], chosen).on_conflict_do_nothing()
    found = await db.execute(statement.returning(table.c[key], table.c.id), {"rows": as_json(rows)})
    return {value: row_id for value, row_id in found}


async def _inserted_on_sqlite(
    db: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]], same: Mapping[str, Any], key: str
) -> dict[str, int]:
    """Its transaction is the only one that writes, so what is above the highest number of before is ours."""
    highest = await db.scalar(select(func.max(table.c.id))) or 0
    await db.execute(sqlite.insert(table).on_conflict_do_nothing(), [{**row, **same} for row in rows])
    found = await db.execute(select(table.c[key], table.c.id).where(table.c.id > highest))
    return {value: row_id for value, row_id in found}


async def update_by_id(
    db: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]], *, same: Mapping[str, Any]
) -> None:
    """Write what each row says besides its ``id`` and ``version``, where the table's version is no lower and nothing
    later than that was written before."""
    if not rows:
        return
    names = [name for name in rows[0] if name not in ("id", "version")]
    shown = table.c.projected_version
    if not is_postgresql(db):
        version = bindparam("b_version", type_=table.c.version.type)
        statement = (
            update(table)
            .where(table.c.id == bindparam("b_id"), table.c.version >= version)
            .where(shown.is_(None) | (shown <= version))
            .values({name: bindparam(f"b_{name}") for name in names} | dict(same))
        )
        connection = await db.connection()
        await connection.execute(statement, [{f"b_{name}": value for name, value in row.items()} for row in rows])
        return
    # In arrays, whose length PostgreSQL sees: of JSON it expects a few rows, and would read a table that nobody has
    # counted yet once for each of thousands.
    names_of_all = list(rows[0])
    arrays = [bindparam(f"b_{name}", type_=ARRAY(table.c[name].type)) for name in names_of_all]
    every = func.unnest(*arrays).table_valued(*names_of_all).render_derived()
    statement = (
        update(table)
        .where(table.c.id == every.c.id, table.c.version >= every.c.version)
        .where(shown.is_(None) | (shown <= every.c.version))
        .values({name: every.c[name] for name in names} | dict(same))
    )
    connection = await db.connection()
    await connection.execute(statement, {f"b_{name}": [row[name] for row in rows] for name in names_of_all})


async def count_anew(db: AsyncSession, *tables: Table) -> None:
    """PostgreSQL's planner knows how much these hold, from this transaction's commit on, and needs not wait for
    autovacuum: until then it reads whole tables where it is asked for hundreds of rows. Where we don't own the tables,
    PostgreSQL warns and leaves it to their owner."""
    if is_postgresql(db):
        await db.execute(text("ANALYZE " + ", ".join(table.name for table in tables)))
