"""Under which key a caller has sent a request, and what was answered: kept in the transaction of the change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import (
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    delete,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
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


@dataclass(frozen=True)
class EarlierRequest:
    """What was asked under a key before, and what was answered."""

    fingerprint: str
    status: int | None
    headers: str | None
    body: bytes | None


_KEYS = cast(Table, IdempotencyKey.__table__)
_TAKE = {
    dialect.dialect.name: dialect.insert(_KEYS)
    .on_conflict_do_nothing(index_elements=["tenant_id", "token_id", "key"])
    .returning(_KEYS.c.id)
    for dialect in (postgresql, sqlite)
}
_EARLIER = select(_KEYS.c.fingerprint, _KEYS.c.status, _KEYS.c.headers, _KEYS.c.body).where(
    _KEYS.c.tenant_id == bindparam("tenant_id"),
    _KEYS.c.token_id == bindparam("token_id"),
    _KEYS.c.key == bindparam("key"),
)
_KEEP = update(_KEYS).where(_KEYS.c.id == bindparam("key_id"))


async def take_key(
    db: AsyncSession, *, tenant_id: str, token_id: int, key: str, fingerprint: str, now: datetime
) -> int | EarlierRequest:
    """The number of the key's new row, or what was asked under it before; of two at once the second waits here for what
    becomes of the first."""
    connection = await db.connection()
    its = {"tenant_id": tenant_id, "token_id": token_id, "key": key}
    while True:
        taken = await connection.execute(
            _TAKE[connection.dialect.name], {**its, "fingerprint": fingerprint, "used_at": now}
        )
        number = taken.scalar_one_or_none()
        if number is not None:
            return int(number)
        earlier = (await connection.execute(_EARLIER, its)).one_or_none()
        if earlier is not None:  # or it was so old that it was forgotten between the two
            return EarlierRequest(*earlier)


async def is_key_used(db: AsyncSession, *, tenant_id: str, token_id: int, key: str) -> bool:
    """Whether something was asked under it and done."""
    its = {"tenant_id": tenant_id, "token_id": token_id, "key": key}
    return (await db.execute(_EARLIER, its)).one_or_none() is not None


async def keep_under_key(db: AsyncSession, key_id: int, *, status: int, headers: str, body: bytes) -> None:
    """What is answered, in the transaction of the change."""
    connection = await db.connection()
    await connection.execute(_KEEP, {"key_id": key_id, "status": status, "headers": headers, "body": body})


async def forget_old_keys(db: AsyncSession, *, tenant_id: str, now: datetime) -> None:
    """Deletes what nobody repeats any more."""
    await db.execute(
        delete(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.used_at < now - KEPT_FOR)
    )
