"""Giving back: into quarantine, or, where its prefix is being drained, to nobody any more."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.answers import ReleasedResources, ReleasedUnit, value_of
from ipam.bulk import AT_ONCE, insert_many, update_many
from ipam.tables import (
    ASSIGNED,
    IN_A_DRAIN,
    Allocation,
    AllocationEvent,
    Drain,
    Pool,
    Prefix,
    Service,
    UtcDateTime,
    table_of,
)

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
_SERVICE = table_of(Service)

_HELD = (
    select(
        Allocation.id,
        Allocation.pool_id,
        Allocation.unit,
        Allocation.service_id,
        Pool.name,
        Pool.unit_length,
        Pool.quarantine_seconds,
        Pool.sticky_seconds,
        Prefix.first_address,
    )
    .join(Pool, Pool.id == Allocation.pool_id)
    .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
    .order_by(Pool.name, Allocation.unit)
)
_ALL_HELD = _HELD.where(Allocation.service_id == bindparam("service_id"), ASSIGNED)
_HELD_OF_POOLS = _ALL_HELD.where(Allocation.pool_id.in_(bindparam("pool_ids", expanding=True)))
_RELEASED = (
    update(_SERVICE)
    .where(_SERVICE.c.service_id == bindparam("released_id"))
    .values(state="released", released_at=bindparam("at", type_=UtcDateTime))
)
_DRAINED = (
    select(Allocation.id).join(Drain, IN_A_DRAIN).where(Allocation.id.in_(bindparam("allocation_ids", expanding=True)))
)


async def release(db: AsyncSession, *, tenant_id: str, service_id: int, at: datetime) -> ReleasedResources:
    """Everything that the service holds is given back; the service's row must be locked."""
    given = await give_back(db, tenant_id=tenant_id, service_id=service_id, at=at)
    await db.execute(_RELEASED, {"released_id": service_id, "at": at})
    return ReleasedResources(service_id=service_id, released_at=at, released=given)


async def give_back(
    db: AsyncSession,
    *,
    tenant_id: str,
    service_id: int,
    at: datetime,
    pools: Collection[int] | None = None,
    note: str | None = None,
) -> list[ReleasedUnit]:
    """What the service holds, or of these pools alone, goes into its pool's quarantine."""
    if pools is None:
        held = await db.execute(_ALL_HELD, {"service_id": service_id})
    else:
        held = await db.execute(_HELD_OF_POOLS, {"service_id": service_id, "pool_ids": list(pools)})
    return await _into_quarantine(db, held.all(), tenant_id=tenant_id, at=at, note=note)


async def give_back_units(
    db: AsyncSession, allocation_ids: Sequence[int], *, tenant_id: str, at: datetime, note: str | None = None
) -> None:
    """The same with what several services hold, whose rows must be locked."""
    for start in range(0, len(allocation_ids), AT_ONCE):
        some = allocation_ids[start : start + AT_ONCE]
        held = await db.execute(_HELD.where(Allocation.id.in_(some), ASSIGNED))
        await _into_quarantine(db, held.all(), tenant_id=tenant_id, at=at, note=note)


async def _into_quarantine(
    db: AsyncSession, held: Sequence[Any], *, tenant_id: str, at: datetime, note: str | None
) -> list[ReleasedUnit]:
    if not held:
        return []
    ends = {row.id: at + timedelta(seconds=row.quarantine_seconds) for row in held}
    rows = [
        {
            "id": row.id,
            "state": "quarantine",
            "service_id": None,
            "available_at": ends[row.id],
            "sticky_until": None if row.sticky_seconds is None else at + timedelta(seconds=row.sticky_seconds),
            "ordinal": 1,
        }
        for row in held
    ]
    await update_many(db, _ALLOCATION, ("id",), rows)
    drained = await _drop_drained(db, list(ends))
    events = [
        {
            "tenant_id": tenant_id,
            "pool_id": row.pool_id,
            "unit": row.unit,
            "service_id": row.service_id,
            "what": "released",
            "at": at,
            "available_at": ends[row.id],
            "note": note,
        }
        for row in held
    ]
    await insert_many(db, _EVENT, events)
    return [
        _unit(row.name, row.first_address, row.unit_length, row.unit, None if row.id in drained else ends[row.id])
        for row in held
    ]


async def _drop_drained(db: AsyncSession, allocation_ids: list[int]) -> set[int]:
    """What lies in a part that is being drained goes to nobody; which of them do.

    Asked when the rows are ours already: whoever drains their prefix has come to an end, or comes after us."""
    drained = set(await db.scalars(_DRAINED, {"allocation_ids": allocation_ids}))
    if drained:
        await db.execute(delete(_ALLOCATION).where(_ALLOCATION.c.id.in_(drained)))
    return drained


async def released(db: AsyncSession, *, service_id: int, at: datetime) -> ReleasedResources:
    """What the service gave back when it was last released, from its history: for who asks again.

    When each was to come out of quarantine is told as then, also of what was drained or lifted since. Of a drain that
    has ended since nothing is left: what was in it then is told with when its quarantine ends.
    """
    last_given = select(func.coalesce(func.max(AllocationEvent.id), 0)).where(
        AllocationEvent.service_id == service_id, AllocationEvent.what == "assigned"
    )
    since = aliased(AllocationEvent)
    was_drained = exists().where(
        Drain.pool_id == since.pool_id,
        since.unit.between(Drain.first_unit, Drain.last_unit),
        Drain.began_at <= at,
    )
    rows = await db.execute(
        select(Pool.name, Prefix.first_address, Pool.unit_length, since.unit, since.available_at, was_drained)
        .join(Pool, Pool.id == since.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(
            since.service_id == service_id,
            since.what == "released",
            since.at == at,
            since.id > last_given.scalar_subquery(),
        )
        .order_by(Pool.name, since.unit)
    )
    units = [
        _unit(name, base, unit_length, unit, None if is_drained else available_at)
        for name, base, unit_length, unit, available_at, is_drained in rows
    ]
    return ReleasedResources(service_id=service_id, released_at=at, released=units)


def _unit(
    pool: str, base: bytes | None, unit_length: int | None, unit: int, available_at: datetime | None
) -> ReleasedUnit:
    return ReleasedUnit(pool=pool, value=value_of(base, unit_length, unit), available_at=available_at)
