"""Seal, reveal, discard: always in the caller's transaction, so that a secret exists exactly when its owner does."""

from __future__ import annotations

import re

from sqlalchemy import ColumnElement, and_, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.vault.envelope import EnvelopeBroken, key_id_of, seal, unseal
from provisioning.vault.errors import SecretMissing, SecretReferenceMalformed, SecretTampered
from provisioning.vault.keyring import Keyring
from provisioning.vault.tables import SealedSecret

REFERENCE = re.compile(r"secret:[a-z][a-z0-9_]*(/[A-Za-z0-9._~%@:+-]+)+")
REFERENCE_LENGTH = 200


class SecretVault:
    """The secrets of one tenant. Values pass through and are never kept, logged or put into an error."""

    def __init__(self, keyring: Keyring, *, tenant_id: str) -> None:
        if not tenant_id or "|" in tenant_id:
            raise ValueError("a tenant's id is not empty and holds no bar, which parts it from the reference")
        self._keyring = keyring
        self._tenant_id = tenant_id

    def __repr__(self) -> str:
        return f"SecretVault({self._keyring!r}, tenant_id={self._tenant_id!r})"

    async def seal(self, db: AsyncSession, ref: str, plaintext: str) -> None:
        """Keep a value under its reference; an earlier value is replaced.

        Raises:
            SecretReferenceMalformed: ``ref`` isn't like ``secret:subscriber/42``.
            VaultError: the keyring is gone, exposed or damaged.
        """
        statement = self._insert(db, ref, plaintext)
        await db.execute(
            statement.on_conflict_do_update(
                index_elements=["tenant_id", "ref"],
                set_={"key_id": statement.excluded.key_id, "sealed": statement.excluded.sealed},
            )
        )

    async def seal_if_missing(self, db: AsyncSession, ref: str, plaintext: str) -> str:
        """Keep a value under its reference unless one is kept there, and tell which: of two at once both get the first.

        Raises: as ``seal`` and ``reveal``.
        """
        await db.execute(self._insert(db, ref, plaintext).on_conflict_do_nothing(index_elements=["tenant_id", "ref"]))
        return await self.reveal(db, ref)

    async def reveal(self, db: AsyncSession, ref: str) -> str:
        """The value kept under a reference.

        Raises:
            SecretMissing: nothing is kept there.
            SecretTampered: the row was changed or moved.
            SealingKeyUnknown: this machine's keyring lacks the key.
        """
        _refuse_malformed(ref)
        sealed = await db.scalar(select(SealedSecret.sealed).where(self._is(ref)))
        if sealed is None:
            raise SecretMissing(ref)
        return open_sealed(self._keyring, sealed, tenant_id=self._tenant_id, ref=ref)

    async def discard(self, db: AsyncSession, ref: str) -> None:
        """Forget a value; nothing happens when none is kept."""
        _refuse_malformed(ref)
        await db.execute(delete(SealedSecret).where(self._is(ref)))

    def _insert(self, db: AsyncSession, ref: str, plaintext: str) -> postgresql.Insert | sqlite.Insert:
        _refuse_malformed(ref)
        key = self._keyring.current()
        sealed = seal(key, tenant_id=self._tenant_id, ref=ref, plaintext=plaintext)
        insert = postgresql.insert if db.get_bind().dialect.name == "postgresql" else sqlite.insert
        return insert(SealedSecret).values(tenant_id=self._tenant_id, ref=ref, key_id=key.key_id, sealed=sealed)

    def _is(self, ref: str) -> ColumnElement[bool]:
        return and_(SealedSecret.tenant_id == self._tenant_id, SealedSecret.ref == ref)


def open_sealed(keyring: Keyring, sealed: bytes, *, tenant_id: str, ref: str) -> str:
    """A row's value.

    Raises:
        SecretTampered: the row was changed or moved.
        SealingKeyUnknown: the keyring lacks the key.
    """
    try:
        return unseal(keyring.key(key_id_of(sealed)), sealed, tenant_id=tenant_id, ref=ref)
    except EnvelopeBroken as exc:
        raise SecretTampered(ref) from exc


def _refuse_malformed(ref: str) -> None:
    if len(ref) > REFERENCE_LENGTH or not REFERENCE.fullmatch(ref):
        raise SecretReferenceMalformed(len(ref))
