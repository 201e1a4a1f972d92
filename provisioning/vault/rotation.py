"""A new sealing key for every secret: add it, seal each row anew in small transactions, retire the old key last.

Killed anywhere, ``rotate`` is simply called again: it goes on with the key it had added, and rows under an older one
are found by their key's id. A key is retired only when no row needs it and it has been superseded for a while, so that
no transaction which began under it can still be open.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.vault.envelope import seal
from provisioning.vault.errors import SealingKeyUnknown, SecretTampered
from provisioning.vault.keyring import Keyring, add_key, changing_keyring, load_keyring, read_keyring
from provisioning.vault.secrets import open_sealed
from provisioning.vault.tables import SealedSecret

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

RETIRE_AFTER = timedelta(hours=1)
BATCH_ROWS = 200

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Rotation:
    """What a rotation did. ``unreadable`` rows are as before; ``kept`` keys are needed, or were until lately."""

    current: str
    resealed: int
    unreadable: tuple[str, ...]
    retired: tuple[str, ...]
    kept: tuple[str, ...]


async def rotate(begin: Begin, path: Path, *, now: Callable[[], datetime], batch_rows: int = BATCH_ROWS) -> Rotation:
    """Seal every secret of every tenant under a new key; safe to repeat, and to kill.

    Raises:
        VaultError: the keyring is gone, exposed or damaged.
    """
    if not read_keyring(path).rotation_is_open:
        key_id = add_key(path, now=now)
        log.info("sealing key added", key_id=key_id)
    keyring = load_keyring(path)
    resealed, unreadable = await reseal(begin, keyring, batch_rows=batch_rows)
    with changing_keyring(path) as stored:
        stored.keys[-1].sealed_all_at = now()
    retired = await retire_keys(begin, path, now=now)
    *older, current = read_keyring(path).keys
    return Rotation(current.id, resealed, unreadable, retired, tuple(key.id for key in older))


async def reseal(begin: Begin, keyring: Keyring, *, batch_rows: int = BATCH_ROWS) -> tuple[int, tuple[str, ...]]:
    """Seal every row that is under an older key anew, a batch a transaction.

    Returns how many were, and the references of rows that don't open and were left as they are.
    """
    resealed, last_id = 0, 0
    unreadable: list[str] = []
    while True:
        async with begin() as db:
            rows = await _batch(db, keyring.current().key_id, last_id, batch_rows)
            for row in rows:
                if await _reseal_row(db, keyring, row):
                    resealed += 1
                else:
                    unreadable.append(row.ref)
        if not rows:
            return resealed, tuple(unreadable)
        last_id = rows[-1].id
        log.info("secrets sealed anew", rows=len(rows), unreadable=len(unreadable))


async def retire_keys(
    begin: Begin, path: Path, *, now: Callable[[], datetime], after: timedelta = RETIRE_AFTER
) -> tuple[str, ...]:
    """Remove the keys that no row needs and that were superseded at least ``after`` ago; tell which.

    The age matters: a transaction that sealed under the old key just before it was superseded may not be visible yet.
    """
    in_use = await _keys_in_use(begin)
    with changing_keyring(path) as stored:
        limit = now() - after
        gone = [key for key in stored.keys if key.superseded_at and key.superseded_at <= limit and key.id not in in_use]
        stored.keys = [key for key in stored.keys if key not in gone]
    for key in gone:
        log.info("sealing key retired", key_id=key.id)
    return tuple(key.id for key in gone)


async def _batch(db: AsyncSession, current: str, last_id: int, rows: int) -> list[SealedSecret]:
    found = await db.scalars(
        select(SealedSecret)
        .where(SealedSecret.key_id != current, SealedSecret.id > last_id)
        .order_by(SealedSecret.id)
        .limit(rows)
        .with_for_update()
    )
    return list(found)


async def _reseal_row(db: AsyncSession, keyring: Keyring, row: SealedSecret) -> bool:
    try:
        plaintext = open_sealed(keyring, row.sealed, tenant_id=row.tenant_id, ref=row.ref)
    except (SecretTampered, SealingKeyUnknown) as refusal:
        log.warning("secret does not open, left as it is", ref=row.ref, code=refusal.code)
        return False
    key = keyring.current()
    sealed = seal(key, tenant_id=row.tenant_id, ref=row.ref, plaintext=plaintext)
    await db.execute(update(SealedSecret).where(SealedSecret.id == row.id).values(key_id=key.key_id, sealed=sealed))
    return True


async def _keys_in_use(begin: Begin) -> set[str]:
    async with begin() as db:
        return set(await db.scalars(select(SealedSecret.key_id).distinct()))
