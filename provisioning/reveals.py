"""Telling a secret to a person: never without a name and a reason, and both are kept."""

from __future__ import annotations

from datetime import datetime

import structlog
from sqlalchemy import Index, String, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.intake import Faults
from provisioning.tables import ProvisioningBase, RowId, TenantId
from provisioning.vault import OnlyHashKept, SecretMissing, SecretVault
from radius import hash_ref_beside

log = structlog.get_logger(__name__)


class SecretReveal(ProvisioningBase):
    """One telling of one secret. Append-only; the value is not in it."""

    __tablename__ = "secret_reveal"
    __table_args__ = (Index(None, "tenant_id", "ref"),)

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    ref: Mapped[str] = mapped_column(String(200))
    revealed_at: Mapped[datetime]
    revealed_to: Mapped[str] = mapped_column(String(200))
    reason: Mapped[str] = mapped_column(String(500))


async def reveal_with_reason(
    db: AsyncSession, vault: SecretVault, ref: str, *, tenant_id: str, by: str, reason: str, at: datetime
) -> str:
    """The secret's value; who asked and why stands in the audit in the same transaction.

    Raises: InvalidRequest without a name or reason; SecretMissing, OnlyHashKept, SecretTampered, SealingKeyUnknown.
    """
    faults = Faults("The reveal")
    who, why = faults.line("by", by), faults.line("reason", reason, longest=500)
    faults.refuse_if_any()
    value = await _revealed(db, vault, ref)
    await db.execute(
        insert(SecretReveal).values(tenant_id=tenant_id, ref=ref, revealed_at=at, revealed_to=who, reason=why)
    )
    log.warning("secret revealed", ref=ref, by=who, reason=why)
    return value


async def _revealed(db: AsyncSession, vault: SecretVault, ref: str) -> str:
    """Raises: as ``reveal_with_reason``."""
    try:
        return await vault.reveal(db, ref)
    except SecretMissing as missing:
        instead = hash_ref_beside(ref)
        if instead is not None and await vault.reveal_many(db, [instead]):
            raise OnlyHashKept(ref) from missing
        raise
