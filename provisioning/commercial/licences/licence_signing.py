"""The ISP's own signing keys: made at the first licence, the private half sealed, the public half for everybody."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.licences.licence_errors import LicenseOfAnother, LicenseRevoked, LicenseUnknown
from provisioning.commercial.licences.licence_keys import (
    LicenseSigner,
    decode_bytes,
    encode_bytes,
    key_id,
    verify_license_key,
)
from provisioning.commercial.licences.licence_tables import License, LicenseSigningKey
from provisioning.errors import ChangeRaced
from provisioning.intake import Clock
from provisioning.vault import SecretVault


class SigningKeys:
    """The signing keys of one ISP. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, secrets: SecretVault) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._secrets = secrets

    async def signer(self) -> LicenseSigner:
        """The key that signs now; the first time it is made.

        Raises: VaultError when its private half doesn't open; ChangeRaced.
        """
        row = await self._current() or await self._create()
        private = decode_bytes(await self._secrets.reveal(self._db, row.private_key_ref))
        return LicenseSigner(row.kid, Ed25519PrivateKey.from_private_bytes(private))

    async def replace(self) -> str:
        """Sign with a new key from now on, and tell its name; what older keys have signed stays provable.

        Raises: ChangeRaced.
        """
        row = await self._current(lock=True)
        if row is not None:
            row.superseded_at = self._now()
            await self._db.flush()  # only one may be current, and the next statement adds it
        return (await self._create()).kid

    async def _current(self, *, lock: bool = False) -> LicenseSigningKey | None:
        query = (
            select(LicenseSigningKey)
            .where(LicenseSigningKey.tenant_id == self._tenant_id, LicenseSigningKey.superseded_at.is_(None))
            .execution_options(populate_existing=True)
        )
        found: LicenseSigningKey | None = await self._db.scalar(query.with_for_update() if lock else query)
        return found

    async def _create(self) -> LicenseSigningKey:
        """A new current key, or the one that another transaction has made at the same moment."""
        private_key = Ed25519PrivateKey.generate()
        public_key = private_key.public_key()
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(LicenseSigningKey)
                    .values(
                        tenant_id=self._tenant_id,
                        kid=key_id(public_key),
                        public_key=encode_bytes(public_key.public_bytes_raw()),
                        created_at=self._now(),
                    )
                    .returning(LicenseSigningKey)
                )
                assert row is not None
                await self._secrets.seal(self._db, row.private_key_ref, encode_bytes(private_key.private_bytes_raw()))
        except IntegrityError as exc:
            if (row := await self._current()) is None:
                raise ChangeRaced from exc
        assert row is not None
        return row


async def public_keys(db: AsyncSession, tenant_id: str) -> dict[str, Ed25519PublicKey]:
    """Every key that has signed licences of this ISP, by its name, in the order they gave up signing; the current last.

    By the times of their making a host whose clock is behind would come before its predecessor.
    """
    rows = await db.scalars(
        select(LicenseSigningKey)
        .where(LicenseSigningKey.tenant_id == tenant_id)
        .order_by(LicenseSigningKey.superseded_at.nulls_last(), LicenseSigningKey.kid)
    )
    return {row.kid: Ed25519PublicKey.from_public_bytes(decode_bytes(row.public_key)) for row in rows}


async def require_valid_license(
    db: AsyncSession, tenant_id: str, key: str, *, customer_id: int, now: Clock, lock: bool = True
) -> License:
    """The customer's licence that this key proves, valid now; with ``lock``, nobody else uses it meanwhile.

    Raises: LicenseKeyInvalid, LicenseSignerUnknown, LicenseExpired, LicenseUnknown, LicenseOfAnother, LicenseRevoked.
    """
    claims = verify_license_key(key, await public_keys(db, tenant_id), now=now())
    query = select(License).where(License.tenant_id == tenant_id, License.id == claims.license)
    row = await db.scalar(
        (query.with_for_update(key_share=True) if lock else query).execution_options(populate_existing=True)
    )
    if row is None or row.key != key:
        raise LicenseUnknown(claims.license)
    if row.customer_id != customer_id:
        raise LicenseOfAnother(row.id, customer_id)
    if row.state == "revoked":
        raise LicenseRevoked(row.id, row.revoked_at, row.revoke_reason)
    return row
