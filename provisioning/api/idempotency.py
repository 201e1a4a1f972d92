"""The same POST again is the same answer (draft-ietf-httpapi-idempotency-key-header).

A key belongs to one token. Its row, the change and the answer are one commit; so a request that failed has left no key
and is simply carried out when it comes again, and of two at once the second waits for the first at the unique index.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Index, Integer, LargeBinary, String, Text, UniqueConstraint, delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column
from starlette.requests import Request
from starlette.responses import Response

from provisioning.api.errors import IdempotencyKeyMissing, IdempotencyKeyReused
from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

HEADER = "Idempotency-Key"
KEPT_FOR = timedelta(days=7)
"""A client that comes back later than this has a new wish."""

_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,198}[\x21-\x7e])?")
_KEPT_HEADERS = ("content-type", "etag", "location")


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


def key_of(request: Request) -> str:
    """The request's key; quoted, as the draft writes it, or bare. Raises: IdempotencyKeyMissing."""
    given = request.headers.getlist(HEADER)
    key = given[0].strip() if len(given) == 1 else ""
    if len(key) > 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    if not _KEY.fullmatch(key):
        raise IdempotencyKeyMissing
    return key


def fingerprint(request: Request, body: bytes) -> str:
    """What makes it the same request: method, address and content, however its JSON is spaced."""
    content = json.dumps(json.loads(body), sort_keys=True).encode() if body else b""
    address = f"{request.method} {request.url.path}?{request.url.query}\n{request.headers.get('if-match', '')}\n"
    return hashlib.sha256(address.encode() + content).hexdigest()


async def take_key(
    db: AsyncSession, *, tenant_id: str, token_id: int, key: str, mark: str, now: datetime
) -> IdempotencyKey | Response:
    """The key's new row, whose answer is kept when there is one; or the answer that was given before.

    Raises: IdempotencyKeyReused.
    """
    row = IdempotencyKey(tenant_id=tenant_id, token_id=token_id, key=key, fingerprint=mark, used_at=now)
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
        if known.fingerprint != mark:
            raise IdempotencyKeyReused from None
        return _answer(known)
    return row


async def keep_answer(db: AsyncSession, row: IdempotencyKey, response: Response) -> None:
    """Keeps what is answered, in the transaction of the change."""
    row.status = response.status_code
    row.headers = json.dumps({name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers})
    row.body = bytes(response.body)
    await db.flush()


async def forget_old_keys(db: AsyncSession, *, tenant_id: str, now: datetime) -> None:
    """Deletes what nobody repeats any more."""
    await db.execute(
        delete(IdempotencyKey).where(IdempotencyKey.tenant_id == tenant_id, IdempotencyKey.used_at < now - KEPT_FOR)
    )


def _answer(row: IdempotencyKey) -> Response:
    assert row.status is not None and row.body is not None, "a key is committed with its answer"
    headers: dict[str, Any] = json.loads(row.headers or "{}")
    return Response(row.body, row.status, {**headers, "Idempotent-Replay": "true"})
