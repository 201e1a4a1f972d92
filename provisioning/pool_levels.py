"""Pools that run low, are about to be full, are full, or have room again: told once for each crossing."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import PoolCrossing, exhausted_in, sample_pools
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
LOOKED_AT_AGAIN = timedelta(seconds=5)
"""Refusals of one pool come by the hundred, and a look is for the first of them."""
LOOKS_APART = timedelta(seconds=1)
"""Many pools may be full at once, and each look is at all of them: whoever comes sooner leaves it to the next one."""

log = structlog.get_logger(__name__)


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


class Refusals:
    """Whoever is refused something since a pool is exhausted has the pools looked at: there may be room again by the
    clock's next look.

    All doors write by one way, so it is seen there (``Database.broken_off``).
    """

    def __init__(self, look: Callable[[], Awaitable[int]], *, now: Clock) -> None:
        """``look``: at every pool, in a transaction of its own."""
        self._look = look
        self._now = now
        self._looked_at: dict[str, datetime] = {}
        self._last: datetime | None = None

    async def follow(self, db: AsyncSession) -> None:
        """After a transaction that was broken off. What fails here is logged: the refusal stays what it is."""
        at = self._now()
        pools = [pool for pool in sorted(exhausted_in(db)) if not self._has_looked(pool, at)]
        if not pools or (self._last is not None and timedelta() <= at - self._last < LOOKS_APART):
            return
        self._last = at
        self._looked_at |= dict.fromkeys(pools, at)
        try:
            await self._look()
        except Exception as error:  # whatever it was, nobody has asked for it
            log.error("pools that refused could not be looked at", pools=pools, exc_info=error)

    def _has_looked(self, pool: str, at: datetime) -> bool:
        last = self._looked_at.get(pool)
        return last is not None and timedelta() <= at - last < LOOKED_AT_AGAIN
