"""Cutting a pool into free ranges, and cutting it anew when what is excluded changes under way.

Meanwhile the rows of the ranges are locked, and allocations of that pool wait. The row of the pool itself is never
locked against them (they refer to it), or the two would wait for one another.
"""

from __future__ import annotations

from sqlalchemy import delete, insert, or_, select

from ipam.answers import value_of
from ipam.errors import EstateInUse
from ipam.estate_rows import EstateRows
from ipam.pool_layout import Layout
from ipam.tables import IN_QUARANTINE, Allocation, Exclusion, FreeRange, Pool, Prefix, table_of
from ipam.units import Interval, stripes, subtract


async def cut_first(rows: EstateRows, pool_id: int, layout: Layout) -> None:
    """A new pool's exclusions and free ranges."""
    await _write_exclusions(rows, pool_id, layout)
    await _insert_ranges(rows, pool_id, stripes(layout.free, layout.stripes), first_seq=0)


async def recut(rows: EstateRows, pool_id: int, name: str, layout: Layout) -> bool:
    """Make the exclusions be those of ``layout``; False when they were so already.

    Raises:
        EstateInUse: a live service holds something that would be excluded.
    """
    table = table_of(Exclusion)
    present = await rows.db.execute(
        select(table.c.first_unit, table.c.last_unit, table.c.reason).where(table.c.pool_id == pool_id)
    )
    before = [tuple(row) for row in present]
    after = [(each.first, each.last, each.reason) for each in layout.excluded]
    if sorted(before) == sorted(after):
        return False
    now_excluded = subtract([each[:2] for each in after], [each[:2] for each in before])
    now_free = subtract([each[:2] for each in before], [each[:2] for each in after])
    next_seq = await _cut(rows, pool_id, name, now_excluded)
    await _insert_ranges(rows, pool_id, stripes(now_free, layout.stripes), first_seq=next_seq)
    await rows.db.execute(delete(table).where(table.c.pool_id == pool_id))
    await _write_exclusions(rows, pool_id, layout)
    return True


async def _cut(rows: EstateRows, pool_id: int, name: str, out: list[Interval]) -> int:
    """Take intervals out of what may be handed out. The next unused seq is returned.

    Raises:
        EstateInUse: a live service holds one of them.
    """
    table = table_of(FreeRange)
    of_pool = table.c.pool_id == pool_id
    locked = await rows.db.execute(
        select(table).where(of_pool).order_by(table.c.pool_id, table.c.seq).with_for_update()
    )
    ranges = locked.all()
    next_seq = 1 + max((each.seq for each in ranges), default=-1)
    for each in ranges:
        left = subtract([(each.next_unit, each.last_unit)], out)
        if left == [(each.next_unit, each.last_unit)]:
            continue
        await rows.db.execute(delete(table).where(of_pool, table.c.seq == each.seq))
        await _insert_ranges(rows, pool_id, left, first_seq=next_seq)
        next_seq += len(left)
    if out:
        await _drop_quarantined(rows, pool_id, name, out)
    return next_seq


async def _drop_quarantined(rows: EstateRows, pool_id: int, name: str, out: list[Interval]) -> None:
    """Never waits for a row: it may belong to somebody who waits for one of ours."""
    inside = (Allocation.pool_id == pool_id, or_(*(Allocation.unit.between(first, last) for first, last in out)))
    resting = select(Allocation.id).where(IN_QUARANTINE, *inside).with_for_update(skip_locked=True)
    await rows.db.execute(delete(table_of(Allocation)).where(table_of(Allocation).c.id.in_(resting)))
    # Only now: what was being taken from the free ranges has been waited for, and can be seen.
    held = await rows.db.execute(
        select(Allocation.unit, Allocation.service_id, Prefix.first_address, Pool.unit_length)
        .join(Pool, Pool.id == Allocation.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .where(*inside)
        .order_by(Allocation.unit)
    )
    live = held.all()
    if live:
        holders = [f"service {row[1]}" if row[1] else "just being handed out" for row in live]
        listed = ", ".join(
            f"{value_of(row[2], row[3], row[0])} ({holder})" for row, holder in zip(live[:5], holders, strict=False)
        )
        raise EstateInUse(
            f"Pool {name}",
            change=f"{len(live)} of what would be excluded are assigned: {listed}{', ...' if len(live) > 5 else ''}",
            instead="Release those services first, or leave their addresses in.",
        )


async def _insert_ranges(rows: EstateRows, pool_id: int, ranges: list[Interval], *, first_seq: int) -> None:
    if ranges:
        await rows.db.execute(
            insert(table_of(FreeRange)),
            [
                {
                    "tenant_id": rows.tenant_id,
                    "pool_id": pool_id,
                    "seq": seq,
                    "next_unit": first,
                    "last_unit": last,
                }
                for seq, (first, last) in enumerate(ranges, start=first_seq)
            ],
        )


async def _write_exclusions(rows: EstateRows, pool_id: int, layout: Layout) -> None:
    if layout.excluded:
        await rows.db.execute(
            insert(table_of(Exclusion)),
            [
                {
                    "tenant_id": rows.tenant_id,
                    "pool_id": pool_id,
                    "first_unit": each.first,
                    "last_unit": each.last,
                    "reason": each.reason,
                }
                for each in layout.excluded
            ],
        )
