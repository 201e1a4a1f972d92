"""Emptying a part of a pool without taking anything from anybody.

Of what is drained nothing is free and nothing rests in quarantine, so no allocation can find it, and none needs to ask.
What is given back there cools off all the same (``ipam.estate.cooling``): until then its prefix is not made smaller
(``ipam.upkeep.shrinking``), and when the drain ends first, it is in quarantine.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, delete, func, insert, or_, select

from ipam.allocation.patience import OthersWereQuicker, patiently
from ipam.estate.cooling import Cooling, cooling_in
from ipam.estate.ranges import (
    cut_ranges,
    drained_of,
    drop_quarantined,
    excluded_of,
    inside,
    set_free,
)
from ipam.estate.rows import EstateRows
from ipam.moments import at_second
from ipam.tables import (
    IN_A_DRAIN,
    IN_QUARANTINE,
    Allocation,
    Drain,
    Location,
    Pool,
    Service,
    table_of,
)
from ipam.units import Interval, intersect, subtract
from ipam.upkeep.answers import LeftBehind
from ipam.upkeep.pool_units import KnownPool

_DRAIN = table_of(Drain)


async def drain(rows: EstateRows, pool: KnownPool, interval: Interval, *, note: str, at: datetime) -> bool:
    """Nothing of it is handed out from now on; False: it was being drained already.

    Raises:
        PoolBusy: somebody was at it for too long.
    """
    new = subtract([interval], await drained_of(rows, pool.pool_id))
    if not new:
        return False

    async def attempt(_: frozenset[str]) -> None:
        await rows.db.execute(insert(_DRAIN), [_drain_row(rows, pool, each, note, at) for each in new])
        await cut_ranges(rows, pool.pool_id, new)
        await drop_quarantined(rows, pool.pool_id, new, at)
        await _nobody_is_at_it(rows, pool, new)
        await _count_as_changed(rows, pool)

    await patiently(rows.db, attempt)
    return True


async def _nobody_is_at_it(rows: EstateRows, pool: KnownPool, new: list[Interval]) -> None:
    """What is there must be ours for a moment: who gives something back later on finds the drain.

    Raises:
        OthersWereQuicker: somebody has just taken a unit out of quarantine, or is about to put one in.
    """
    await _only_ours(rows, pool, new)
    resting = select(func.count()).select_from(Allocation).where(IN_QUARANTINE, *inside(pool.pool_id, new))
    if await rows.db.scalar(resting):
        raise OthersWereQuicker([pool.name])


async def _only_ours(rows: EstateRows, pool: KnownPool, parts: list[Interval]) -> Sequence[int]:
    """The units there that have a row, each locked.

    Raises:
        OthersWereQuicker: somebody is at one of them.
    """
    here = inside(pool.pool_id, parts)
    locked = (await rows.db.scalars(select(Allocation.unit).where(*here).with_for_update(skip_locked=True))).all()
    if len(locked) != await rows.db.scalar(select(func.count()).select_from(Allocation).where(*here)):
        raise OthersWereQuicker([pool.name])
    return locked


async def undrain(rows: EstateRows, pool: KnownPool, interval: Interval, *, at: datetime) -> bool:
    """What nobody holds may be handed out again, when it has cooled off; False: nothing of it was being drained.

    Raises:
        PoolBusy: somebody was at it for too long.
    """
    freed = intersect([interval], await drained_of(rows, pool.pool_id))
    if not freed:
        return False

    async def attempt(_: frozenset[str]) -> None:
        await lift_drains(rows, pool, freed)
        await cut_ranges(rows, pool.pool_id, [])  # locked first, as by whoever takes something there
        used = await _only_ours(rows, pool, freed)
        excluded = [each.interval for each in await excluded_of(rows, pool.pool_id)]
        await set_free(rows, pool.pool_id, subtract(freed, excluded), pool.stripes, at, somebodys=used)
        await _count_as_changed(rows, pool)

    await patiently(rows.db, attempt)
    return True


async def _count_as_changed(rows: EstateRows, pool: KnownPool) -> None:
    """Among which of the pool's free ranges to draw is kept with what serves a place (``serving_tables``): it is worked
    out anew, or all would begin at the same one."""
    await rows.change(Pool, pool.pool_id, size=Pool.size)


async def lift_drains(rows: EstateRows, pool: KnownPool, freed: list[Interval]) -> None:
    """These parts are no longer drained; nothing of them is handed out by that alone."""
    present = await rows.db.execute(select(_DRAIN).where(_DRAIN.c.pool_id == pool.pool_id))
    for each in present.all():
        whole = (each.first_unit, each.last_unit)
        left = subtract([whole], freed)
        if left == [whole]:
            continue
        await rows.db.execute(delete(_DRAIN).where(_DRAIN.c.id == each.id))
        if left:
            kept = [_drain_row(rows, pool, part, each.note, each.began_at) for part in left]
            await rows.db.execute(insert(_DRAIN), kept)


def _drain_row(rows: EstateRows, pool: KnownPool, part: Interval, note: str, at: datetime) -> dict[str, object]:
    return {
        "tenant_id": rows.tenant_id,
        "pool_id": pool.pool_id,
        "first_unit": part[0],
        "last_unit": part[1],
        "note": note,
        "began_at": at,
    }


async def left_in(rows: EstateRows, pool: KnownPool, at: datetime) -> list[LeftBehind]:
    """What is still held in the drained parts of the pool, what is reserved there, then what has to cool off."""
    drained = await drained_of(rows, pool.pool_id)
    if not drained:
        return []
    return [*await held_in(rows, pool, drained), *await rowless_in(rows, pool, drained, at)]


async def rowless_in(rows: EstateRows, pool: KnownPool, intervals: list[Interval], at: datetime) -> list[LeftBehind]:
    """What has to cool off in these parts of the pool where nothing rests, by number."""
    drains = (await rows.db.execute(select(_DRAIN).where(_DRAIN.c.pool_id == pool.pool_id))).all()
    return [
        LeftBehind(
            value=pool.value(unit),
            state="quarantine",
            note=None,
            available_at=until,
            drained_since=next((each.began_at for each in drains if each.first_unit <= unit <= each.last_unit), None),
            service_id=None,
            customer_id=None,
            username=None,
            location=None,
        )
        for unit, _, until, *_ in await cooling_in(rows, pool.pool_id, intervals, at)
    ]


async def held_in(
    rows: EstateRows,
    pool: KnownPool,
    intervals: list[Interval],
    most: int | None = None,
    *,
    at: datetime | None = None,
) -> list[LeftBehind]:
    """Who has something in these parts of the pool, what is reserved and what cools off there, by number; with ``at``
    without what had cooled off by then."""
    found = await rows.db.execute(
        select(
            Allocation.unit,
            Allocation.state,
            Allocation.note,
            Allocation.available_at,
            Drain.began_at,
            Allocation.service_id,
            Service.customer_id,
            Service.username,
            Location.name,
        )
        .outerjoin(Drain, IN_A_DRAIN)
        .outerjoin(Service, Service.service_id == Allocation.service_id)
        .outerjoin(Location, Location.id == Service.location_id)
        .where(*inside(pool.pool_id, intervals), *([] if at is None else [not_rested(at)]))
        .order_by(Allocation.unit)
        .limit(most)
    )
    return [
        LeftBehind(
            value=pool.value(unit),
            state=state,
            note=note,
            available_at=available_at,
            drained_since=drained_since,
            service_id=service_id,
            customer_id=customer_id,
            username=username,
            location=location,
        )
        for unit, state, note, available_at, drained_since, service_id, customer_id, username, location in found
    ]


def not_rested(at: datetime) -> ColumnElement[bool]:
    """What is somebody's, is reserved, or still cools off then: of the rest only its last holder is known."""
    return or_(Allocation.available_at.is_(None), Allocation.available_at > at)


def in_quarantine(pool: KnownPool, cooling: Cooling) -> str:
    """What has to cool off, and until when."""
    return f"{pool.value(cooling.unit)} (in quarantine until {at_second(cooling.until)})"
