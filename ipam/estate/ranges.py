"""Cutting a pool into free ranges, and cutting it anew when what may be handed out changes under way.

Meanwhile the rows of the ranges are locked, and allocations of that pool wait. The row of the pool itself is never
locked against them (they refer to it), or the two would wait for one another.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from itertools import count as numbers
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Row, delete, insert, or_, select
from sqlalchemy.exc import IntegrityError

from ipam.allocation.carving import LONGEST_STEP
from ipam.allocation.patience import OthersWereQuicker
from ipam.answers import value_of
from ipam.bulk import AT_ONCE, insert_many
from ipam.errors import EstateInUse
from ipam.estate.cooling import rest_on
from ipam.estate.exclusions import Excluded, Part, by_hand_in, described_in, joined, laid_over
from ipam.estate.layout import Layout
from ipam.estate.rows import EstateRows
from ipam.tables import IN_QUARANTINE, Allocation, Drain, Exclusion, FreeRange, Pool, Prefix, table_of
from ipam.units import Interval, count, merge, stripes, subtract, touching
from ipam.usage.looks import begin_rates_anew

_EXCLUSION = table_of(Exclusion)
_RANGE = table_of(FreeRange)
_ALLOCATION = table_of(Allocation)
MOST_NAMED = 5


async def cut_first(rows: EstateRows, pool_id: int, layout: Layout) -> None:
    """A new pool's exclusions and free ranges."""
    await _write_exclusions(rows, pool_id, laid_over(described_by(layout), []))
    await insert_ranges(rows, pool_id, stripes(layout.free, layout.stripes))


async def recut(rows: EstateRows, pool_id: int, name: str, layout: Layout, at: datetime) -> bool:
    """Make the exclusions be those of ``layout``, besides those by hand; False when they were so already.

    What was excluded by hand is so still, also beneath what the description excludes and when that lets go of it.

    Raises:
        EstateInUse: a live service holds something that would be excluded.
    """
    present = await excluded_of(rows, pool_id)
    before, wanted, by_hand = described_in(present), described_by(layout), by_hand_in(present)
    if before == wanted:
        return False
    out = [each.interval for each in wanted]
    used = await cut(rows, pool_id, name, subtract(out, [each.interval for each in present]), at)
    stays_out = [*out, *(each.interval for each in by_hand)]
    await _free(rows, pool_id, subtract([each.interval for each in before], stays_out), layout.stripes, used, at)
    await rewrite_exclusions(rows, pool_id, laid_over(wanted, by_hand))
    return True


def described_by(layout: Layout) -> list[Part]:
    """The description's layer of what is never handed out."""
    return joined(Part(each.first, each.last, each.reason) for each in layout.excluded)


async def excluded_of(rows: EstateRows, pool_id: int) -> list[Excluded]:
    found = await rows.db.execute(
        select(Exclusion.first_unit, Exclusion.last_unit, Exclusion.reason, Exclusion.note)
        .where(Exclusion.pool_id == pool_id)
        .order_by(Exclusion.first_unit)
    )
    return [Excluded(*row) for row in found]


async def rewrite_exclusions(rows: EstateRows, pool_id: int, wanted: list[Excluded]) -> None:
    """These and no others; the pool's size follows."""
    await rows.db.execute(delete(_EXCLUSION).where(_EXCLUSION.c.pool_id == pool_id))
    await _write_exclusions(rows, pool_id, wanted)
    span = await rows.db.scalar(select(Pool.span).where(Pool.id == pool_id)) or 0
    await rows.change(Pool, pool_id, size=span - count([each.interval for each in wanted]))


async def drained_of(rows: EstateRows, pool_id: int) -> list[Interval]:
    found = await rows.db.execute(select(Drain.first_unit, Drain.last_unit).where(Drain.pool_id == pool_id))
    return [(first, last) for first, last in found]


async def set_free(
    rows: EstateRows,
    pool_id: int,
    intervals: list[Interval],
    most: int,
    at: datetime,
    *,
    somebodys: Collection[int] = (),
) -> None:
    """What isn't excluded any more may be handed out when it has cooled off, unless it is being drained, or has a row:
    ``somebodys``."""
    await _free(rows, pool_id, intervals, most, await cut_ranges(rows, pool_id, []), at, somebodys)


async def _free(
    rows: EstateRows,
    pool_id: int,
    intervals: list[Interval],
    most: int,
    used: set[int],
    at: datetime,
    somebodys: Collection[int] = (),
) -> None:
    undrained = subtract(intervals, await drained_of(rows, pool_id)) if intervals else []
    left = subtract(await rest_on(rows, pool_id, undrained, at), [(unit, unit) for unit in somebodys])
    await insert_ranges(rows, pool_id, stripes(left, most), used)


async def cut(rows: EstateRows, pool_id: int, name: str, out: list[Interval], at: datetime) -> set[int]:
    """Take intervals out of what may be handed out. The numbers of the ranges that are left are returned.

    Raises:
        EstateInUse: a live service holds one of them, or one is reserved.
    """
    used = await cut_ranges(rows, pool_id, out)
    if out:
        await drop_quarantined(rows, pool_id, out, at)
        await _refuse_if_held(rows, pool_id, name, out)
    return used


async def cut_ranges(rows: EstateRows, pool_id: int, out: list[Interval]) -> set[int]:
    """Take intervals out of the free ranges alone. The numbers of the ranges that are left are returned."""
    ranges = await all_locked(rows, pool_id)
    taken = merge(out)
    gone: list[int] = []
    left: list[Interval] = []
    for each in ranges:
        whole = _whole(each)
        if cut_out := touching(taken, whole):
            gone.append(each.seq)
            left += subtract([whole], cut_out)
    await _delete_ranges(rows, pool_id, gone)
    used = {each.seq for each in ranges}.difference(gone)
    return await insert_ranges(rows, pool_id, left, used)


async def cut_only(rows: EstateRows, pool_id: int, name: str, out: list[Interval]) -> None:
    """The same, but of the pool only ranges that have something of it are locked: of the others units are given
    meanwhile.

    Raises:
        OthersWereQuicker: whoever has just split another one has taken a number of ours.
    """
    taken = merge(out)
    touched = await lock_with(rows, pool_id, taken)
    gone = [each.seq for each in touched]
    left = [part for each in touched if (whole := _whole(each)) for part in subtract([whole], touching(taken, whole))]
    await _delete_ranges(rows, pool_id, gone)
    used = set(await rows.db.scalars(select(_RANGE.c.seq).where(_RANGE.c.pool_id == pool_id)))
    if used:  # of these somebody may be splitting one: his numbers are the next ones
        used.update(range(max(used), max(used) + LONGEST_STEP + 1))
    try:
        async with rows.db.begin_nested():
            await insert_ranges(rows, pool_id, left, used)
    except IntegrityError as exc:
        raise OthersWereQuicker([name]) from exc


async def lock_with(rows: EstateRows, pool_id: int, units: list[Interval]) -> Sequence[Row[Any]]:
    """The ranges of the pool that have some of these units, merged, as they are when they are ours. Whoever is at one
    of them has been waited for; of one that he split, both halves are looked at. One that was gone by then is not ours:
    its number may be another one's since."""
    all_of_pool = select(_RANGE).where(_RANGE.c.pool_id == pool_id).order_by(_RANGE.c.pool_id, _RANGE.c.seq)
    ours: set[int] = set()
    while True:
        ranges = [each for each in await rows.db.execute(all_of_pool) if touching(units, _whole(each))]
        new = sorted({each.seq for each in ranges}.difference(ours))
        if not new:
            return ranges
        for start in range(0, len(new), AT_ONCE):
            these = all_of_pool.where(_RANGE.c.seq.in_(new[start : start + AT_ONCE]))
            ours.update(each.seq for each in await rows.db.execute(these.with_for_update()))


def _whole(each: Row[Any]) -> Interval:
    return each.next_unit, each.last_unit


async def _delete_ranges(rows: EstateRows, pool_id: int, gone: Sequence[int]) -> None:
    for start in range(0, len(gone), AT_ONCE):
        these = _RANGE.c.seq.in_(gone[start : start + AT_ONCE])
        await rows.db.execute(delete(_RANGE).where(_RANGE.c.pool_id == pool_id, these))


async def all_locked(rows: EstateRows, pool_id: int) -> Sequence[Row[Any]]:
    """All ranges of the pool. Whoever splits one holds it, so that its other half is seen when we ask again."""
    all_of_pool = select(_RANGE).where(_RANGE.c.pool_id == pool_id).order_by(_RANGE.c.pool_id, _RANGE.c.seq)
    seen: set[int] | None = None
    while True:
        ranges = (await rows.db.execute(all_of_pool.with_for_update())).all()
        if seen == {each.seq for each in ranges}:
            return ranges
        seen = {each.seq for each in ranges}


async def drop_quarantined(rows: EstateRows, pool_id: int, out: list[Interval], at: datetime) -> None:
    """Never waits for a row: it may belong to somebody who waits for one of ours."""
    resting = select(Allocation.id).where(IN_QUARANTINE, *inside(pool_id, out))
    if await rows.db.scalar(resting.where(Allocation.available_at > at).limit(1)) is not None:
        await begin_rates_anew(rows.db, [pool_id], tenant_id=rows.tenant_id, at=at)  # nobody has used up less by that
    unlocked = resting.with_for_update(skip_locked=True)
    await rows.db.execute(delete(_ALLOCATION).where(_ALLOCATION.c.id.in_(unlocked)))


def inside(pool_id: int, intervals: list[Interval]) -> tuple[ColumnElement[bool], ...]:
    """Which allocations lie in these intervals of a pool."""
    bounds = (Allocation.unit.between(first, last) for first, last in intervals)
    return Allocation.pool_id == pool_id, or_(*bounds)


async def _refuse_if_held(rows: EstateRows, pool_id: int, name: str, out: list[Interval]) -> None:
    # Only now: what was being taken from the free ranges has been waited for, and can be seen.
    held = await rows.db.execute(
        select(Allocation.unit, Allocation.service_id, Allocation.state, Prefix.first_address, Pool.unit_length)
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(*inside(pool_id, out))
        .order_by(Allocation.unit)
    )
    live = [(value_of(base, length, unit), _holder(service, state)) for unit, service, state, base, length in held]
    if live:
        listed = ", ".join(f"{value} ({holder})" for value, holder in live[:MOST_NAMED])
        raise EstateInUse(
            f"Pool {name}",
            change=f"{len(live)} of what would be excluded are in use: {listed}"
            f"{', ...' if len(live) > MOST_NAMED else ''}",
            instead="Release those services (and unreserve what is reserved) first, or leave their addresses in.",
        )


def _holder(service_id: int | None, state: str) -> str:
    if service_id is not None:
        return f"service {service_id}"
    return "reserved" if state == "reserved" else "just being handed out"


async def insert_ranges(rows: EstateRows, pool_id: int, ranges: list[Interval], used: Collection[int] = ()) -> set[int]:
    """Under the lowest numbers that aren't ``used``, so that there are as few gaps as can be: who draws a number in a
    gap is led to the range that follows it. All numbers that are used by then are returned."""
    of_pool = {"tenant_id": rows.tenant_id, "pool_id": pool_id}
    unused = (number for number in numbers() if number not in used)
    seqs = list(islice(unused, len(ranges)))
    numbered = [
        {**of_pool, "seq": seq, "next_unit": first, "last_unit": last}
        for seq, (first, last) in zip(seqs, ranges, strict=True)
    ]
    for start in range(0, len(numbered), AT_ONCE):
        await insert_many(rows.db, _RANGE, numbered[start : start + AT_ONCE])
    return {*used, *seqs}


async def _write_exclusions(rows: EstateRows, pool_id: int, wanted: list[Excluded]) -> None:
    if wanted:
        of_pool = {"tenant_id": rows.tenant_id, "pool_id": pool_id}
        await rows.db.execute(
            insert(_EXCLUSION),
            [
                {
                    **of_pool,
                    "first_unit": each.first,
                    "last_unit": each.last,
                    "reason": each.reason,
                    "note": each.note,
                }
                for each in wanted
            ],
        )
