"""A new service by one call of PostgreSQL's function (``ipam.allocation.at_once_ddl``)."""

from __future__ import annotations

import json
from collections.abc import Callable, MutableMapping
from dataclasses import fields, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, cast

import psycopg
from psycopg.generators import execute
from psycopg.pq import Escaping, ExecStatus, TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ipam.allocation.given import WROTE, Given
from ipam.allocation.orders import Order
from ipam.allocation.places import PLACE_COLUMNS, PLAN_COLUMNS, Place, Plan
from ipam.answers import Held

# In the driver's own words: what SQLAlchemy does about a statement's shape takes longer than the statement.
_BEGIN = b"BEGIN ISOLATION LEVEL READ COMMITTED; "
_CALL = "SELECT ipam_give_at_once(%s::text, %s::bigint, %s::text, %s::text, %s::text, %s::text, %s::timestamptz)"
_PREPARE = (
    b"PREPARE firstlight_give (text, bigint, text, text, text, text, timestamptz) AS"
    b" SELECT ipam_give_or_refuse($1, $2, $3, $4, $5, $6, $7); "
)
_PREPARED = "firstlight_give_prepared"
"""Of a connection's ``info``: it knows that statement."""
_CALL_ALONE = b"EXECUTE firstlight_give (%s)"
"""Where nothing came before it that a refusal could cost."""
_LEFT_TO_STEPS = (psycopg.errors.LockNotAvailable, psycopg.errors.NoDataFound, psycopg.errors.IntegrityError)
"""So the function refuses."""
_ROLLBACK = b"ROLLBACK; "
_ANEW = _ROLLBACK + _BEGIN
_OF_PLACE, _OF_PLAN = len(PLACE_COLUMNS), len(PLAN_COLUMNS)
_OF_THE_PREMISE = {
    [each.name for each in fields(Place)].index(name): name for name in ("location_id", "location", "onu")
}
"""What is told of each premise anew, by where it stands in a ``Place``."""
_KEPT = 1024
"""So many answers to who serves a place are kept as they were read, each a few kilobytes."""


async def give_at_once(
    connection: AsyncConnection, order: Order, *, tenant_id: str, realm: str, at: datetime
) -> Given | None:
    """None: nothing was done."""
    asked = (
        tenant_id,
        order.customer_id,
        order.service_location.strip(),
        order.bandwidth_plan,
        order.request_id,
        f"@{realm}" if realm else "",
        at,
    )
    answer = await _asked(connection, asked)
    if answer is None:
        return None
    told, _, facts = answer.partition(b"\n")
    connection.info[WROTE] = True
    return _given(json.loads(told), _served(facts))


async def _asked(connection: AsyncConnection, asked: tuple[Any, ...]) -> bytes | None:
    """The function's answer. A transaction that has yet to begin begins in the same turn: a turn of its own, as the
    driver has it, would cost about as much as half of an allocation."""
    plain = cast("Any", connection.sync_connection)
    driven = plain.connection.driver_connection
    if driven.pgconn.transaction_status != TransactionStatus.IDLE or not _is_read_committed(driven):
        answer = cast("str | None", (await connection.exec_driver_sql(_CALL, asked)).scalar_one())
        return None if answer is None else answer.encode()
    try:
        return await _begun_and_asked(driven, asked, connection.info)
    except psycopg.Error as error:  # told as for each other statement
        told = DBAPIError.instance(_CALL, {}, error, psycopg.Error, hide_parameters=True, dialect=plain.dialect)
        raise told from error


def _is_read_committed(driven: psycopg.AsyncConnection[Any]) -> bool:
    """Whether a transaction of this connection is one that begins as ours does."""
    return (
        not driven.autocommit
        and driven.isolation_level == psycopg.IsolationLevel.READ_COMMITTED
        and driven.read_only is None
        and driven.deferrable is None
    )


async def _begun_and_asked(
    driven: psycopg.AsyncConnection[Any], asked: tuple[Any, ...], kept: MutableMapping[Any, Any]
) -> bytes | None:
    """What is refused costs the transaction that has begun here, and so nothing; another one has begun then. ``kept``:
    the connection's ``info``.

    Raises:
        psycopg.Error: the database has failed, or has gone away.
    """
    said = _BEGIN + _CALL_ALONE % b", ".join(_literals(driven, asked))
    async with driven.lock:
        try:
            return await _executed(driven, said, kept)
        except _LEFT_TO_STEPS:
            await _told(driven, _ANEW)
            return None


async def _executed(driven: psycopg.AsyncConnection[Any], said: bytes, kept: MutableMapping[Any, Any]) -> bytes | None:
    """Prepared with it when the connection does it first, and when its statements were forgotten since (DEALLOCATE)."""
    if _PREPARED not in kept:
        kept[_PREPARED] = True
        return await _told(driven, _PREPARE + said)
    try:
        return await _told(driven, said)
    except psycopg.errors.InvalidSqlStatementName:
        return await _told(driven, _ROLLBACK + _PREPARE + said)


async def _told(driven: psycopg.AsyncConnection[Any], said: bytes) -> bytes | None:
    """The last one's answer. Raises: psycopg.Error."""
    driven.pgconn.send_query(said)
    last = (await driven.wait(execute(driven.pgconn)))[-1]
    if last.status == ExecStatus.FATAL_ERROR:
        raise psycopg.errors.error_from_result(last)
    answer: bytes | None = last.get_value(0, 0) if last.status == ExecStatus.TUPLES_OK else None
    return answer


def _literals(driven: psycopg.AsyncConnection[Any], asked: tuple[Any, ...]) -> list[bytes]:
    """As the driver writes them, but without a look at what each of them is.

    Raises:
        psycopg.DataError: a text holds what PostgreSQL can't.
    """
    escape, encoding = Escaping(driven.pgconn).escape_literal, driven.info.encoding
    return [_literal(each, escape, encoding) for each in asked]


def _literal(value: Any, escape: Callable[[bytes], Any], encoding: str) -> bytes:
    if value is None:
        return b"NULL"
    if isinstance(value, int):
        return str(value).encode()
    text = value if isinstance(value, str) else value.isoformat()
    if "\0" in text:  # else it would end there
        raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
    return bytes(escape(text.encode(encoding)))


class _Served(NamedTuple):
    """What all premises that are served alike have in common."""

    place: list[Any]
    plan: Plan
    bindings: list[Held]
    """As ``chosen`` counts them, each without its unit."""


@lru_cache(_KEPT)
def _served(facts: bytes) -> _Served:
    told = json.loads(facts)
    asked = list(told["asked"].values())
    columns = (
        map(_bytes, told["bases"]),
        told["unit_lengths"],
        told["lengths"],
        map(_bytes, told["gateways"]),
        told["vids"],
        told["framed"],
    )
    bindings = [Held(kind, None, *rest) for kind, *rest in zip(told["kinds"], *columns, strict=True)]
    return _Served(asked[:_OF_PLACE], Plan(*asked[_OF_PLACE : _OF_PLACE + _OF_PLAN]), bindings)


def _given(told: dict[str, Any], served: _Served) -> Given:
    place = served.place.copy()
    for at, name in _OF_THE_PREMISE.items():
        place[at] = told[name]
    chosen = [served.bindings[number - 1] for number in told["chosen"]]
    held = [
        each if unit is None else replace(each, unit=unit) for each, unit in zip(chosen, told["units"], strict=True)
    ]
    return Given(told["service_id"], told["username"], Place(*place), served.plan, held)


def _bytes(written: str | None) -> bytes | None:
    """Of PostgreSQL's hex format: ``\\x0a000000``."""
    return None if written is None else bytes.fromhex(written[2:])
