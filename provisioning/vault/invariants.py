"""What must always hold for sealed secrets, asked by ``firstlight check``: each of them opens."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.vault.errors import SealingKeyUnknown, SecretTampered
from provisioning.vault.keyring import Keyring
from provisioning.vault.secrets import open_sealed
from provisioning.vault.tables import SealedSecret


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: what about, and one plain sentence. Never a value."""

    subject: str
    sentence: str


async def secrets_that_do_not_open(db: AsyncSession, keyring: Keyring, *, tenant_id: str) -> list[Finding]:
    """Every sealed secret opens under a key of this machine's keyring, and stands where it was sealed."""
    found = await db.scalars(select(SealedSecret).where(SealedSecret.tenant_id == tenant_id).order_by(SealedSecret.ref))
    findings = []
    for row in found:
        try:
            open_sealed(keyring, row.sealed, tenant_id=tenant_id, ref=row.ref)
        except (SecretTampered, SealingKeyUnknown) as refusal:
            findings.append(Finding(row.ref, str(refusal)))
    return findings
