"""A new service by one call of PostgreSQL's function (``ipam.allocation.at_once_ddl``)."""

from __future__ import annotations

import json
from collections.abc import MutableMapping
from datetime import datetime
from typing import Any, cast

import psycopg
from psycopg.generators import execute
from psycopg.pq import ExecStatus, TransactionStatus
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from ipam.allocation.given import WROTE, Given
from ipam.allocation.orders import Order
from ipam.allocation.places import PLACE_COLUMNS, PLAN_COLUMNS, Place, Plan
from ipam.answers import Held

# In the driver's own words: what SQLAlchemy does about a statement's shape takes longer than the statement.
_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED; "
_CALL = "SELECT ipam_give_at_once(%s::text, %s::bigint, %s::text, %s::text, %s::text, %s::text, %s::timestamptz)"
_PREPARE = (
    b"PREPARE firstlight_give (text, bigint, text, text, text, text, timestamptz) AS"
    b" SELECT ipam_give_or_refuse($1, $2, $3, $4, $5, $6, $7); "
)
_PREPARED = "firstlight_give_prepared"
"""Of a connection's ``info``: it knows that statement."""
_CALL_ALONE = "EXECUTE firstlight_give (%s, %s, %s, %s, %s, %s, %s)"
"""Where nothing came before it that a refusal could cost."""
_LEFT_TO_STEPS = (psycopg.errors.LockNotAvailable, psycopg.errors.NoDataFound, psycopg.errors.IntegrityError)
"""So the function refuses."""
_ROLLBACK = b"ROLLBACK; "
_ANEW = _ROLLBACK + _BEGIN.encode()
_OF_PLACE, _OF_PLAN = len(PLACE_COLUMNS), len(PLAN_COLUMNS)


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
    told = json.loads(answer)
    if "taken" in told:  # the username that follows from the number which was drawn
        return None
    connection.info[WROTE] = True
    return _given(told)


async def _asked(connection: AsyncConnection, asked: tuple[Any, ...]) -> str | bytes | None:
    """The function's answer. A transaction that has yet to begin begins in the same turn: a turn of its own, as the
    driver has it, would cost about as much as half of an allocation."""
    plain = cast("Any", connection.sync_connection)
    driven = plain.connection.driver_connection
    if driven.pgconn.transaction_status != TransactionStatus.IDLE or not _is_read_committed(driven):
        return cast("str | None", (await connection.exec_driver_sql(_CALL, asked)).scalar_one())
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
) -> str | bytes | None:
    """What is refused costs the transaction that has begun here, and so nothing; another one has begun then. ``kept``:
    the connection's ``info``.

    Raises:
        psycopg.Error: the database has failed, or has gone away.
    """
    said = psycopg.AsyncClientCursor(driven).mogrify(_BEGIN + _CALL_ALONE, asked).encode()
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


def _given(told: dict[str, Any]) -> Given:
    facts = told["facts"]
    # Many premises are served alike, so that the rest may be what was worked out for another one.
    here = {name: told[name] for name in ("location_id", "location", "onu")}
    asked = list({**facts["asked"], **here}.values())
    held = [
        Held(
            facts["kinds"][each],
            unit,
            _bytes(facts["bases"][each]),
            facts["unit_lengths"][each],
            facts["lengths"][each],
            _bytes(facts["gateways"][each]),
            facts["vids"][each],
            facts["framed"][each],
        )
        for each, unit in zip((number - 1 for number in told["chosen"]), told["units"], strict=True)
    ]
    place, plan = Place(*asked[:_OF_PLACE]), Plan(*asked[_OF_PLACE : _OF_PLACE + _OF_PLAN])
    return Given(told["service_id"], told["username"], place, plan, held)


def _bytes(written: str | None) -> bytes | None:
    """Of PostgreSQL's hex format: ``\\x0a000000``."""
    return None if written is None else bytes.fromhex(written[2:])
