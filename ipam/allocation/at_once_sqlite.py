"""A new service by one script that runs where SQLite does: in the thread of its connection, from end to end.

The transaction is the only writer, so what the script reads is true, and nothing has to be undone: all that may be
refused comes before the first row is written, or is that row.
"""

from __future__ import annotations

import sqlite3
from collections import namedtuple
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol, cast

from sqlalchemy import Connection
from sqlalchemy.dialects import sqlite
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ipam.allocation.candidates import Candidate, Holder, candidate_from
from ipam.allocation.chains import chains_of
from ipam.allocation.given import WROTE, Given
from ipam.allocation.orders import Order
from ipam.allocation.places import place_from, plan_from
from ipam.allocation.service_rows import COLUMNS, service_row, username_of
from ipam.allocation.wishes import question
from ipam.errors import IpamError
from ipam.holdings import subject_of
from ipam.kinds import wanted

Script = Callable[[sqlite3.Cursor], list[Given]]


class RunsScripts(Protocol):
    """A connection of SQLAlchemy's that hands a whole script to the thread of its own."""

    def act(self, act: Script) -> tuple[object, list[Given]]:
        """What the script returns comes second."""


_QUESTION = question("sqlite").compile(dialect=sqlite.dialect(paramstyle="named"))
_ASK = str(_QUESTION)
_ROW = namedtuple("_ROW", question("sqlite").selected_columns.keys())  # type: ignore[misc]
_NAMES = ", ".join(COLUMNS)
_SERVICE = f"INSERT INTO ipam_service (state, {_NAMES}) VALUES ('active', :{_NAMES.replace(', ', ', :')})"  # noqa: S608
_MOVE = "UPDATE ipam_free_range SET next_unit = next_unit + 1 WHERE pool_id = ? AND seq = ?"
_DROP = "DELETE FROM ipam_free_range WHERE pool_id = ? AND seq = ?"
_ADD = (
    "INSERT INTO ipam_allocation (tenant_id, pool_id, unit, state, service_id, subject, assigned_at)"
    " VALUES (?, ?, ?, 'assigned', ?, ?, ?)"
)
_AGAIN = (
    "UPDATE ipam_allocation SET state = 'assigned', service_id = ?, subject = ?, assigned_at = ?, available_at = NULL,"
    " sticky_until = NULL WHERE id = ? RETURNING unit"
)
_NOTE = (
    "INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at)"
    " VALUES (?, ?, ?, ?, 'assigned', ?)"
)


async def give_at_once(
    connection: AsyncConnection, order: Order, *, tenant_id: str, realm: str, at: datetime
) -> Given | None:
    """None: nothing was done."""

    def script(cursor: sqlite3.Cursor) -> list[Given]:
        given = _give(cursor, order, tenant_id, realm, at)
        return [] if given is None else [given]

    def run(plain: Connection) -> list[Given]:
        driven = plain.connection.dbapi_connection
        if not hasattr(driven, "act"):
            return []
        try:
            return cast(RunsScripts, driven).act(script)[1]
        except sqlite3.Error as error:  # told as for each other statement
            told = DBAPIError.instance(_ASK, {}, error, sqlite3.Error, hide_parameters=True, dialect=plain.dialect)
            raise told from error

    given = next(iter(await connection.run_sync(run)), None)
    if given is not None:
        connection.info[WROTE] = True
    return given


def _give(cursor: sqlite3.Cursor, order: Order, tenant_id: str, realm: str, at: datetime) -> Given | None:
    now = written(at)
    given = {
        "tenant_id": tenant_id,
        "location_alias": order.service_location.strip(),
        "plan": order.bandwidth_plan,
        "request_id": order.request_id,
        "customer": subject_of(order.customer_id, ""),
        "at": now,
    }
    rows: list[Any] = [_ROW._make(row) for row in cursor.execute(_ASK, {**_QUESTION.params, **given})]
    if not rows or rows[0].plan_id is None or rows[0].earlier_service_id is not None:
        return None
    place, plan, number = place_from(rows[0]), plan_from(rows[0]), rows[0].next_service_id
    bound = [candidate_from(row) for row in rows if row.binding_id is not None]
    if any(candidate.cvlan_formula is not None and candidate.takes for candidate in bound):
        return None
    try:
        chains = chains_of(bound, place, plan, wanted(plan, place), {})
    except IpamError:
        return None
    chosen = [next((each for each in chain if each.has_something), None) for chain in chains.values()]
    able = [candidate for candidate in chosen if candidate is not None]
    if len(able) < len(chosen):
        return None
    holder = Holder(tenant_id, number, subject_of(order.customer_id, place.location_id), at)
    username = username_of(order.customer_id, number, realm)
    row = service_row(order, place, plan, holder, able, username)
    try:
        cursor.execute(_SERVICE, {**row, "created_at": now})
    except sqlite3.IntegrityError:
        return None
    units = _take(cursor, able, holder, now)
    return Given(number, username, place, plan, [each.held(units.get(each.pool_id)) for each in able])


def _take(cursor: sqlite3.Cursor, chosen: Sequence[Candidate], holder: Holder, now: str) -> dict[int, int | None]:
    mine = (holder.service_id, holder.subject, now)
    units: dict[int, int | None] = {}
    for pool in chosen:
        if not pool.takes:
            continue
        if pool.reused_id is None:
            unit = pool.next_unit
            cursor.execute(_DROP if unit == pool.last_unit else _MOVE, (pool.pool_id, pool.range_seq))
            cursor.execute(_ADD, (holder.tenant_id, pool.pool_id, unit, *mine))
        else:
            [(unit,)] = cursor.execute(_AGAIN, (*mine, pool.reused_id)).fetchall()
        cursor.execute(_NOTE, (holder.tenant_id, pool.pool_id, unit, holder.service_id, now))
        units[pool.pool_id] = unit
    return units


def written(at: datetime) -> str:
    """A time as SQLAlchemy writes it into SQLite."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
