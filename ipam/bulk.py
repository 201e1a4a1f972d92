"""Many rows at once: one statement for all of them, where the database would else be asked for each."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import cache
from typing import Any, TypeVar

from sqlalchemy import (
    Column,
    ColumnElement,
    Insert,
    Table,
    TableValuedAlias,
    Update,
    bindparam,
    func,
    insert,
    literal,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute

T = TypeVar("T")

AT_ONCE = 1000
"""So many rows, or their ids, are named by one statement."""


def in_parts(many: Sequence[T]) -> Iterator[Sequence[T]]:
    """In their order, so many at once as one statement may name."""
    return (many[start : start + AT_ONCE] for start in range(0, len(many), AT_ONCE))


async def insert_many(db: AsyncSession, table: Table, values: Sequence[dict[str, Any]]) -> None:
    """All have the same columns. COPY would be quicker still, but it doesn't go with row-level security."""
    if not values:
        return
    if db.get_bind().dialect.name != "postgresql":
        await db.execute(insert(table), list(values))
        return
    names = tuple(values[0])
    await db.execute(_rows_of(table, names), {name: [each[name] for each in values] for name in names})


async def update_many(db: AsyncSession, table: Table, key: tuple[str, ...], values: Sequence[dict[str, Any]]) -> None:
    """All have the same columns: those of the key say which row is meant, and the others what it says from now on."""
    if not values:
        return
    connection = await db.connection()
    names = tuple(values[0])
    if connection.dialect.name != "postgresql":
        each = [{f"_{name}": row[name] for name in names} for row in values]
        await connection.execute(_one_changed(table, key, names), each)
        return
    await connection.execute(_changed(table, key, names), {f"_{name}": [row[name] for row in values] for name in names})


def among(db: AsyncSession, column: InstrumentedAttribute[T] | Column[T], values: Collection[T]) -> ColumnElement[bool]:
    """Which rows have one of these. PostgreSQL is told them as rows, which it joins: of a list it would compare each
    with every row where it hasn't counted a new table yet (a network just applied: minutes for 20,000 premises)."""
    if db.get_bind().dialect.name != "postgresql":
        return column.in_(values)
    rows = func.unnest(literal(list(values), ARRAY(column.type)))
    return column.in_(select(rows))


@cache
def _rows_of(table: Table, names: tuple[str, ...]) -> Insert:
    every = _unnested(table, names)
    return insert(table).from_select(names, select(*(every.c[name] for name in names)))


@cache
def _changed(table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Update:
    every = _unnested(table, names, prefix="_")
    changed = update(table).where(*(table.c[name] == every.c[name] for name in key))
    return changed.values({name: every.c[name] for name in names if name not in key})


@cache
def _one_changed(table: Table, key: tuple[str, ...], names: tuple[str, ...]) -> Update:
    changed = update(table).where(*(table.c[name] == bindparam(f"_{name}") for name in key))
    return changed.values({name: bindparam(f"_{name}") for name in names if name not in key})


def _unnested(table: Table, names: tuple[str, ...], prefix: str = "") -> TableValuedAlias:
    arrays = [bindparam(f"{prefix}{name}", type_=ARRAY(table.c[name].type)) for name in names]
    return func.unnest(*arrays).table_valued(*names).render_derived()


async def count_anew(db: AsyncSession, *tables: Table) -> None:
    """PostgreSQL's planner knows how much these hold, from this transaction's commit on.

    Who counts while many rows are not yet committed finds none, and that stands until autovacuum comes again: joins
    over whole tables (`firstlight check`) were then planned for a row and ran for hours. Our lock keeps others from
    counting until the commit. Where we don't own the tables, PostgreSQL warns and leaves it to their owner.
    """
    if db.get_bind().dialect.name == "postgresql":
        await db.execute(text("ANALYZE " + ", ".join(table.name for table in tables)))
