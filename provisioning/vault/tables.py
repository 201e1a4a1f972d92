"""One row a secret."""

from __future__ import annotations

from sqlalchemy import Index, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, RowId, TenantId


class SealedSecret(ProvisioningBase):
    """A sealed value under its reference; ``sealed`` holds version, key id, nonce, ciphertext and tag."""

    __tablename__ = "secret"
    __table_args__ = (UniqueConstraint("tenant_id", "ref"), Index(None, "key_id"))

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    ref: Mapped[str] = mapped_column(String(200))
    key_id: Mapped[str] = mapped_column(String(32))  # repeated from the envelope, to count what a key still seals
    sealed: Mapped[bytes] = mapped_column(LargeBinary)
