"""What those who look at the pools (``sampling``) and those who change what was seen of them agree on."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.tables import PoolSample, table_of

LOOK_BACK = timedelta(days=7)
"""From how far back it follows how fast units are used up."""
NOT_KNOWN = -1
"""Of a sample: how many units were somebody's then can't be compared any more with how many are now."""


async def look_alone(db: AsyncSession, tenant_id: str, *, wait: bool = False) -> bool:
    """Whether nobody else looks at the pools, or will until this transaction ends; with ``wait`` as soon as that is so.
    SQLite has one writer anyway. Who waits has deleted no pool yet, since what is written of a look refers to them."""
    if db.get_bind().dialect.name != "postgresql":
        return True
    key = func.hashtextextended(f"ipam samples of {tenant_id}", 0)
    if wait:
        await db.execute(select(func.pg_advisory_xact_lock(key)))
        return True
    return bool(await db.scalar(select(func.pg_try_advisory_xact_lock(key))))


async def begin_rates_anew(db: AsyncSession, pool_ids: Collection[int], *, tenant_id: str, at: datetime) -> None:
    """What of these pools is somebody's or cools off is more or less from now on by no use: an import has brought what
    was somebody's before, or what cools off goes into a drained or excluded part, or comes out of it. How fast units
    are used up follows from later looks alone."""
    if not pool_ids:
        return
    await look_alone(db, tenant_id, wait=True)
    samples = table_of(PoolSample)
    known = (samples.c.pool_id.in_(sorted(pool_ids)), samples.c.at >= at - LOOK_BACK)
    await db.execute(update(samples).where(*known).values(assigned=NOT_KNOWN))
