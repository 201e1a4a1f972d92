"""Bearer tokens (RFC 6750): random, shown once, kept as a hash, narrowed by scopes, ended by time or by hand.

    firstlight_<10 characters to look it up by>_<43 characters, 256 random bits>

SHA-256 without salt or stretching is enough for 256 random bits: nobody guesses them, and a look-up must cost little.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Integer,
    LargeBinary,
    String,
    Text,
    UniqueConstraint,
    bindparam,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.access.errors import Forbidden, TokenRefused, TokenUnknown
from provisioning.access.roles import PERMISSIONS, ROLES, Permission, Role
from provisioning.intake import Clock, Faults
from provisioning.tables import ProvisioningBase, RowId, TenantId

LOOK_UP_LENGTH = 10
LONGEST_LIFE_DAYS = 3650
USE_IS_NOTED_EVERY = timedelta(hours=1)
"""A token's last use is known to the hour: a write at every request would cost more than it tells."""
HONOURED_FOR = timedelta(seconds=1)
"""How long a token may still read after it was revoked."""
MOST_KNOWN = 10_000

_ALPHABET = string.ascii_lowercase + string.digits
_SPELLING = re.compile(rf"firstlight_([a-z0-9]{{{LOOK_UP_LENGTH}}})_([A-Za-z0-9_-]{{43}})")
_WHOSE: dict[str, str] = {"partner": "partner_id", "technician": "technician_id"}


class ApiToken(ProvisioningBase):
    """One token of one tenant, without what is secret of it."""

    __tablename__ = "api_token"
    __table_args__ = (
        UniqueConstraint("look_up"),
        CheckConstraint("(role = 'partner') = (partner_id IS NOT NULL)", name="partner"),
        CheckConstraint("(role = 'technician') = (technician_id IS NOT NULL)", name="technician"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    look_up: Mapped[str] = mapped_column(String(LOOK_UP_LENGTH))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    name: Mapped[str] = mapped_column(Text)
    role: Mapped[Role] = mapped_column(Text)
    partner_id: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"))
    technician_id: Mapped[int | None] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"))
    scopes: Mapped[str | None] = mapped_column(Text)  # None: all that the role may do
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    last_used_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]


_TOKENS = ApiToken.__table__.c
_LOOK_UP = select(
    _TOKENS.id,
    _TOKENS.digest,
    _TOKENS.name,
    _TOKENS.role,
    _TOKENS.partner_id,
    _TOKENS.technician_id,
    _TOKENS.scopes,
    _TOKENS.expires_at,
    _TOKENS.last_used_at,
    _TOKENS.revoked_at,
).where(_TOKENS.tenant_id == bindparam("tenant"), _TOKENS.look_up == bindparam("look_up"))


@dataclass(frozen=True)
class TokenView:
    """A token as it is listed."""

    token_id: int
    name: str
    role: Role
    partner_id: int | None
    technician_id: int | None
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class CreatedToken:
    """A new token. ``secret`` is told now and never again."""

    token: TokenView
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Caller:
    """Who stands at the door, and what they may do."""

    name: str
    role: Role | None = None
    token_id: int | None = None
    partner_id: int | None = None
    technician_id: int | None = None
    permissions: frozenset[Permission] = frozenset()
    use_noted: bool = True
    expires_at: datetime | None = None
    user_id: int | None = None

    def require(self, permission: Permission) -> None:
        """Raises: Forbidden."""
        if permission not in self.permissions:
            raise Forbidden(self.name, permission)


ANYBODY = Caller(name="anybody")
"""At a door that asks for no token."""


class KnownCallers:
    """Whose token was good a moment ago, so that who reads a lot is not looked up at every request.

    A token that was revoked may read for ``HONOURED_FOR`` more; one that has expired may not. What is refused is never
    kept, and whoever changes anything is looked up every time.
    """

    def __init__(self, now: Clock) -> None:
        self._now = now
        self._known: dict[bytes, tuple[Caller, datetime, datetime]] = {}

    def find(self, token: str) -> Caller | None:
        """None: look the token up."""
        digest, now = _digest(token), self._now()
        if (known := self._known.get(digest)) is None:
            return None
        caller, asked_at, until = known
        if asked_at <= now < until:
            return caller
        del self._known[digest]  # a clock that is set back makes nobody known again
        return None

    def keep(self, token: str, caller: Caller, *, asked_at: datetime) -> None:
        """The token was good for this caller when it was looked up, not before ``asked_at``."""
        assert caller.expires_at is not None, "whoever has a token has it until then"
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        until = min(asked_at + HONOURED_FOR, caller.expires_at)
        self._known[_digest(token)] = replace(caller, use_noted=True), asked_at, until


class Tokens:
    """The tokens of one tenant. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def create(
        self,
        *,
        name: str,
        role: str,
        days: int,
        scopes: Iterable[str] = (),
        partner_id: int | None = None,
        technician_id: int | None = None,
    ) -> CreatedToken:
        """A new token that is good for so many days.

        Raises: InvalidRequest with all faults.
        """
        narrowed = sorted(set(scopes))
        _check(name, role, days, narrowed, {"partner_id": partner_id, "technician_id": technician_id})
        look_up = "".join(secrets.choice(_ALPHABET) for _ in range(LOOK_UP_LENGTH))
        secret = secrets.token_urlsafe(32)
        row = ApiToken(
            tenant_id=self._tenant_id,
            look_up=look_up,
            digest=_digest(secret),
            name=name.strip(),
            role=cast(Role, role),
            partner_id=partner_id,
            technician_id=technician_id,
            scopes=" ".join(narrowed) or None,
            created_at=self._now(),
            expires_at=self._now() + timedelta(days=days),
        )
        self._db.add(row)
        await self._db.flush()
        return CreatedToken(_view(row), f"firstlight_{look_up}_{secret}")

    async def tokens(self) -> list[TokenView]:
        """All there are and were, the newest first."""
        found = await self._db.scalars(
            select(ApiToken).where(ApiToken.tenant_id == self._tenant_id).order_by(ApiToken.id.desc())
        )
        return [_view(row) for row in found]

    async def revoke(self, token_id: int) -> TokenView:
        """Ends a token at once; one that was ended stays so. Raises: TokenUnknown."""
        row = await self._db.scalar(
            select(ApiToken)
            .where(ApiToken.tenant_id == self._tenant_id, ApiToken.id == token_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise TokenUnknown(token_id)
        row.revoked_at = row.revoked_at or self._now()
        await self._db.flush()
        return _view(row)

    async def caller(self, token: str) -> Caller:
        """Whose token this is. Raises: TokenRefused."""
        match = _SPELLING.fullmatch(token)
        if match is None:
            raise TokenRefused
        look_up, secret = match.groups()
        found = await self._db.execute(_LOOK_UP, {"tenant": self._tenant_id, "look_up": look_up})
        row, now = found.one_or_none(), self._now()
        if row is None or not hmac.compare_digest(row.digest, _digest(secret)):
            raise TokenRefused
        if row.revoked_at is not None or row.expires_at <= now:
            raise TokenRefused
        return Caller(
            name=row.name,
            role=row.role,
            token_id=row.id,
            partner_id=row.partner_id,
            technician_id=row.technician_id,
            permissions=_permissions(row.role, row.scopes),
            use_noted=row.last_used_at is not None and row.last_used_at > now - USE_IS_NOTED_EVERY,
            expires_at=row.expires_at,
        )

    async def note_use(self, token_id: int) -> None:
        """Keeps that the token is in use."""
        await self._db.execute(
            update(ApiToken)
            .where(ApiToken.tenant_id == self._tenant_id, ApiToken.id == token_id)
            .values(last_used_at=self._now())
        )


def _check(name: str, role: str, days: int, scopes: list[str], whose: dict[str, Any]) -> None:
    faults = Faults("The token")
    faults.line("name", name, longest=100)
    if role not in ROLES:
        faults.add("role", f"is none of {', '.join(ROLES)}: {role}")
    if not 1 <= days <= LONGEST_LIFE_DAYS:
        faults.add("days", f"is not from 1 to {LONGEST_LIFE_DAYS}")
    may = ROLES.get(cast(Role, role), PERMISSIONS)
    for scope in scopes:
        if scope not in may:
            faults.add("scope", f"{scope} is nothing that {role} may do: {', '.join(sorted(may))}")
    check_whose(faults, role, whose)
    faults.refuse_if_any()


def check_whose(faults: Faults, role: str, whose: Mapping[str, Any]) -> None:
    """A partner's or a technician's role has their number, and no other has any."""
    for field_name, number in whose.items():
        needed = _WHOSE.get(role) == field_name
        if needed:
            faults.number(field_name, number)
        elif number is not None:
            faults.add(field_name, f"has no meaning for the role {role}")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()


def _permissions(role: Role, scopes: str | None) -> frozenset[Permission]:
    may = ROLES[role]
    return may if scopes is None else may & frozenset(cast("list[Permission]", scopes.split()))


def _view(row: ApiToken) -> TokenView:
    return TokenView(
        token_id=row.id,
        name=row.name,
        role=row.role,
        partner_id=row.partner_id,
        technician_id=row.technician_id,
        scopes=sorted(_permissions(row.role, row.scopes)),
        created_at=row.created_at,
        expires_at=row.expires_at,
        last_used_at=row.last_used_at,
        revoked_at=row.revoked_at,
    )
