"""Where in a pool its units are used: counted by the database in a thousand cells at most, however large the pool."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.lookup.answers import Occupation, OccupationCell
from ipam.tables import IN_QUARANTINE, Allocation, Exclusion, FreeRange, Prefix
from ipam.units import Interval
from ipam.upkeep.pool_units import KnownPool

MOST_CELLS = 1024


async def occupation(db: AsyncSession, pool: KnownPool, at: datetime) -> Occupation:
    """The whole of the pool at that moment; what has rested is free."""
    per_cell = units_per_cell(pool.span)
    used = await _used(db, pool.pool_id, per_cell, at)
    ranges = select(FreeRange.next_unit, FreeRange.last_unit).where(FreeRange.pool_id == pool.pool_id)
    out = select(Exclusion.first_unit, Exclusion.last_unit).where(Exclusion.pool_id == pool.pool_id)
    used["free"] = by_cell([(first, last) for first, last in await db.execute(ranges)], per_cell)
    used["excluded"] = by_cell([(first, last) for first, last in await db.execute(out)], per_cell)
    role = await db.scalar(select(Prefix.role).where(Prefix.id == pool.prefix_id))
    return Occupation(
        pool=pool.name,
        kind=pool.kind,
        role=role,
        network=pool.network or pool.name,
        units=pool.span,
        units_per_cell=per_cell,
        cells=[
            _cell(pool, (first, min(first + per_cell, pool.span) - 1), number, used)
            for number, first in enumerate(range(0, pool.span, per_cell))
        ],
    )


def units_per_cell(span: int) -> int:
    """The power of two with which the cells are few enough."""
    per_cell = 1
    while -(-span // per_cell) > MOST_CELLS:
        per_cell *= 2
    return per_cell


def by_cell(intervals: Iterable[Interval], per_cell: int) -> Counter[int]:
    """How many units of the intervals lie in each cell."""
    counted: Counter[int] = Counter()
    for first, last in intervals:
        for cell in range(first // per_cell, last // per_cell + 1):
            counted[cell] += min(last, (cell + 1) * per_cell - 1) - max(first, cell * per_cell) + 1
    return counted


async def _used(db: AsyncSession, pool_id: int, per_cell: int, at: datetime) -> dict[str, Counter[int]]:
    """By state how many units of each cell have a row in it."""
    rested = IN_QUARANTINE & (Allocation.available_at <= at)
    each = (
        select(
            (Allocation.unit // per_cell).label("cell"),
            case((rested, "rested"), (IN_QUARANTINE, "cooling"), else_=Allocation.state).label("state"),
        )
        .where(Allocation.pool_id == pool_id)
        .subquery()
    )
    counted: dict[str, Counter[int]] = {name: Counter() for name in ("assigned", "cooling", "reserved", "rested")}
    per_state: Any = select(each.c.cell, each.c.state, func.count()).group_by(each.c.cell, each.c.state)
    for cell, state, number in await db.execute(per_state):
        counted[state][int(cell)] = number
    return counted


def _cell(pool: KnownPool, units: Interval, number: int, used: dict[str, Counter[int]]) -> OccupationCell:
    """What is neither used nor free nor excluded is being drained, and nobody's."""
    first, last = units
    known = {state: counted[number] for state, counted in used.items()}
    return OccupationCell(
        first=pool.value(first),
        last=pool.value(last),
        assigned=known["assigned"],
        cooling=known["cooling"],
        reserved=known["reserved"],
        draining=last - first + 1 - sum(known.values()),
        excluded=known["excluded"],
        free=known["free"] + known["rested"],
    )
