"""Who is signed in at the console: a random token in a cookie, kept as its hash, ended by time or by hand.

The token is 256 random bits, so SHA-256 is enough to keep it by (see `tokens`). What forms carry against forgery is
derived from it (`form_token`), so that nothing of a session that could be used is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import ForeignKey, Index, LargeBinary, Table, UniqueConstraint, bindparam, delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.access.errors import SessionOver, SignInRefused
from provisioning.access.roles import ROLES, Role
from provisioning.access.tokens import Caller
from provisioning.intake import Clock
from provisioning.tables import ProvisioningBase, RowId, TenantId

LASTS = timedelta(hours=12)
"""A shift; then one signs in again."""
KEPT_FOR = timedelta(days=30)
"""How long one that is over stays, to be asked about."""
TOKEN_BYTES = 32
_FORM = b"firstlight console form"
_OF_THE_PERSON = ("login_name", "display_name", "role", "partner_id", "technician_id", "disabled_at")


class ConsoleSession(ProvisioningBase):
    """One sign-in of one person. Not a RADIUS session, with which it has nothing to do but the word."""

    __tablename__ = "console_session"
    __table_args__ = (
        UniqueConstraint("digest", name="uq_console_session_digest"),
        Index("ix_console_session_user", "user_id", "ends_at"),
        Index("ix_console_session_ends", "tenant_id", "ends_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    user_id: Mapped[int] = mapped_column(ForeignKey("console_user.id"))
    created_at: Mapped[datetime]
    ends_at: Mapped[datetime]


@dataclass(frozen=True)
class SignedIn:
    """Whose session this is, and what they may do; ``form_token`` stands in each of their forms."""

    session_id: int
    caller: Caller
    display_name: str
    role: Role
    ends_at: datetime
    form_token: str


class ConsoleSessions:
    """The sessions of one tenant. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def begin(self, user_id: int, *, password_hash: str) -> str:
        """A new session of who knows the password of this hash; its token, which is told the browser and nobody else.

        Whoever disables them or gives them another password waits until this is committed, and then ends it.

        Raises: SignInRefused: either was done since the password was compared.
        """
        users = _users()
        person = select(users.c.disabled_at, users.c.password_hash).where(
            users.c.tenant_id == self._tenant_id, users.c.id == user_id
        )
        row = (await self._db.execute(person.with_for_update())).one()
        if row.disabled_at is not None or row.password_hash != password_hash:
            raise SignInRefused
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._db.add(
            ConsoleSession(
                tenant_id=self._tenant_id,
                digest=_digest(token),
                user_id=user_id,
                created_at=self._now(),
                ends_at=self._now() + LASTS,
            )
        )
        await self._db.flush()
        await self._db.execute(update(users).where(users.c.id == user_id).values(signed_in_at=self._now()))
        return token

    async def find(self, token: str | None) -> SignedIn:
        """Whose session this token is. Raises: SessionOver."""
        if not token:
            raise SessionOver
        sessions, users = _sessions(), _users()
        query = (
            select(
                sessions.c.id.label("session_id"),
                sessions.c.ends_at,
                users.c.id.label("user_id"),
                *(users.c[name] for name in _OF_THE_PERSON),
            )
            .join(users, users.c.id == sessions.c.user_id)
            .where(sessions.c.tenant_id == self._tenant_id, sessions.c.digest == bindparam("digest"))
        )
        row = (await self._db.execute(query, {"digest": _digest(token)})).one_or_none()
        if row is None or row.disabled_at is not None or row.ends_at <= self._now():
            raise SessionOver
        caller = Caller(
            name=row.login_name,
            role=row.role,
            partner_id=row.partner_id,
            technician_id=row.technician_id,
            permissions=ROLES[cast(Role, row.role)],
            expires_at=row.ends_at,
            user_id=row.user_id,
        )
        return SignedIn(row.session_id, caller, row.display_name, row.role, row.ends_at, form_token(token))

    async def end(self, session_id: int) -> None:
        """Signs out; one that is over stays over."""
        sessions = _sessions()
        await self._db.execute(
            update(sessions)
            .where(sessions.c.id == session_id, sessions.c.ends_at > self._now())
            .values(ends_at=self._now())
        )

    async def end_of_token(self, token: str | None) -> None:
        """The same, by what a browser has; a token that is nobody's ends nothing."""
        if token:
            sessions = _sessions()
            mine = (sessions.c.tenant_id == self._tenant_id, sessions.c.digest == _digest(token))
            ended = update(sessions).where(*mine, sessions.c.ends_at > self._now())
            await self._db.execute(ended.values(ends_at=self._now()))

    async def running(self, session_ids: Collection[int]) -> set[int]:
        """Those of these sessions that are not over."""
        sessions = _sessions()
        query = select(sessions.c.id).where(sessions.c.id.in_(session_ids), sessions.c.ends_at > self._now())
        return set(await self._db.scalars(query))


async def end_sessions_of(db: AsyncSession, user_id: int, *, at: datetime) -> None:
    """Signs a person out everywhere."""
    sessions = _sessions()
    await db.execute(update(sessions).where(sessions.c.user_id == user_id, sessions.c.ends_at > at).values(ends_at=at))


async def forget_old_sessions(db: AsyncSession, *, tenant_id: str, now: datetime) -> None:
    """Deletes what has been over for long."""
    sessions = _sessions()
    await db.execute(delete(sessions).where(sessions.c.tenant_id == tenant_id, sessions.c.ends_at < now - KEPT_FOR))


def form_token(token: str) -> str:
    """What proves that a form came from a page of this session; the session can't be read out of it."""
    return hmac.new(token.encode(), _FORM, hashlib.sha256).hexdigest()


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _sessions() -> Table:
    return ProvisioningBase.metadata.tables["console_session"]


def _users() -> Table:
    return ProvisioningBase.metadata.tables["console_user"]
