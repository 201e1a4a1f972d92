"""Whether the database still refuses what it has to refuse: that somebody rewrites who had what."""

from __future__ import annotations

import re
from itertools import chain

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import ddl
from ipam.invariants import Violation
from ipam.kept_ddl import POSTGRESQL_KEPT, SQLITE_KEPT

_POSTGRESQL = (
    *(*ddl.POSTGRESQL_HISTORY, *ddl.POSTGRESQL_SERVICES, *ddl.POSTGRESQL_POOLS, *ddl.POSTGRESQL_MOVES),
    *chain.from_iterable(POSTGRESQL_KEPT.values()),
)
_SQLITE = (
    *(*ddl.SQLITE_HISTORY, *ddl.SQLITE_SERVICES, *ddl.SQLITE_POOLS, *ddl.SQLITE_MOVES),
    *chain.from_iterable(SQLITE_KEPT.values()),
)
_MADE = re.compile(r"CREATE TRIGGER (\w+) BEFORE .*? ON (\w+)")
_AT_WORK = {
    "postgresql": (
        "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND pg_table_is_visible(c.oid)"
    ),
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
}


async def unguarded(db: AsyncSession, *, tenant_id: str) -> list[Violation]:
    """The triggers are there that keep the history of addresses, and what it refers to, from being rewritten. They are
    of all tenants, whoever asks."""
    dialect = db.get_bind().dialect.name
    at_work = set(await db.scalars(text(_AT_WORK[dialect])))
    wanted = [
        made.groups() for sql in (_POSTGRESQL if dialect == "postgresql" else _SQLITE) for made in _MADE.finditer(sql)
    ]
    return [
        Violation(
            f"table {table}",
            f"may be rewritten by anybody: its trigger {name} is gone or disabled; make it again (`CREATE TRIGGER"
            f" {name}`, as ipam/ddl.py or ipam/kept_ddl.py has it), and compare the table with a backup"
            " (docs/running.md)",
        )
        for name, table in wanted
        if name not in at_work
    ]
