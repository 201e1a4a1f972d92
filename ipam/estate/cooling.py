"""What was given back and cools off where nothing rests: of a part that is excluded or drained no row is in quarantine,
but its history knows until when it would be. When the part is handed out again, it goes on cooling off.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import exists, func, select
from sqlalchemy.orm import aliased

from ipam.bulk import AT_ONCE, insert_many
from ipam.estate.rows import EstateRows
from ipam.holdings import subject_of
from ipam.tables import Allocation, AllocationEvent, Pool, Service, ServiceMove, table_of
from ipam.units import Interval, subtract

_ALLOCATION = table_of(Allocation)


class Cooling(NamedTuple):
    """A unit that nobody has, since when, until when it would be in quarantine, and whose it was."""

    unit: int
    since: datetime
    until: datetime
    subject: str


async def cooling_in(rows: EstateRows, pool_id: int, parts: list[Interval], at: datetime) -> list[Cooling]:
    """What has no row in these parts of the pool and hasn't cooled off yet, in the order of the numbers."""
    if not parts:
        return []
    released = AllocationEvent
    later, used, move = aliased(AllocationEvent), aliased(Allocation), aliased(ServiceMove)
    # where it was given back: from where its service was moved then or next, else where that is now
    of_service = select(func.min(move.id)).where(move.service_id == released.service_id, move.at >= released.at)
    first_move = of_service.correlate(released).scalar_subquery()  # two levels down, which isn't done by itself
    left_from = select(ServiceMove.from_location_id).where(ServiceMove.id == first_move)
    premise = func.coalesce(left_from.correlate(released).scalar_subquery(), Service.location_id)
    found = await rows.db.execute(
        select(released.unit, released.at, released.available_at, Service.customer_id, premise)
        .join(Service, Service.service_id == released.service_id)
        .where(
            released.pool_id == pool_id,
            released.unit.between(min(first for first, _ in parts), max(last for _, last in parts)),
            released.what == "released",
            released.available_at > at,
            ~exists().where(later.pool_id == pool_id, later.unit == released.unit, later.id > released.id),
            ~exists().where(used.pool_id == pool_id, used.unit == released.unit),
        )
        .order_by(released.unit)
    )
    left = iter(sorted(parts))
    part = next(left)
    cooling = []
    for unit, since, until, customer_id, location_id in found:
        while unit > part[1] and (following := next(left, None)) is not None:
            part = following
        if part[0] <= unit <= part[1]:
            cooling.append(Cooling(unit, since, until, subject_of(customer_id, location_id)))
    return cooling


async def rest_on(rows: EstateRows, pool_id: int, freed: list[Interval], at: datetime) -> list[Interval]:
    """What of this hasn't cooled off goes back into quarantine until it has; the rest may be handed out at once."""
    cooling = await cooling_in(rows, pool_id, freed, at)
    if not cooling:
        return freed
    sticky_seconds = await rows.db.scalar(select(Pool.sticky_seconds).where(Pool.id == pool_id))
    resting = [
        {
            "tenant_id": rows.tenant_id,
            "pool_id": pool_id,
            "unit": each.unit,
            "state": "quarantine",
            "subject": each.subject,
            "assigned_at": each.since,
            "available_at": each.until,
            "sticky_until": None if sticky_seconds is None else each.since + timedelta(seconds=sticky_seconds),
        }
        for each in cooling
    ]
    for start in range(0, len(resting), AT_ONCE):
        await insert_many(rows.db, _ALLOCATION, resting[start : start + AT_ONCE])
    return subtract(freed, [(each.unit, each.unit) for each in cooling])
