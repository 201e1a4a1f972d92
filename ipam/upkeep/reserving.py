"""Units kept for something, and quarantines that end early: by hand, with a reason."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.carving import Unit, claim, give_up
from ipam.allocation.patience import OthersWereQuicker, patiently
from ipam.bulk import in_parts, insert_many
from ipam.estate.cooling import cooling_in
from ipam.estate.ranges import inside
from ipam.estate.rows import EstateRows
from ipam.events import note_event
from ipam.tables import IN_QUARANTINE, Allocation, AllocationEvent, table_of
from ipam.unit_errors import UnitNotHeld, UnitReserved
from ipam.units import Interval
from ipam.upkeep.pool_units import KnownPool, locked_row

_ALLOCATION = table_of(Allocation)
_EVENT = table_of(AllocationEvent)
NOBODY = ""
"""The subject of what is kept for something else than a service."""


async def reserve(db: AsyncSession, unit: Unit, *, note: str, at: datetime) -> bool:
    """Keep a free unit; False: it was reserved for this already.

    Raises:
        UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining, UnitLost, PoolBusy: why it can't be kept.
    """
    try:
        await patiently(db, partial(_reserve, db, unit, note, at))
    except UnitReserved as kept:
        if kept.note == note:
            return False
        raise
    return True


async def _reserve(db: AsyncSession, unit: Unit, note: str, at: datetime, _: frozenset[str]) -> None:
    kept = {"state": "reserved", "service_id": None, "subject": NOBODY, "assigned_at": at, "note": note}
    await claim(db, unit, kept, subject=None, at=at)
    await note_event(db, unit, what="reserved", at=at, note=note)


async def unreserve(db: AsyncSession, unit: Unit, *, note: str, at: datetime) -> bool:
    """Let a reserved unit be handed out again; False: that was done, and nothing has become of it since.

    Raises:
        UnitNotHeld: it isn't reserved.
        PoolBusy: somebody is at it for too long.
    """
    return await patiently(db, partial(_unreserve, db, unit, note, at))


async def _unreserve(db: AsyncSession, unit: Unit, note: str, at: datetime, _: frozenset[str]) -> bool:
    row = await _in_state(db, unit, "reserved", unless_last=("unreserved",))
    if row is None:
        return False
    await give_up(db, unit, row.id)
    await note_event(db, unit, what="unreserved", at=at, note=note)
    return True


async def lift(rows: EstateRows, unit: Unit, *, note: str, at: datetime) -> bool:
    """End the quarantine of a unit now; False: it is over already. In a part that is being drained or excluded nobody
    is given it after that either, but it no longer keeps its prefix from being made smaller.

    Raises:
        UnitNotHeld: it isn't in quarantine.
        PoolBusy: somebody is at it for too long.
    """
    return await patiently(rows.db, partial(_lift, rows, unit, note, at))


async def lift_all(rows: EstateRows, pool: KnownPool, interval: Interval, *, note: str, at: datetime) -> bool:
    """End every quarantine in this part of the pool; False: there is none.

    Raises:
        PoolBusy: somebody is at one of them for too long.
    """
    return await patiently(rows.db, partial(_lift_all, rows, pool, interval, note, at))


async def _lift_all(
    rows: EstateRows, pool: KnownPool, interval: Interval, note: str, at: datetime, _: frozenset[str]
) -> bool:
    resting = (IN_QUARANTINE, Allocation.available_at > at, *inside(pool.pool_id, [interval]))
    nobodys = select(Allocation.id, Allocation.unit).where(*resting).with_for_update(skip_locked=True)
    found = (await rows.db.execute(nobodys)).all()
    for some in in_parts(found):
        ids = [row.id for row in some]
        await rows.db.execute(update(_ALLOCATION).where(_ALLOCATION.c.id.in_(ids)).values(available_at=at))
    if await rows.db.scalar(select(func.count()).select_from(Allocation).where(*resting)):
        raise OthersWereQuicker([pool.name])
    units = sorted(
        {row.unit for row in found} | {one.unit for one in await cooling_in(rows, pool.pool_id, [interval], at)}
    )
    lifted = {"tenant_id": pool.tenant_id, "pool_id": pool.pool_id, "what": "lifted", "at": at, "note": note}
    events = [{**lifted, "unit": unit, "available_at": at} for unit in units]
    for part in in_parts(events):
        await insert_many(rows.db, _EVENT, part)
    return bool(units)


async def _lift(rows: EstateRows, unit: Unit, note: str, at: datetime, _: frozenset[str]) -> bool:
    db = rows.db
    if await cooling_in(rows, unit.pool_id, [(unit.unit, unit.unit)], at):
        await note_event(db, unit, what="lifted", at=at, available_at=at, note=note)
        return True
    row = await _in_state(db, unit, "quarantine", unless_last=("lifted", "released"))
    if row is None or row.available_at <= at:
        return False
    await db.execute(update(_ALLOCATION).where(_ALLOCATION.c.id == row.id).values(available_at=at))
    await note_event(db, unit, what="lifted", at=at, available_at=at, note=note)
    return True


async def _in_state(db: AsyncSession, unit: Unit, state: str, *, unless_last: tuple[str, ...]) -> Any:
    """Its row, locked; None: it has none, and this is what has become of it last."""
    row = await locked_row(db, unit)
    if row is None or row.state != state:
        words = {"quarantine": "in quarantine", "reserved": "reserved", "assigned": "held by a service"}
        count = select(func.count()).select_from(Allocation)
        seen = count.where(Allocation.pool_id == unit.pool_id, Allocation.unit == unit.unit)
        if row is None and await db.scalar(seen):
            raise OthersWereQuicker([unit.pool])
        if row is None and await _last_event(db, unit) in unless_last:
            return None
        now = words[row.state] if row is not None else "neither held nor in quarantine"
        raise UnitNotHeld(unit.value, pool=unit.pool, wanted=words[state], state=now)
    return row


async def _last_event(db: AsyncSession, unit: Unit) -> str | None:
    of_unit = (AllocationEvent.pool_id == unit.pool_id, AllocationEvent.unit == unit.unit)
    last = select(AllocationEvent.what).where(*of_unit).order_by(AllocationEvent.id.desc()).limit(1)
    what: str | None = await db.scalar(last)
    return what
