"""Taking units out of what may be handed out by hand, and letting them in again."""

from __future__ import annotations

from datetime import datetime

from ipam.estate.ranges import Excluded, cut, excluded_of, rewrite_exclusions, set_free
from ipam.estate.rows import EstateRows
from ipam.units import Interval, intersect, subtract
from ipam.upkeep.pool_units import KnownPool

BY_HAND = "excluded by hand"


async def exclude(rows: EstateRows, pool: KnownPool, interval: Interval, *, note: str, at: datetime) -> bool:
    """Never hand it out, whatever the description of the network says; False: all of it was excluded already.

    Raises:
        EstateInUse: a live service holds a part of it, or a part is reserved.
    """
    await rows.be_alone()
    present = await excluded_of(rows, pool.pool_id)
    new = subtract([interval], [each.interval for each in present])
    if not new:
        return False
    await cut(rows, pool.pool_id, pool.name, new, at)
    added = [Excluded(first, last, BY_HAND, note) for first, last in new]
    await rewrite_exclusions(rows, pool.pool_id, [*present, *added])
    return True


async def include(rows: EstateRows, pool: KnownPool, interval: Interval, *, at: datetime) -> bool:
    """Let in what was excluded by hand; what the description excludes stays out. What had not cooled off
    goes on to. False: nothing of it was."""
    await rows.be_alone()
    present = await excluded_of(rows, pool.pool_id)
    freed = intersect([interval], [each.interval for each in present if each.note is not None])
    if not freed:
        return False
    left = [
        Excluded(*part, each.reason, each.note)
        for each in present
        for part in (subtract([each.interval], freed) if each.note is not None else [each.interval])
    ]
    await set_free(rows, pool.pool_id, freed, pool.stripes, at)  # its ranges are locked before its row
    await rewrite_exclusions(rows, pool.pool_id, left)
    return True
