"""A pool that leaves the network while it runs low or is full: no look sees it any more, so whoever was told of that is
told here that it is over."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.tables import Pool, PoolSample, Prefix, Svlan, VlanGroup, table_of
from ipam.upkeep.answers import PoolCrossing
from ipam.usage.looks import look_alone

TellCrossing = Callable[[PoolCrossing], Awaitable[None]]
"""Tells of a crossing in the transaction in which it is one."""


async def end_alarm(db: AsyncSession, pool_id: int, *, tenant_id: str, at: datetime, tell: TellCrossing | None) -> None:
    """Forget what was seen of the pool, and tell that it has recovered, if something worse was told last: nothing of it
    is missing where nothing of it is left, which its numbers say."""
    await look_alone(db, tenant_id, wait=True)
    samples = table_of(PoolSample)
    of_pool = select(samples.c.level).where(samples.c.pool_id == pool_id)
    level = await db.scalar(of_pool.order_by(samples.c.at.desc()).limit(1))
    if tell is not None and level is not None and level != "ok":
        await tell(await _over(db, pool_id, level, at))
    await db.execute(delete(samples).where(samples.c.pool_id == pool_id))


async def _over(db: AsyncSession, pool_id: int, level: str, at: datetime) -> PoolCrossing:
    known = (
        select(Pool.name, Pool.kind, Prefix.network, VlanGroup.name.label("vlan_group"), Svlan.vid)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(Svlan, Svlan.id == Pool.svlan_id)
        .outerjoin(VlanGroup, VlanGroup.id == Svlan.group_id)
        .where(Pool.id == pool_id)
    )
    pool = (await db.execute(known)).one()
    return PoolCrossing(
        pool_id=pool_id,
        pool=pool.name,
        kind=pool.kind,
        network=pool.network or f"{pool.vlan_group}/{pool.vid}",
        level="ok",
        previous_level=level,
        chain=[pool.name],
        chain_size=0,
        chain_free=0,
        at=at,
        size=0,
        free=0,
        used_percent=0.0,
        next_available_at=None,
        days_to_exhaustion=None,
    )
