"""Pools that run low, are about to be full, are full, or have room again: told once for each crossing."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncSession

from ipam import PoolCrossing, sample_pools
from provisioning.commercial import PublishEvent
from provisioning.commercial.mails.delivery import Begin
from provisioning.intake import Clock

BY = "clock"
BY_HAND = "operator"
POOL_EVENTS = {
    "ok": "pool.recovered",
    "low": "pool.running_low",
    "critical": "pool.critical",
    "exhausted": "pool.exhausted",
}
"""What is told of a pool that has come to a level, from the best one to the worst. None of them starts a journey."""


async def tell_levels(begin: Begin, *, publish: PublishEvent, tenant_id: str, now: Clock) -> int:
    """Looks at every pool; the samples and what they tell are one commit. Returns how many crossings were told."""
    at = now()
    async with begin() as db:
        crossings = await sample_pools(db, tenant_id=tenant_id, at=at)
        for crossing in crossings:
            await tell_crossing(db, crossing, publish=publish, by=BY)
    return len(crossings)


async def tell_crossing(db: AsyncSession, crossing: PoolCrossing, *, publish: PublishEvent, by: str = BY_HAND) -> None:
    """One of them, in the transaction in which it was seen or, of a pool that leaves the network, made."""
    subject = f"pool/{crossing['pool_id']}"
    key = f"{subject}/{crossing['level']}/{crossing['at'].isoformat()}"
    await publish(db, POOL_EVENTS[crossing["level"]], subject, crossing, key, by)
