"""Signed messages that other systems have sent us: each number stands for one content, and is kept for a while.

A sender that got no answer sends the same again, and gets the same answer. Another content under a number that was
taken is refused, and so is a message that is older than its signature may be, so that nothing can be played back.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import Index, String, delete, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.tables import ProvisioningBase, RowId, TenantId

KEPT_FOR = timedelta(days=7)
"""Far longer than a signature holds."""


class TakenMessage(ProvisioningBase):
    """One message that was taken at one door; its content is not in it."""

    __tablename__ = "taken_message"
    __table_args__ = (
        Index("uq_taken_message", "tenant_id", "door", "message_id", unique=True),
        Index("ix_taken_message_taken_at", "taken_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    door: Mapped[str] = mapped_column(String(32))
    message_id: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64))
    taken_at: Mapped[datetime]


async def take_message(
    db: AsyncSession, *, tenant_id: str, door: str, message_id: str, body: bytes, now: datetime
) -> bool:
    """Keeps the message's number, in the transaction of what it does; False if it was taken before.

    Raises: RequestConflict (another content came under this number), ChangeRaced.
    """
    digest = hashlib.sha256(body).hexdigest()
    row = {"tenant_id": tenant_id, "door": door, "message_id": message_id, "digest": digest, "taken_at": now}
    try:
        async with db.begin_nested():
            await db.execute(insert(TakenMessage).values(row))
    except IntegrityError as exc:
        known = await db.scalar(
            select(TakenMessage.digest).where(
                TakenMessage.tenant_id == tenant_id,
                TakenMessage.door == door,
                TakenMessage.message_id == message_id,
            )
        )
        if known is None:
            raise ChangeRaced from exc
        if known != digest:
            raise RequestConflict(message_id, "a change") from exc
        return False
    return True


async def forget_old_messages(db: AsyncSession, *, tenant_id: str, now: datetime) -> None:
    """Deletes what nobody could send again."""
    await db.execute(
        delete(TakenMessage).where(TakenMessage.tenant_id == tenant_id, TakenMessage.taken_at < now - KEPT_FOR)
    )
