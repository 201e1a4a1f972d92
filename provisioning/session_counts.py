"""How many sessions were open: written down by the clock every ten minutes, so that a page can show how it came."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.mails.delivery import Begin
from provisioning.intake import Clock
from provisioning.tables import ProvisioningBase, TenantId
from radius import NasGuard

COUNT_EVERY = timedelta(minutes=10)
KEPT_FOR = timedelta(days=7)


class SessionCount(ProvisioningBase):
    """How many sessions were open at one moment, at all NASes together."""

    __tablename__ = "session_count"

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(primary_key=True)
    open_sessions: Mapped[int]


async def note_open_sessions(begin: Begin, guards: Sequence[NasGuard], *, tenant_id: str, now: Clock) -> int:
    """Writes down how many are open, if it is time, and forgets what is old. Returns how many rows were written.

    Where no NAS was looked at, nobody knows how many are open, and nothing is written.
    """
    at = now()
    if not guards:
        return 0
    async with begin() as db:
        mine = SessionCount.tenant_id == tenant_id
        last = await db.scalar(select(func.max(SessionCount.at)).where(mine))
        if last is not None and at - last < COUNT_EVERY:
            return 0
        many = sum(guard["open_sessions"] for guard in guards)
        db.add(SessionCount(tenant_id=tenant_id, at=at, open_sessions=many))
        await db.execute(delete(SessionCount).where(mine, SessionCount.at < at - KEPT_FOR))
    return 1


async def counts_since(db: AsyncSession, *, tenant_id: str, since: datetime) -> list[tuple[datetime, int]]:
    """When and how many, the oldest first."""
    query = (
        select(SessionCount.at, SessionCount.open_sessions)
        .where(SessionCount.tenant_id == tenant_id, SessionCount.at >= since)
        .order_by(SessionCount.at)
    )
    return [(at, many) for at, many in await db.execute(query)]
