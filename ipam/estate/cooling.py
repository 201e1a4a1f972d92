"""What was given back where nothing rests: of a part that is excluded or drained no row is in quarantine, but its
history knows until when it would be, and whose it was. When the part is handed out again, it goes on cooling off, and
who has the first claim on it has it still.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Executable, Text, cast, exists, func, insert, literal, null, or_, select
from sqlalchemy import Interval as TimeSpan
from sqlalchemy.orm import aliased

from ipam.allocation.places import AnySelect
from ipam.estate.rows import EstateRows
from ipam.holdings import subject_of
from ipam.tables import Allocation, AllocationEvent, Pool, Service, ServiceMove, table_of
from ipam.units import Interval, subtract
from ipam.usage.looks import begin_rates_anew

_ALLOCATION = table_of(Allocation)
PARTS_AT_ONCE = 100
"""So many intervals are named by one statement; SQLite takes a few hundred."""


class Cooling(NamedTuple):
    """A unit that nobody has, since when, until when it would be in quarantine, whose it was, and until when they would
    have the first claim on it (None: as long as it is unused)."""

    unit: int
    since: datetime
    until: datetime
    subject: str
    sticky_until: datetime | None


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
    resting: list[int] = []
    cools = False
    for start in range(0, len(freed), PARTS_AT_ONCE):
        statement = _resting(rows, pool_id, freed[start : start + PARTS_AT_ONCE], sticky_seconds, at)
        for unit, cools_still in await (await rows.db.connection()).execute(statement):
            resting.append(unit)
            cools = cools or cools_still
    if cools:  # that was used up before
        await begin_rates_anew(rows.db, [pool_id], tenant_id=rows.tenant_id, at=at)
    return subtract(freed, [(unit, unit) for unit in resting]) if resting else freed


def _resting(
    rows: EstateRows, pool_id: int, parts: list[Interval], sticky_seconds: int | None, at: datetime
) -> Executable:
    """Puts what is claimed there into quarantine, and returns each unit and whether it cools off still. The database
    does that by itself: a whole pool's addresses would else be read only to be written."""
    released = AllocationEvent
    in_parts = or_(*(released.unit.between(first, last) for first, last in parts))
    found = _given_back_last(pool_id, in_parts).subquery()
    claimed: AnySelect = select(
        literal(rows.tenant_id),
        literal(pool_id),
        found.c.unit,
        literal("quarantine"),
        cast(found.c.customer_id, Text) + "@" + cast(found.c.location_id, Text),
        found.c.since,
        found.c.until,
        _later(rows, found.c.since, sticky_seconds),
    ).order_by(found.c.unit)
    if sticky_seconds is not None:
        stays_since = at - timedelta(seconds=sticky_seconds)
        claimed = claimed.where(or_(found.c.until > at, found.c.since >= stays_since))
    table = _ALLOCATION.c
    said = ("tenant_id", "pool_id", "unit", "state", "subject", "assigned_at", "available_at", "sticky_until")
    return insert(_ALLOCATION).from_select(said, claimed).returning(table.unit, table.available_at > at)


def _later(rows: EstateRows, since: ColumnElement[datetime], seconds: int | None) -> ColumnElement[Any]:
    """So many seconds after that; SQLite has times as text, of which its arithmetic would round the microseconds."""
    if seconds is None:
        return null()
    if rows.db.get_bind().dialect.name == "postgresql":
        return since.op("+")(literal(timedelta(seconds=seconds), TimeSpan))
    whole = func.substr(since, 1, 19)
    return func.strftime("%Y-%m-%d %H:%M:%S", whole, f"+{seconds} seconds").concat(func.substr(since, 20))


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
    around = AllocationEvent.unit.between(min(first for first, _ in parts), max(last for _, last in parts))
    found = await rows.db.execute(_given_back_last(pool_id, around, *which).order_by(AllocationEvent.unit))
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


def _given_back_last(pool_id: int, *which: ColumnElement[bool]) -> AnySelect:
    """The same of one pool: each unit, since when and until when it cools off, and whose it was where."""
    released = AllocationEvent
    later, lift, used = aliased(AllocationEvent), aliased(AllocationEvent), aliased(Allocation)
    after = (lift.pool_id == pool_id, lift.unit == released.unit, lift.id > released.id)
    lifted_at: Any = select(func.max(lift.at, type_=released.at.type)).where(*after).correlate(released)
    of_unit = (later.pool_id == pool_id, later.unit == released.unit, later.id > released.id)
    until = func.coalesce(lifted_at.scalar_subquery(), released.available_at, released.at)
    columns: AnySelect = select(
        released.unit,
        released.at.label("since"),
        until.label("until"),
        Service.customer_id,
        _premise().label("location_id"),
    )
    return columns.join(Service, Service.service_id == released.service_id).where(
        released.pool_id == pool_id,
        released.what == "released",
        ~exists().where(*of_unit, later.what != "lifted"),
        ~exists().where(used.pool_id == pool_id, used.unit == released.unit),
        *which,
    )


def _premise() -> ColumnElement[int]:
    """Where it was given back: from where its service was moved then or next, else where that is now."""
    released, move = AllocationEvent, aliased(ServiceMove)
    of_service = select(func.min(move.id)).where(move.service_id == released.service_id, move.at >= released.at)
    first_move = of_service.correlate(released).scalar_subquery()  # two levels down, which isn't done by itself
    left_from = select(ServiceMove.from_location_id).where(ServiceMove.id == first_move)
    return func.coalesce(left_from.correlate(released).scalar_subquery(), Service.location_id)
