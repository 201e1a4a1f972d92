"""The SQL side of the projection: bring the rows of one name to what they shall be, in the radius database.

Every change of a name happens under that name's lock, and the ledger row beside it says which wish the rows show. So
two projectors at work at once, or one that was frozen in between, cannot put an older wish over a newer one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Column, ColumnElement, Table, delete, func, insert, or_, select, update
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, ProgrammingError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from radius.ports import Begin
from radius.projection.freeradius_tables import (
    freeradius_metadata,
    nas,
    radcheck,
    radgroupcheck,
    radgroupreply,
    radius_line,
    radius_projection,
    radreply,
    radusergroup,
)
from radius.projection.projection import Row, digest, is_marked_as_anothers
from radius.projection_errors import ForeignRows, RadiusDatabaseUnavailable, RadiusDatabaseUnfit

Kind = Literal["subscriber", "plan", "nas"]

RowKey = tuple[str, int]
"""A row's table and id."""
FoundRows = dict[str, dict[RowKey, Row]]
"""Rows by the name they stand under."""

_TABLES: Mapping[Kind, tuple[Table, ...]] = {
    "subscriber": (radcheck, radreply, radusergroup, radius_line),
    "plan": (radgroupcheck, radgroupreply),
    "nas": (nas,),
}
_OWNER = {
    "radcheck": "username",
    "radreply": "username",
    "radusergroup": "username",
    "radius_line": "username",
    "radgroupcheck": "groupname",
    "radgroupreply": "groupname",
    "nas": "nasname",
}
_COLUMNS = {
    "radusergroup": ("groupname", "priority"),
    "radius_line": ("line",),
    "nas": ("shortname", "type", "secret", "community", "description"),
}
_ATTRIBUTE_COLUMNS = ("attribute", "op", "value")
GIVEN_UP = 0
"""``source_id`` of a name in the ledger that its subscriber has given up."""
_NAMES_AT_ONCE = 400
LOCK_TIMEOUT_SECONDS = 3
"""So long a change of a name waits for a row or a name that somebody else holds: others wait behind it."""
_EVERY_NAME = 0x52414E53  # "RANS"; held by many who change one name each, or by one who changes thousands
_ROLLED_BACK, _LOCK_NOT_AVAILABLE, _QUERY_CANCELED = "40", "55P03", "57014"  # PostgreSQL's SQLSTATE
_SQLITE_LACKS = ("no such table", "no such column")


@dataclass(frozen=True)
class Wish:
    """What the radius database shall show under one name. Later wishes compare greater."""

    kind: Kind
    name: str
    tenant_id: str
    source_id: int
    version: int
    rows: tuple[Row, ...]
    digest: str
    adopts: bool = False
    """It takes the place of rows that others have written there."""

    @property
    def age(self) -> tuple[int, int]:
        return (self.source_id, self.version)


@dataclass(frozen=True)
class LedgerEntry:
    """Which wish the rows of a name show, and their digest."""

    name: str
    tenant_id: str
    source_id: int
    version: int
    digest: str

    @property
    def age(self) -> tuple[int, int]:
        return (self.source_id, self.version)


@asynccontextmanager
async def radius_transaction(radius_begin: Begin) -> AsyncIterator[AsyncSession]:
    """A transaction in the radius database whose failures are ours.

    Raises:
        RadiusDatabaseUnavailable: no connection, or it broke, or a lock did not come free.
        RadiusDatabaseUnfit: a table, column or permission is missing.
    """
    try:
        async with radius_begin() as db:
            yield db
    except IntegrityError as exc:
        # The message of a violated constraint shows the row, and the row may hold a password: neither goes on.
        exc.hide_parameters = True
        raise RadiusDatabaseUnfit(f"a constraint refused a row: {type(exc.orig).__name__}") from None
    except DBAPIError as exc:
        exc.hide_parameters = True
        reason = _first_line(exc.orig)
        unfit = isinstance(exc, ProgrammingError | DataError) or reason.startswith(_SQLITE_LACKS)
        if unfit:
            raise RadiusDatabaseUnfit(reason) from exc
        raise RadiusDatabaseUnavailable(reason, of_one=is_of_one(exc)) from exc
    except PoolTimeout as exc:
        raise RadiusDatabaseUnavailable("all our connections to it are busy") from exc


def dialect_of(db: AsyncSession) -> str:
    """Of the radius database."""
    return db.get_bind().dialect.name


def is_of_one(error: DBAPIError) -> bool:
    """Whether a statement failed for what others were at just then (a lock, a deadlock, somebody cancelled it): the
    database answers."""
    state = getattr(error.orig, "sqlstate", None) or ""
    return state.startswith(_ROLLED_BACK) or state in (_LOCK_NOT_AVAILABLE, _QUERY_CANCELED)


def _first_line(error: BaseException | None) -> str:
    return (str(error).strip().splitlines() or ["no reason given"])[0]


async def lock_name(db: AsyncSession, kind: Kind, name: str) -> None:
    """Nobody else changes this name until the transaction ends. On SQLite the transaction itself is that lock.

    From here on the transaction waits for no lock longer than ``LOCK_TIMEOUT_SECONDS``; for who has every name it does,
    who waits for nobody longer either.
    """
    if dialect_of(db) == "postgresql":
        every = func.pg_advisory_xact_lock_shared(_EVERY_NAME)  # before the name's: who has all waits for nobody's
        await db.execute(select(every))
        of_name = func.pg_advisory_xact_lock(func.hashtextextended(f"{kind}:{name}", 0))
        await db.execute(select(_limited_wait(), of_name))


async def lock_source(db: AsyncSession, wish: Wish) -> None:
    """Nobody else changes what was written for this row of ours, whatever its name or address."""
    await lock_name(db, wish.kind, f"{wish.tenant_id}#{wish.source_id}")


async def lock_every_name(db: AsyncSession) -> None:
    """Nobody else changes any name until the transaction ends. On SQLite the transaction itself is that lock."""
    if dialect_of(db) == "postgresql":
        await db.execute(select(func.pg_advisory_xact_lock(_EVERY_NAME)))
        await db.execute(select(_limited_wait()))


def _limited_wait() -> ColumnElement[str]:
    return func.set_config("lock_timeout", f"{LOCK_TIMEOUT_SECONDS}s", True)


async def ledger_entry(db: AsyncSession, kind: Kind, name: str) -> LedgerEntry | None:
    """Which wish the rows of a name show, None when they are not ours (or are none)."""
    found = await _entries(db, kind, radius_projection.c.name == name)
    return found[0] if found else None


async def ledger_entries_of(db: AsyncSession, wish: Wish) -> list[LedgerEntry]:
    """Everything that was written for the row of ours that a wish is about, under whatever name."""
    columns = radius_projection.c
    return await _entries(db, wish.kind, columns.tenant_id == wish.tenant_id, columns.source_id == wish.source_id)


async def _entries(db: AsyncSession, kind: Kind, *which: ColumnElement[bool]) -> list[LedgerEntry]:
    columns = radius_projection.c
    found = await db.execute(
        select(columns.name, columns.tenant_id, columns.source_id, columns.version, columns.digest)
        .where(columns.kind == kind, *which)
        .order_by(columns.name)
    )
    return [LedgerEntry(*row) for row in found]


async def all_ledger_names(db: AsyncSession, kind: Kind) -> dict[str, str]:
    """Whose each name is: tenant by name, of every tenant of this server."""
    columns = radius_projection.c
    return {
        name: tenant
        for name, tenant in await db.execute(select(columns.name, columns.tenant_id).where(columns.kind == kind))
    }


async def show(db: AsyncSession, wish: Wish, entry: LedgerEntry | None, now: datetime) -> bool:
    """Bring the rows of a locked name to the wish and note it in the ledger. True when a row had to change.

    Raises:
        ForeignRows: there are rows and they are not ours, nor to be taken over; or they are another tenant's.
    """
    actual = (await actual_rows(db, wish.kind, [wish.name]))[wish.name]
    is_anothers = entry.tenant_id != wish.tenant_id if entry else wish.adopts and _marked_as_anothers(wish, actual)
    if is_anothers or (entry is None and actual and not wish.adopts):
        raise ForeignRows(wish.kind, wish.name, {row.table for row in actual.values()}, is_anothers=is_anothers)
    surplus = surplus_rows(actual, wish.rows)
    missing = Counter(wish.rows) - Counter(actual.values())
    await _delete(db, surplus)
    await _take_over_lines(db, wish)
    await _insert(db, missing.elements())
    await _note(db, wish, entry, now)
    return bool(surplus or missing)


def _marked_as_anothers(wish: Wish, actual: Mapping[RowKey, Row]) -> bool:
    """What was read before its name was locked may have been written by another tenant since."""
    descriptions = (dict(row.columns)["description"] for row in actual.values())
    return any(is_marked_as_anothers(each, wish.tenant_id) for each in descriptions)


async def whose_lines(db: AsyncSession, wish: Wish) -> list[str]:
    """For whom else the lines of a wish log in here."""
    if all(row.table != radius_line.name for row in wish.rows):
        return []
    return list(await db.scalars(select(radius_line.c.username).where(_of_others(wish)).distinct()))


async def _take_over_lines(db: AsyncSession, wish: Wish) -> None:
    """A line that logs in for somebody else here no longer does so: that one's own rows are still to follow."""
    if any(row.table == radius_line.name for row in wish.rows):
        await db.execute(delete(radius_line).where(_of_others(wish)))


def lines_of(wish: Wish) -> list[str]:
    """The lines that are to log in for it."""
    return [dict(row.columns)["line"] for row in wish.rows if row.table == radius_line.name]


def _of_others(wish: Wish) -> ColumnElement[bool]:
    return radius_line.c.line.in_(lines_of(wish)) & (radius_line.c.username != wish.name)


async def remove_name(db: AsyncSession, kind: Kind, name: str) -> None:
    """Take away what we wrote under a name we gave up (an address a NAS had), and its ledger row."""
    await _delete(db, list((await actual_rows(db, kind, [name]))[name]))
    await db.execute(
        delete(radius_projection).where(radius_projection.c.kind == kind, radius_projection.c.name == name)
    )


async def give_up_name(db: AsyncSession, name: str) -> None:
    """Take away a subscriber's rows under a name it has given up. The ledger keeps the name, as nobody's wish and older
    than any: the sessions and the usage under it stay its tenant's.
    """
    await _delete(db, list((await actual_rows(db, "subscriber", [name]))[name]))
    mine = (radius_projection.c.kind == "subscriber") & (radius_projection.c.name == name)
    await db.execute(
        update(radius_projection).where(mine).values(source_id=GIVEN_UP, version=GIVEN_UP, digest=digest(()))
    )


async def actual_rows(db: AsyncSession, kind: Kind, names: Sequence[str]) -> FoundRows:
    """The rows under each name, by their table and id."""
    found: FoundRows = {name: {} for name in names}
    for start in range(0, len(names), _NAMES_AT_ONCE):
        for table in _TABLES[kind]:
            await _read(db, kind, table, names[start : start + _NAMES_AT_ONCE], found)
    return found


async def names_with_rows(db: AsyncSession, kind: Kind) -> set[str]:
    """Every name that has a row, ours or not."""
    names: set[str] = set()
    for table in _TABLES[kind]:
        owners = await db.scalars(select(_owner(table)).distinct())
        names.update(_name_of(kind, owner) for owner in owners)
    return names


async def _read(db: AsyncSession, kind: Kind, table: Table, names: Sequence[str], found: FoundRows) -> None:
    owner, columns = _owner(table), _columns(table)
    rows = await db.execute(
        select(table.c.id, owner, *(table.c[name] for name in columns)).where(_named(kind, owner, names))
    )
    for row_id, row_owner, *values in rows:
        texts = ("" if value is None else str(value) for value in values)
        row = Row(table.name, row_owner, tuple(zip(columns, texts, strict=True)))
        found[_name_of(kind, row_owner)][(table.name, row_id)] = row


def surplus_rows(actual: Mapping[RowKey, Row], wanted: Iterable[Row]) -> list[RowKey]:
    """The rows to take away: what is not wanted, and what is there more often than wanted."""
    spare = Counter(wanted)
    surplus = []
    for key, row in actual.items():
        if spare[row] > 0:
            spare[row] -= 1
        else:
            surplus.append(key)
    return surplus


async def _delete(db: AsyncSession, keys: Iterable[RowKey]) -> None:
    for table in freeradius_metadata.sorted_tables:
        ids = [row_id for name, row_id in keys if name == table.name]
        if ids:
            await db.execute(delete(table).where(table.c.id.in_(ids)))


async def _insert(db: AsyncSession, rows: Iterable[Row]) -> None:
    for row in rows:
        table = freeradius_metadata.tables[row.table]
        values: dict[str, str | int] = {_OWNER[row.table]: row.owner, **dict(row.columns)}
        if "priority" in values:
            values["priority"] = int(values["priority"])
        await db.execute(insert(table).values(values))


async def _note(db: AsyncSession, wish: Wish, entry: LedgerEntry | None, now: datetime) -> None:
    values = {
        "tenant_id": wish.tenant_id,
        "source_id": wish.source_id,
        "version": wish.version,
        "digest": wish.digest,
        "projected_at": now,
    }
    if entry is None:
        await db.execute(insert(radius_projection).values(kind=wish.kind, name=wish.name, **values))
        return
    if (entry.age, entry.digest) != (wish.age, wish.digest):
        mine = (radius_projection.c.kind == wish.kind) & (radius_projection.c.name == wish.name)
        await db.execute(update(radius_projection).where(mine).values(values))


def _owner(table: Table) -> Column[str]:
    return table.c[_OWNER[table.name]]


def _columns(table: Table) -> tuple[str, ...]:
    return _COLUMNS.get(table.name, _ATTRIBUTE_COLUMNS)


def _named(kind: Kind, owner: Column[str], names: Sequence[str]) -> ColumnElement[bool]:
    """A plan's name stands for the groups of its dialects too."""
    if kind != "plan":
        return owner.in_(names)
    dialects = (owner.startswith(f"{name}:", autoescape=True) for name in names)
    return or_(owner.in_(names), *dialects)


def _name_of(kind: Kind, owner: str) -> str:
    return owner.partition(":")[0] if kind == "plan" else owner
