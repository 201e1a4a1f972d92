"""A webhook's secrets in the vault: the one in force, and for a while after a change the one before it."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.signatures import new_secret
from provisioning.vault import SealedSecret, SecretMissing, SecretVault
from provisioning.webhooks.tables import Webhook


def secret_ref(webhook_id: int) -> str:
    """Where the vault keeps the secret in force."""
    return f"secret:webhook/{webhook_id}/current"


def previous_ref(webhook_id: int) -> str:
    """Where it keeps the one before."""
    return f"secret:webhook/{webhook_id}/previous"


async def secrets_of(db: AsyncSession, vault: SecretVault, webhook: Webhook, *, now: datetime) -> tuple[str, ...]:
    """What a message is signed with now, the newest secret first.

    Raises: VaultError.
    """
    current = await vault.reveal(db, secret_ref(webhook.id))
    if webhook.previous_secret_until is None or webhook.previous_secret_until <= now:
        return (current,)
    return current, await vault.reveal(db, previous_ref(webhook.id))


async def replace_secret(
    db: AsyncSession, vault: SecretVault, webhook: Webhook, *, now: datetime, keep: timedelta
) -> str:
    """A new secret in force; the one before signs beside it for as long as said.

    Raises: VaultError.
    """
    if keep > timedelta():
        await vault.seal(db, previous_ref(webhook.id), await vault.reveal(db, secret_ref(webhook.id)))
        webhook.previous_secret_until = now + keep
    else:
        await forget_previous(db, vault, webhook)
    secret = new_secret()
    await vault.seal(db, secret_ref(webhook.id), secret)
    return secret


async def secret_mark(db: AsyncSession, tenant_id: str, webhook_id: int) -> str:
    """What differs once another secret is in force (or the same is sealed anew), and tells nothing of it.

    Raises: SecretMissing.
    """
    ref = secret_ref(webhook_id)
    sealed = await db.scalar(
        select(SealedSecret.sealed).where(SealedSecret.tenant_id == tenant_id, SealedSecret.ref == ref)
    )
    if sealed is None:
        raise SecretMissing(ref)
    return hashlib.sha256(sealed).hexdigest()[:16]


async def forget_previous(db: AsyncSession, vault: SecretVault, webhook: Webhook) -> None:
    """From now on only the secret in force signs."""
    await vault.discard(db, previous_ref(webhook.id))
    webhook.previous_secret_until = None
