"""One-time links: where a customer must see a secret or accept an offer, a mail holds a link, never the secret.

A link is not stored; it is signed. Its token says what it is for and until when, and carries an HMAC-SHA256 (RFC 2104)
over that and the tenant under a random key that the vault keeps, so a rotation of the sealing key leaves links alone:

    v1.<purpose>.<subject>.<expiry, Unix seconds in hex>.<nonce>.<mac>

Whoever has the address may use it, once: a use is one row, by unique index. Addresses stand in the mail they were made
for and nowhere else: log a token never, answer ``GET`` with ``open`` (mail programs fetch links in advance) and only
what the customer then sends with ``use``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from typing import get_args

from sqlalchemy import Index, String, func, insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.errors import ProvisioningError
from provisioning.intake import Clock, Faults
from provisioning.tables import ProvisioningBase, RowId, TenantId
from provisioning.vault import SecretMissing, SecretVault
from workflows.answers import LinkPurpose, LinkTo

KEY_REF = "secret:links/signing"
KEY_BYTES = 32
NONCE_BYTES = 12
VERSION = "v1"
FOLDER = "/links/"
"""Under the appliance's public address: where links lead."""
LANGUAGE = "lang"
"""The parameter in which an address says what language its page is to speak."""
PURPOSES: tuple[LinkPurpose, ...] = get_args(LinkPurpose)

_SUBJECT = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOKEN = re.compile(r"[A-Za-z0-9._-]{1,400}")
_ADDRESS = re.compile(rf"({re.escape(FOLDER)}){VERSION}\.[A-Za-z0-9._-]+")


class LinkError(ProvisioningError):
    """This link can't be used."""

    code = "link.error"


class LinkForged(LinkError):
    """This link was not made here, or was changed on its way: take it from the mail as it is."""

    code = "link.forged"


class LinkExpired(LinkError):
    """This link is too old."""

    code = "link.expired"

    def __init__(self, to: LinkTo) -> None:
        self.to = to
        super().__init__(f"This link opened until {to.expires_at:%Y-%m-%d %H:%M} UTC; ask for a new one.")


class LinkUsed(LinkError):
    """This link was used already."""

    code = "link.used"

    def __init__(self, to: LinkTo, used_at: datetime) -> None:
        self.to = to
        self.used_at = used_at
        super().__init__(f"This link was used at {used_at:%Y-%m-%d %H:%M} UTC and opens once; ask for a new one.")


class OneTimeLinkUse(ProvisioningBase):
    """One use of one link, told by its nonce; the token is not in it."""

    __tablename__ = "one_time_link_use"
    __table_args__ = (Index("uq_one_time_link_use", "tenant_id", "purpose", "subject", "nonce", unique=True),)

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    purpose: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    nonce: Mapped[str] = mapped_column(String(32))
    used_at: Mapped[datetime]


class SignedLinks:
    """Makes links and takes them back. Writes only the ``db`` it is given; the caller commits.

    ``public_url``: the appliance's own address as customers reach it; without one no link can be made.
    """

    def __init__(self, vault: SecretVault, *, tenant_id: str, now: Clock, public_url: str | None) -> None:
        self._vault = vault
        self._tenant_id = tenant_id
        self._now = now
        self._public_url = public_url

    @property
    def lead_here(self) -> bool:
        """Whether links can be made at all."""
        return self._public_url is not None

    def look_at(self, field: str, to: LinkTo, faults: Faults) -> None:
        """Whether this link can be made; what is in the way goes to ``faults``."""
        if self._public_url is None:
            faults.add(field, "needs a link, and FIRSTLIGHT_PUBLIC_URL doesn't say where this appliance is reached")
        if to.purpose not in PURPOSES:
            faults.add(field, f"is a link to {to.purpose}; there are: {', '.join(PURPOSES)}")
        if not _SUBJECT.fullmatch(to.subject):
            faults.add(field, "is a link whose subject isn't 1 to 64 letters, digits, - or _")
        if (expires_at := faults.moment(field, to.expires_at)) is not None and expires_at <= self._now():
            faults.add(field, "is a link that has expired already")

    async def issue(self, db: AsyncSession, to: LinkTo, *, language: str | None = None) -> str:
        """The address of a new link. It is the customer's: it belongs into their mail and nowhere else.

        ``language``: that of the mail, where it isn't the ISP's own; the page speaks it too. It opens nothing, so it
        isn't signed.

        Raises: InvalidRequest (all faults), VaultError.
        """
        faults = Faults("The link")
        self.look_at("link", to, faults)
        faults.refuse_if_any()
        nonce = secrets.token_urlsafe(NONCE_BYTES)
        key = await self._vault.seal_if_missing(db, KEY_REF, secrets.token_hex(KEY_BYTES))
        said = _said(to, nonce)
        asked = f"?{LANGUAGE}={language}" if language is not None else ""
        return f"{self._public_url}{FOLDER}{said}.{self._mac(key, said)}{asked}"

    async def open(self, db: AsyncSession, token: str) -> LinkTo:
        """What the link is for, if it may still be used.

        Raises: LinkForged, LinkExpired, LinkUsed.
        """
        to, nonce = await self._read(db, token)
        used_at = await self._used_at(db, to, nonce)
        if used_at is not None:
            raise LinkUsed(to, used_at)
        return to

    async def use(self, db: AsyncSession, token: str) -> LinkTo:
        """Use the link up, in the transaction of what it is used for: of two at once one has it.

        Raises: LinkForged, LinkExpired, LinkUsed.
        """
        to, nonce = await self._read(db, token)
        try:
            async with db.begin_nested():
                await db.execute(
                    insert(OneTimeLinkUse).values(
                        tenant_id=self._tenant_id,
                        purpose=to.purpose,
                        subject=to.subject,
                        nonce=nonce,
                        used_at=self._now(),
                    )
                )
        except IntegrityError as exc:
            raise LinkUsed(to, await self._used_at(db, to, nonce) or self._now()) from exc
        return to

    async def _read(self, db: AsyncSession, token: str) -> tuple[LinkTo, str]:
        if not _TOKEN.fullmatch(token):
            raise LinkForged
        said, _, mac = token.rpartition(".")
        try:
            key = await self._vault.reveal(db, KEY_REF)
        except SecretMissing:
            raise LinkForged from None  # no link was ever made here
        if not hmac.compare_digest(self._mac(key, said), mac):
            raise LinkForged
        _, purpose, subject, expiry, nonce = said.split(".")
        known = next((each for each in PURPOSES if each == purpose), None)
        if known is None:
            raise LinkForged  # of a release that had more purposes
        to = LinkTo(purpose=known, subject=subject, expires_at=datetime.fromtimestamp(int(expiry, 16), UTC))
        if to.expires_at <= self._now():
            raise LinkExpired(to)
        return to, nonce

    async def _used_at(self, db: AsyncSession, to: LinkTo, nonce: str) -> datetime | None:
        found: datetime | None = await db.scalar(
            select(OneTimeLinkUse.used_at).where(
                OneTimeLinkUse.tenant_id == self._tenant_id,
                OneTimeLinkUse.purpose == to.purpose,
                OneTimeLinkUse.subject == to.subject,
                OneTimeLinkUse.nonce == nonce,
            )
        )
        return found

    def _mac(self, key: str, said: str) -> str:
        digest = hmac.digest(bytes.fromhex(key), f"{self._tenant_id}|{said}".encode(), hashlib.sha256)
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


async def count_uses(db: AsyncSession, *, tenant_id: str, purpose: LinkPurpose, subjects: Collection[str]) -> int:
    """How many links of this purpose were used for these subjects."""
    used = select(func.count()).where(
        OneTimeLinkUse.tenant_id == tenant_id,
        OneTimeLinkUse.purpose == purpose,
        OneTimeLinkUse.subject.in_(subjects),
    )
    return await db.scalar(used) or 0


def without_tokens(text: str) -> str:
    """A mail's text as an operator may see it: its links lead nowhere."""
    return _ADDRESS.sub(r"\1***", text)


def _said(to: LinkTo, nonce: str) -> str:
    """Everything that is signed besides the tenant; none of the five parts can hold a dot."""
    return f"{VERSION}.{to.purpose}.{to.subject}.{int(to.expires_at.timestamp()):x}.{nonce}"
