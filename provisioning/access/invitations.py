"""One-time links to the console: the first person, a new one, or one who has forgotten their password.

A link is 256 random bits, kept as a hash and told once; of one person only the newest opens anything.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import ForeignKey, LargeBinary, Text, UniqueConstraint, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.access.errors import InvitationOver
from provisioning.access.users import ConsoleUser, Users
from provisioning.intake import Clock
from provisioning.tables import ProvisioningBase, RowId, TenantId

FOLDER = "/welcome/"
"""Where these links lead."""
OPENS_FOR = timedelta(hours=24)
TOKEN_BYTES = 32


class ConsoleInvitation(ProvisioningBase):
    """One link. ``user_id`` None: to whoever is the first to come."""

    __tablename__ = "console_invitation"
    __table_args__ = (UniqueConstraint("digest", name="uq_console_invitation_digest"),)

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("console_user.id"))
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    used_at: Mapped[datetime | None]


@dataclass(frozen=True)
class MadeInvitation:
    """A new link: its path below the console's address, and until when it opens."""

    path: str = field(repr=False)
    ends_at: datetime


@dataclass(frozen=True)
class Invited:
    """Whom a link is for; ``login_name`` None: the first person, who chooses it."""

    invitation_id: int
    user_id: int | None
    login_name: str | None
    display_name: str | None


class Invitations:
    """The links of one tenant. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def make(self, *, user_id: int | None, by: str) -> MadeInvitation:
        """A new link; the ones before it that were for the same person open nothing any more."""
        now = self._now()
        await self._db.execute(
            update(ConsoleInvitation)
            .where(
                ConsoleInvitation.tenant_id == self._tenant_id,
                ConsoleInvitation.user_id == user_id if user_id else ConsoleInvitation.user_id.is_(None),
                ConsoleInvitation.used_at.is_(None),
                ConsoleInvitation.ends_at > now,
            )
            .values(ends_at=now)
        )
        token = secrets.token_urlsafe(TOKEN_BYTES)
        row = ConsoleInvitation(
            tenant_id=self._tenant_id,
            digest=_digest(token),
            user_id=user_id,
            made_by=by,
            made_at=now,
            ends_at=now + OPENS_FOR,
        )
        self._db.add(row)
        await self._db.flush()
        return MadeInvitation(FOLDER + token, row.ends_at)

    async def open(self, token: str) -> Invited:
        """Whom the link is for, if it may still be used. Raises: InvitationOver."""
        query = (
            select(
                ConsoleInvitation.id,
                ConsoleInvitation.user_id,
                ConsoleInvitation.ends_at,
                ConsoleInvitation.used_at,
                ConsoleUser.login_name,
                ConsoleUser.display_name,
                ConsoleUser.disabled_at,
            )
            .outerjoin(ConsoleUser, ConsoleUser.id == ConsoleInvitation.user_id)
            .where(ConsoleInvitation.tenant_id == self._tenant_id, ConsoleInvitation.digest == _digest(token))
        )
        row = (await self._db.execute(query)).one_or_none()
        if row is None or row.used_at is not None or row.ends_at <= self._now() or row.disabled_at is not None:
            raise InvitationOver
        if row.user_id is None and not await Users(self._db, tenant_id=self._tenant_id, now=self._now).is_empty():
            raise InvitationOver
        return Invited(row.id, row.user_id, row.login_name, row.display_name)

    async def use(self, token: str) -> Invited:
        """Uses the link up, in the transaction of what it is used for: of two at once one has it.

        Raises: InvitationOver.
        """
        invited = await self.open(token)
        used = await self._db.scalar(
            update(ConsoleInvitation)
            .where(ConsoleInvitation.id == invited.invitation_id, ConsoleInvitation.used_at.is_(None))
            .values(used_at=self._now())
            .returning(ConsoleInvitation.id)
        )
        if used is None:
            raise InvitationOver
        return invited


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
