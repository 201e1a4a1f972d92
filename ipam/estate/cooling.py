"""What was given back where nothing rests: of a part that is excluded or drained no row is in quarantine, but its
history knows until when it would be, and whose it was. When the part is handed out again, it goes on cooling off, and
who has the first claim on it has it still.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, exists, func, or_, select
from sqlalchemy.orm import aliased

from ipam.bulk import AT_ONCE, insert_many
from ipam.estate.rows import EstateRows
from ipam.holdings import subject_of
from ipam.tables import Allocation, AllocationEvent, Pool, Service, ServiceMove, table_of
from ipam.units import Interval, subtract
from ipam.usage.looks import begin_rates_anew

_ALLOCATION = table_of(Allocation)


class Cooling(NamedTuple):
    """A unit that nobody has, since when, until when it would be in quarantine, whose it was, and until when they would
    have the first claim on it (None: as long as it is unused)."""

    unit: int
    since: datetime
    until: datetime
    subject: str
    sticky_until: datetime | None

    def is_claimed(self, at: datetime) -> bool:
        """Whether it cools off still, or would be its subject's before anybody else's."""
        return self.until > at or self.sticky_until is None or self.sticky_until >= at


async def cooling_in(rows: EstateRows, pool_id: int, parts: list[Interval], at: datetime) -> list[Cooling]:
    """What has no row in these parts of the pool and hasn't cooled off yet, in the order of the numbers."""
    found = await given_back_in(rows, pool_id, parts, AllocationEvent.available_at > at)
    return [each for each in found if each.until > at]  # else it was lifted


async def given_back_in(
    rows: EstateRows, pool_id: int, parts: list[Interval], *which: ColumnElement[bool]
) -> list[Cooling]:
    """The same with what has cooled off; ``which`` says more of its release."""
    if not parts:
        return []
    return await _given_back(rows, pool_id, parts, await _sticky_seconds(rows, pool_id), *which)


async def rest_on(rows: EstateRows, pool_id: int, freed: list[Interval], at: datetime) -> list[Interval]:
    """What of this hasn't cooled off goes back into quarantine until it has, and so does what has, but is its subject's
    before anybody else's; the rest may be handed out at once."""
    if not freed:
        return freed
    sticky_seconds = await _sticky_seconds(rows, pool_id)
    which = []
    if sticky_seconds is not None:
        still_claimed = AllocationEvent.at >= at - timedelta(seconds=sticky_seconds)
        which = [or_(AllocationEvent.available_at > at, still_claimed)]
    found = await _given_back(rows, pool_id, freed, sticky_seconds, *which)
    claimed = [each for each in found if each.is_claimed(at)]
    resting = [
        {
            "tenant_id": rows.tenant_id,
            "pool_id": pool_id,
            "unit": each.unit,
            "state": "quarantine",
            "subject": each.subject,
            "assigned_at": each.since,
            "available_at": each.until,
            "sticky_until": each.sticky_until,
        }
        for each in claimed
    ]
    for start in range(0, len(resting), AT_ONCE):
        await insert_many(rows.db, _ALLOCATION, resting[start : start + AT_ONCE])
    if any(each.until > at for each in claimed):  # that was used up before
        await begin_rates_anew(rows.db, [pool_id], tenant_id=rows.tenant_id, at=at)
    return subtract(freed, [(each.unit, each.unit) for each in claimed]) if claimed else freed


async def _sticky_seconds(rows: EstateRows, pool_id: int) -> int | None:
    seconds: int | None = await rows.db.scalar(select(Pool.sticky_seconds).where(Pool.id == pool_id))
    return seconds


async def _given_back(
    rows: EstateRows,
    pool_id: int,
    parts: list[Interval],
    sticky_seconds: int | None,
    *which: ColumnElement[bool],
) -> list[Cooling]:
    """What has no row in these parts of the pool and was given back last, or lifted after that; ``which`` says more of
    that release."""
    released = AllocationEvent
    later, lift, used = aliased(AllocationEvent), aliased(AllocationEvent), aliased(Allocation)
    after = (lift.pool_id == pool_id, lift.unit == released.unit, lift.id > released.id)
    lifted_at: Any = select(func.max(lift.at, type_=released.at.type)).where(*after).correlate(released)
    of_unit = (later.pool_id == pool_id, later.unit == released.unit, later.id > released.id)
    found = await rows.db.execute(
        select(
            released.unit,
            released.at,
            func.coalesce(lifted_at.scalar_subquery(), released.available_at, released.at),
            Service.customer_id,
            _premise(),
        )
        .join(Service, Service.service_id == released.service_id)
        .where(
            released.pool_id == pool_id,
            released.unit.between(min(first for first, _ in parts), max(last for _, last in parts)),
            released.what == "released",
            ~exists().where(*of_unit, later.what != "lifted"),
            ~exists().where(used.pool_id == pool_id, used.unit == released.unit),
            *which,
        )
        .order_by(released.unit)
    )
    stays = None if sticky_seconds is None else timedelta(seconds=sticky_seconds)
    left = iter(sorted(parts))
    part = next(left)
    given_back = []
    for unit, since, until, customer_id, location_id in found:
        while unit > part[1] and (following := next(left, None)) is not None:
            part = following
        if part[0] <= unit <= part[1]:
            sticky_until = None if stays is None else since + stays
            given_back.append(Cooling(unit, since, until, subject_of(customer_id, location_id), sticky_until))
    return given_back


def _premise() -> ColumnElement[int]:
    """Where it was given back: from where its service was moved then or next, else where that is now."""
    released, move = AllocationEvent, aliased(ServiceMove)
    of_service = select(func.min(move.id)).where(move.service_id == released.service_id, move.at >= released.at)
    first_move = of_service.correlate(released).scalar_subquery()  # two levels down, which isn't done by itself
    left_from = select(ServiceMove.from_location_id).where(ServiceMove.id == first_move)
    return func.coalesce(left_from.correlate(released).scalar_subquery(), Service.location_id)
