"""Of addresses that several VRFs have, which of them are known by whose they are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.bulk import in_parts
from ipam.inventory.lines import ImportLine, as_note
from ipam.inventory.pools import PoolIndex
from ipam.tables import ASSIGNED, RESERVED, Allocation, Service
from ipam.units import UnitKey


async def known_by_name(db: AsyncSession, pools: PoolIndex, lines: Iterable[ImportLine]) -> Mapping[UnitKey, str]:
    """By unit the username of whose service has it, or for whom radreply has it kept; asked of those lines alone that
    name somebody and may mean several."""
    asked: dict[int, set[int]] = defaultdict(set)
    notes: dict[str, str] = {}
    for line in lines:
        if line.username and (meant := pools.several(line)):
            notes[as_note("radreply", line.username)] = line.username
            for pool, first, _ in meant:
                asked[pool.pool_id].add(first)
    found: dict[UnitKey, str] = {}
    for pool_id, units in asked.items():
        for some in in_parts(sorted(units)):
            rows = await db.execute(
                select(Allocation.unit, Allocation.note, Service.username)
                .outerjoin(Service, Service.service_id == Allocation.service_id)
                .where(Allocation.pool_id == pool_id, Allocation.unit.in_(some), or_(ASSIGNED, RESERVED))
            )
            found |= {(pool_id, unit): username or notes.get(note or "", "") for unit, note, username in rows}
    return found
