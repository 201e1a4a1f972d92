"""Seal, reveal, discard: always in the caller's transaction, so that a secret exists exactly when its owner does."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Any, cast

from sqlalchemy import ColumnElement, Table, Text, and_, any_, bindparam, delete, func, literal, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.vault.envelope import EnvelopeBroken, key_id_of, seal, unseal
from provisioning.vault.errors import (
    SealingKeyUnknown,
    SecretMissing,
    SecretReferenceMalformed,
    SecretTampered,
)
from provisioning.vault.keyring import Keyring
from provisioning.vault.tables import SealedSecret

REFERENCE = re.compile(r"secret:[a-z][a-z0-9_]*(/[A-Za-z0-9._~%@:+-]+)+")
REFERENCE_LENGTH = 200
REFERENCES_AT_ONCE = 1000
_SECRETS = cast(Table, SealedSecret.__table__)  # thousands of rows are no objects


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
        await db.execute(_in_place(self._insert(db, ref, plaintext)))

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

    async def seal_many(self, db: AsyncSession, plaintexts: Mapping[str, str]) -> None:
        """Keep each value under its reference, as ``seal``, in one statement.

        Raises: as ``seal``; nothing is kept then.
        """
        if not plaintexts:
            return
        for ref in plaintexts:
            _refuse_malformed(ref)
        key, tenant_id = self._keyring.current(), self._tenant_id
        sealed = {ref: seal(key, tenant_id=tenant_id, ref=ref, plaintext=each) for ref, each in plaintexts.items()}
        if db.get_bind().dialect.name == "postgresql":
            arrays = [bindparam(f"b_{name}", type_=ARRAY(_SECRETS.c[name].type)) for name in ("ref", "sealed")]
            each = func.unnest(*arrays).table_valued("ref", "sealed").render_derived()
            rows = select(literal(tenant_id), each.c.ref, literal(key.key_id), each.c.sealed)
            insert = postgresql.insert(_SECRETS).from_select(["tenant_id", "ref", "key_id", "sealed"], rows)
            await db.execute(_in_place(insert), {"b_ref": list(sealed), "b_sealed": list(sealed.values())})
            return
        values = [{"ref": ref, "sealed": value} for ref, value in sealed.items()]
        same = {"tenant_id": tenant_id, "key_id": key.key_id}
        await db.execute(_in_place(sqlite.insert(_SECRETS)), [same | value for value in values])

    async def reveal_many(self, db: AsyncSession, refs: Collection[str]) -> dict[str, str]:
        """The values by reference; one under which nothing is kept, or which does not open, is left out: ``reveal``
        says why.

        Raises:
            SecretReferenceMalformed
            VaultError: the keyring is gone, exposed or damaged.
        """
        found: dict[str, str] = {}
        waiting = iter(refs)
        while some := list(islice(waiting, REFERENCES_AT_ONCE)):
            for ref in some:
                _refuse_malformed(ref)
            mine = select(SealedSecret.ref, SealedSecret.sealed).where(SealedSecret.tenant_id == self._tenant_id)
            for ref, sealed in await db.execute(mine.where(_among(db, some))):
                try:
                    found[ref] = open_sealed(self._keyring, sealed, tenant_id=self._tenant_id, ref=ref)
                except (SecretTampered, SealingKeyUnknown):
                    continue
        return found

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


def _among(db: AsyncSession, refs: Sequence[str]) -> ColumnElement[bool]:
    """On PostgreSQL one statement however many they are: a thousand parameters take it longer than their rows."""
    if db.get_bind().dialect.name == "postgresql":
        return SealedSecret.ref == any_(bindparam("refs", refs, type_=ARRAY(Text)))
    return SealedSecret.ref.in_(refs)


def _in_place(statement: Any) -> Any:
    """An INSERT that replaces what was kept there."""
    return statement.on_conflict_do_update(
        index_elements=["tenant_id", "ref"],
        set_={"key_id": statement.excluded.key_id, "sealed": statement.excluded.sealed},
    )


def _refuse_malformed(ref: str) -> None:
    if len(ref) > REFERENCE_LENGTH or not REFERENCE.fullmatch(ref):
        raise SecretReferenceMalformed(len(ref))
