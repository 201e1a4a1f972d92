"""Statements about thousands of rows that are said once: handed over as one value."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Table, Text, any_, bindparam, cast, column, func, insert, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import InstrumentedAttribute
from sqlalchemy.sql.selectable import TableValuedAlias


def is_postgresql(db: AsyncSession) -> bool:
    return db.get_bind().dialect.name == "postgresql"


def among(
    db: AsyncSession, what: ColumnElement[Any] | InstrumentedAttribute[Any], values: Collection[int] | Collection[str]
) -> ColumnElement[bool]:
    """What a column says is one of these numbers, or texts. One statement however many they are."""
    if is_postgresql(db):
        return what == any_(bindparam(None, list(values), type_=ARRAY(what.type), unique=True))
    listed = func.json_each(json.dumps(list(values))).table_valued("value")
    return what.in_(select(listed.c.value))


async def insert_rows(db: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """All of them, each with the same columns."""
    if not rows:
        return
    connection = await db.connection()
    if not is_postgresql(db):
        await connection.execute(insert(table), rows)
        return
    names = list(rows[0])
    every = told(table, names)
    chosen = insert(table).from_select(names, select(*(every.c[name] for name in names)), include_defaults=False)
    await connection.execute(chosen, {"rows": as_json(rows)})


async def update_rows(db: AsyncSession, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """In each row that is named by its ``id`` what else is said, the same columns in all of them."""
    if not rows:
        return
    connection = await db.connection()
    names = [name for name in rows[0] if name != "id"]
    if not is_postgresql(db):
        one = update(table).where(table.c.id == bindparam("b_id"))
        one = one.values({name: bindparam(f"b_{name}") for name in names})
        await connection.execute(one, [{f"b_{name}": value for name, value in row.items()} for row in rows])
        return
    every = told(table, list(rows[0]))
    each = update(table).where(table.c.id == every.c.id).values({name: every.c[name] for name in names})
    await connection.execute(each, {"rows": as_json(rows)})


def as_json(rows: Sequence[Mapping[str, Any]]) -> str:
    """What ``told`` is executed with, as its parameter ``rows``."""
    return json.dumps(rows, default=datetime.isoformat)


def told(table: Table, names: Sequence[str]) -> TableValuedAlias:
    """The rows of a statement as PostgreSQL reads them: as JSON, which Python writes far more quickly than arrays."""
    columns = [column(name, table.c[name].type) for name in names]
    told = func.json_to_recordset(cast(bindparam("rows", type_=Text), JSON))
    return told.table_valued(*columns).render_derived(with_types=True)
