"""Each statement is compiled once in a process, not once for each engine: tests open hundreds of databases.

SQLAlchemy keeps what it has compiled with the engine, under the dialect of that engine. Two engines of the same kind
speak the same SQL, so here they count as one dialect and keep it in one place. An appliance has one database, and
nothing to gain by this.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg, PGDialectAsync_psycopg
from sqlalchemy.dialects.sqlite.aiosqlite import SQLiteDialect_aiosqlite
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.util import LRUCache

DIALECTS: tuple[type[DefaultDialect], ...] = (
    PGDialect_psycopg,
    PGDialectAsync_psycopg,
    SQLiteDialect_aiosqlite,
    SQLiteDialect_pysqlite,
)
STATEMENTS = 5_000

_compiled: LRUCache[Any, Any] = LRUCache(STATEMENTS)


def _is_same(self: DefaultDialect, other: object) -> bool:
    return type(self) is type(other)


def _hash(self: DefaultDialect) -> int:
    return hash(type(self))


def _engine_created(_dialect: type[DefaultDialect], engine: Any) -> None:
    engine._compiled_cache = _compiled


def compile_once() -> None:
    """From now on, for every engine made in this process."""
    for dialect in DIALECTS:
        for name, replacement in (("__eq__", _is_same), ("__hash__", _hash)):
            setattr(dialect, name, replacement)
        dialect.engine_created = classmethod(_engine_created)  # type: ignore[assignment]
