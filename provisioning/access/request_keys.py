"""Under which key a caller has sent a request, and what was answered: kept in the transaction of the change."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Index, Integer, LargeBinary, String, Text, UniqueConstraint, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

KEPT_FOR = timedelta(days=7)
"""A client that comes back later than this has a new wish."""


class IdempotencyKey(ProvisioningBase):
    """A key that was used, for which request, and what was answered."""

    __tablename__ = "idempotency_key"
    __table_args__ = (
        UniqueConstraint("tenant_id", "token_id", "key", name="uq_idempotency_key_used"),
        Index(None, "used_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    token_id: Mapped[Reference]
    key: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))
    used_at: Mapped[datetime]
    status: Mapped[int | None] = mapped_column(Integer)
    headers: Mapped[str | None] = mapped_column(Text)
    body: Mapped[bytes | None] = mapped_column(LargeBinary)


async def take_key(
    db: AsyncSession, *, tenant_id: str, token_id: int, key: str, fingerprint: str, now: datetime
) -> tuple[IdempotencyKey, bool]:
    """(the key's row, whether it is new); of two at once the second waits here for what becomes of the first."""
    row = IdempotencyKey(tenant_id=tenant_id, token_id=token_id, key=key, fingerprint=fingerprint, used_at=now)
    try:
        async with db.begin_nested():
            db.add(row)
            await db.flush()
    except IntegrityError:
        known = await db.scalar(
            select(IdempotencyKey).where(
                IdempotencyKey.tenant_id == tenant_id,
                IdempotencyKey.token_id == token_id,
                IdempotencyKey.key == key,
            )
        )
        if known is None:
            raise
        return known, False
    return row, True


async def forget_old_keys(db: AsyncSession, *, tenant_id: str, now: datetime) -> None:
    """Deletes what nobody repeats any more."""
    await db.execute(
        delete(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.used_at < now - KEPT_FOR)
    )
