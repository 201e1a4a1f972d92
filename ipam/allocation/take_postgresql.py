"""Taking units on PostgreSQL: one statement for all pools of a service, which never waits for a lock."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import BindParameter, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.service_rows import COLUMNS
from ipam.tables import UtcDateTime

# Why it is written like this:
# - A lock is taken on a key that never changes, and what LIMIT 1 FOR UPDATE returns is the row's newest version; so
#   next_unit is read from the locked row, never from the snapshot.
# - A row whose newest version no longer fits is passed over, but PostgreSQL keeps it locked until our transaction ends.
#   Such a row may be one that another transaction is about to release and waits for. That's why nothing here may wait.
# - Each source is asked only for pools that no earlier source served, and MATERIALIZED keeps it so: a lateral lookup
#   that the planner pulled forward would lock rows for nothing.
# - ORDER BY names the whole key and the key starts with pool_id, or a prepared plan may walk every pool's ranges.
# - Where to start among the stripes is drawn by lot: writers spread, and no single row is rewritten all day long
#   while somebody's old snapshot keeps its dead versions.
_WANTED = """
wanted AS MATERIALIZED (
    SELECT pool_id, start, reuse_first
    FROM unnest(CAST(:pool_ids AS integer[]), CAST(:starts AS integer[]), CAST(:reuse_first AS boolean[]))
        AS given (pool_id, start, reuse_first)
"""
# The service first, before anything is locked: for the same request, made by somebody else just now, this waits.
_SERVICE = f"""
service AS (
    INSERT INTO ipam_service (state, {", ".join(COLUMNS)})
    VALUES ('active', {", ".join(f":{each}" for each in COLUMNS)})
    ON CONFLICT (tenant_id, request_id) DO NOTHING RETURNING service_id
), {_WANTED} CROSS JOIN service
"""  # noqa: S608 - names of columns, and no value
_UNITS = """
), own AS MATERIALIZED (
    SELECT w.pool_id, found.id FROM wanted AS w, LATERAL (
        SELECT a.id FROM ipam_allocation AS a
        WHERE a.subject = :subject AND a.pool_id = w.pool_id AND a.state = 'quarantine'
            AND (a.sticky_until IS NULL OR a.sticky_until >= :at)
        ORDER BY a.available_at DESC, a.id DESC LIMIT 1 FOR UPDATE SKIP LOCKED) AS found
), strange AS MATERIALIZED (
    SELECT pool_id, start, reuse_first FROM wanted WHERE pool_id NOT IN (SELECT pool_id FROM own)
), rested AS MATERIALIZED (
    SELECT w.pool_id, found.id FROM strange AS w, LATERAL (
        SELECT a.id FROM ipam_allocation AS a
        WHERE a.pool_id = w.pool_id AND a.available_at <= :at
        ORDER BY a.available_at, a.id LIMIT 1 FOR UPDATE SKIP LOCKED) AS found
    WHERE w.reuse_first
), untouched AS MATERIALIZED (
    SELECT pool_id, start FROM strange WHERE pool_id NOT IN (SELECT pool_id FROM rested)
), ahead AS MATERIALIZED (
    SELECT found.* FROM untouched AS w, LATERAL (
        SELECT f.pool_id, f.seq, f.next_unit, f.last_unit FROM ipam_free_range AS f
        WHERE f.pool_id = w.pool_id AND f.seq >= w.start
        ORDER BY f.pool_id, f.seq LIMIT 1 FOR UPDATE SKIP LOCKED) AS found
), not_ahead AS MATERIALIZED (
    SELECT pool_id, start FROM untouched WHERE pool_id NOT IN (SELECT pool_id FROM ahead)
), behind AS MATERIALIZED (
    SELECT found.* FROM not_ahead AS w, LATERAL (
        SELECT f.pool_id, f.seq, f.next_unit, f.last_unit FROM ipam_free_range AS f
        WHERE f.pool_id = w.pool_id AND f.seq < w.start
        ORDER BY f.pool_id, f.seq LIMIT 1 FOR UPDATE SKIP LOCKED) AS found
), fresh AS MATERIALIZED (
    SELECT * FROM ahead UNION ALL SELECT * FROM behind
), used_up AS MATERIALIZED (
    SELECT pool_id FROM not_ahead WHERE pool_id NOT IN (SELECT pool_id FROM behind)
), oldest AS MATERIALIZED (
    SELECT w.pool_id, found.id FROM used_up AS w, LATERAL (
        SELECT a.id FROM ipam_allocation AS a
        WHERE a.pool_id = w.pool_id AND a.available_at <= :at
        ORDER BY a.available_at, a.id LIMIT 1 FOR UPDATE SKIP LOCKED) AS found
), advanced AS (
    UPDATE ipam_free_range AS f SET next_unit = p.next_unit + 1 FROM fresh AS p
    WHERE f.pool_id = p.pool_id AND f.seq = p.seq AND p.next_unit < p.last_unit
), dried AS (
    DELETE FROM ipam_free_range AS f USING fresh AS p
    WHERE f.pool_id = p.pool_id AND f.seq = p.seq AND p.next_unit = p.last_unit
), first_used AS (
    INSERT INTO ipam_allocation (tenant_id, pool_id, unit, state, service_id, subject, assigned_at)
    SELECT :tenant_id, pool_id, next_unit, 'assigned', :service_id, :subject, :at FROM fresh
    RETURNING pool_id, unit
), reused AS (
    UPDATE ipam_allocation AS a
    SET state = 'assigned', service_id = :service_id, subject = :subject, assigned_at = :at, available_at = NULL,
        sticky_until = NULL
    FROM (SELECT id FROM own UNION ALL SELECT id FROM rested UNION ALL SELECT id FROM oldest) AS p
    WHERE a.id = p.id
    RETURNING a.pool_id, a.unit
), taken AS (
    SELECT pool_id, unit FROM first_used UNION ALL SELECT pool_id, unit FROM reused
), written_down AS (
    INSERT INTO ipam_allocation_event (tenant_id, pool_id, unit, service_id, what, at)
    SELECT :tenant_id, pool_id, unit, :service_id, 'assigned', :at FROM taken
)
"""


def _statement(sql: str, *of_type: BindParameter[Any]) -> TextClause:
    """On one line: psycopg parses a statement of more than 4096 characters anew each time."""
    return text(" ".join(sql.split())).bindparams(*of_type)


_AT = bindparam("at", type_=UtcDateTime)
_TAKE = _statement(f"WITH {_WANTED} {_UNITS} SELECT pool_id, unit FROM taken", _AT)  # noqa: S608 - no value is in it
_BEGIN = _statement(
    f"WITH {_SERVICE} {_UNITS} SELECT t.pool_id, t.unit FROM service LEFT JOIN taken AS t ON true",  # noqa: S608
    _AT,
    bindparam("created_at", type_=UtcDateTime),
)


async def take(db: AsyncSession, pools: Sequence[Candidate], holder: Holder) -> dict[int, int]:
    """One unit of each pool that had an unlocked one, by pool id."""
    connection = await db.connection()
    taken = await connection.execute(_TAKE, _wanted(pools, holder))
    return {pool_id: unit for pool_id, unit in taken}


async def begin(
    db: AsyncSession, service: Mapping[str, Any], pools: Sequence[Candidate], holder: Holder
) -> dict[int, int] | None:
    """The row of a new service as well; None: there is one of the same request already, and nothing is written."""
    connection = await db.connection()
    taken = (await connection.execute(_BEGIN, {**service, **_wanted(pools, holder)})).all()
    return {pool_id: unit for pool_id, unit in taken if pool_id is not None} if taken else None


def _wanted(pools: Sequence[Candidate], holder: Holder) -> dict[str, Any]:
    return {
        "pool_ids": [pool.pool_id for pool in pools],
        "starts": [random.randint(pool.range_seq or 0, pool.last_seq or 0) for pool in pools],
        "reuse_first": [pool.reuse_first for pool in pools],
        "tenant_id": holder.tenant_id,
        "service_id": holder.service_id,
        "subject": holder.subject,
        "at": holder.at,
    }
