"""Taking units out of what may be handed out by hand, and letting them in again."""

from __future__ import annotations

from datetime import datetime

from ipam.estate.exclusions import Part, by_hand_in, described_in, joined, laid_over
from ipam.estate.ranges import cut, excluded_of, rewrite_exclusions, set_free
from ipam.estate.rows import EstateRows
from ipam.units import Interval, intersect, subtract
from ipam.upkeep.pool_units import KnownPool


async def exclude(rows: EstateRows, pool: KnownPool, interval: Interval, *, note: str, at: datetime) -> bool:
    """Never hand it out, whatever the description of the network says, or comes to say: what that excludes already is
    excluded by hand as well. False: all of it was so already.

    Raises:
        EstateInUse: a live service holds a part of it, or a part is reserved.
    """
    present = await excluded_of(rows, pool.pool_id)
    by_hand = by_hand_in(present)
    new = subtract([interval], [each.interval for each in by_hand])
    if not new:
        return False
    await cut(rows, pool.pool_id, pool.name, subtract(new, [each.interval for each in present]), at)
    added = joined([*by_hand, *(Part(*each, note) for each in new)])
    await rewrite_exclusions(rows, pool.pool_id, laid_over(described_in(present), added))
    return True


async def include(rows: EstateRows, pool: KnownPool, interval: Interval, *, at: datetime) -> bool:
    """Let in what was excluded by hand; what the description excludes stays out. What had not cooled off
    goes on to. False: nothing of it was."""
    present = await excluded_of(rows, pool.pool_id)
    described, by_hand = described_in(present), by_hand_in(present)
    let_in = intersect([interval], [each.interval for each in by_hand])
    if not let_in:
        return False
    left = [Part(*part, each.why) for each in by_hand for part in subtract([each.interval], let_in)]
    freed = subtract(let_in, [each.interval for each in described])
    await set_free(rows, pool.pool_id, freed, pool.stripes, at)  # its ranges are locked before its row
    await rewrite_exclusions(rows, pool.pool_id, laid_over(described, left))
    return True
