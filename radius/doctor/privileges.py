"""What the server's role may not do in a PostgreSQL radius database that its queries do: asked of the catalogue alone.

The server's role is one that may log in and write accounting or the log of logins. One that may write neither can't be
told from a report's; then no login and no session is written down, which other looks find.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from types import MappingProxyType

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from radius.doctor.traps import Trap

_READ = "nobody logs in whom it would find there, and the query's failure is told in radius.log alone"
_LINES = "lines that log in by themselves are refused, and with them whatever else the query is for"
NEEDED: Mapping[str, tuple[tuple[str, ...], str]] = MappingProxyType(
    {
        **dict.fromkeys(
            ("radcheck", "radreply", "radgroupcheck", "radgroupreply", "radusergroup"), (("SELECT",), _READ)
        ),
        "nas": (("SELECT",), "no NAS is known, and none gets an answer"),
        "radius_line": (("SELECT",), _LINES),
        "radacct": (("SELECT", "INSERT", "UPDATE"), "accounting is not kept, and second logins are not seen"),
        "radius_session_archive": (("SELECT",), "every interim and Stop fails, and is sent again for ever"),
        "radius_login": (("INSERT",), "why somebody was refused is told nowhere"),
        "radius_unknown_user": (("SELECT", "INSERT", "UPDATE"), "who asks that nobody knows is told nowhere"),
        "radius_nas_clock": (("SELECT", "INSERT", "UPDATE"), "that a NAS' clock is wrong is told nowhere"),
        "radius_unknown_nas": (("SELECT", "INSERT", "UPDATE"), "which unknown NAS asks is told nowhere"),
    }
)
"""By table what the queries of ``deploy/freeradius`` do there, and what fails without."""
NUMBERED: Mapping[str, str] = MappingProxyType(
    {"radacct": "radacctid", "radius_login": "id", "radius_unknown_user": "id"}
)
"""Tables whose rows get a number of a sequence when the server writes them."""

_ROLES = (
    "SELECT r.rolname FROM pg_roles r WHERE r.rolcanlogin AND NOT r.rolsuper AND ("
    " has_table_privilege(r.oid, to_regclass('radacct'), 'INSERT')"
    " OR has_table_privilege(r.oid, to_regclass('radacct'), 'UPDATE')"
    " OR has_table_privilege(r.oid, to_regclass('radius_login'), 'INSERT')) ORDER BY r.rolname"
)
_LACKS_TABLE = (
    "SELECT to_regclass(:name) IS NOT NULL AND NOT has_table_privilege(CAST(:role AS name), to_regclass(:name), :act)"
)
_LACKS_SEQUENCE = (
    "SELECT s.name FROM (SELECT pg_get_serial_sequence(CAST(to_regclass(:name) AS text), :column) AS name) s"
    # an identity's own sequence needs no grant
    " JOIN pg_class c ON c.oid = CAST(s.name AS regclass)"
    " JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'a'"
    " WHERE NOT has_sequence_privilege(CAST(:role AS name), s.name, 'USAGE')"
)


async def privilege_traps(db: AsyncSession, _oldest: datetime) -> list[Trap]:
    """Each missing grant with the statement that gives it; none on SQLite, which knows no roles."""
    if db.get_bind().dialect.name != "postgresql":
        return []
    traps: list[Trap] = []
    schema = await db.scalar(text("SELECT quote_ident(current_schema())"))
    for role in list(await db.scalars(text(_ROLES))):
        quoted = await db.scalar(text("SELECT quote_ident(:role)"), {"role": role})
        uses = text("SELECT has_schema_privilege(CAST(:role AS name), current_schema(), 'USAGE')")
        if not await db.scalar(uses, {"role": role}):
            fix = f"GRANT USAGE ON SCHEMA {schema} TO {quoted};"
            traps.append(_trap(role, f"use schema {schema}", "it finds none of its tables", fix))
        for table, (acts, why) in NEEDED.items():
            missing = [act for act in acts if await _lacks(db, role, table, act)]
            if missing:
                may = " and ".join(missing)
                fix = f"GRANT {', '.join(missing)} ON {schema}.{table} TO {quoted};"
                traps.append(_trap(role, f"{may} {table}", why, fix))
        async for sequence in _sequences(db, role):
            fix = f"GRANT USAGE ON SEQUENCE {sequence} TO {quoted};"
            traps.append(_trap(role, f"use {sequence}", "no row of its table can be written", fix))
    return traps


async def _lacks(db: AsyncSession, role: str, table: str, act: str) -> bool:
    return bool(await db.scalar(text(_LACKS_TABLE), {"role": role, "name": table, "act": act}))


async def _sequences(db: AsyncSession, role: str) -> AsyncIterator[str]:
    for table, column in NUMBERED.items():
        name = await db.scalar(text(_LACKS_SEQUENCE), {"role": role, "name": table, "column": column})
        if name is not None:
            yield name


def _trap(role: str, what: str, why: str, fix: str) -> Trap:
    return Trap(trap="grant_missing", what=f"role {role} may not {what}", why=f"{why[:1].upper()}{why[1:]}.", fix=fix)
