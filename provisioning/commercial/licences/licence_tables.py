"""The tables of licences: what may be issued, what was issued to whom, and which keys sign it.

A licence key stands here in clear: it is a signed claim, a proof of purchase, and opens nothing by itself.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.tables import OF_A_CUSTOMER
from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId

LicenseState = Literal["active", "revoked"]


class LicenseTemplate(ProvisioningBase):
    """What a licence of this kind holds, under the number the ISP knows it by. ``valid_months`` None: without end."""

    __tablename__ = "license_template"
    __table_args__ = (
        CheckConstraint("seats > 0", name="seats"),
        CheckConstraint("valid_months > 0", name="valid_months"),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    seats: Mapped[int]
    valid_months: Mapped[int | None]
    features: Mapped[dict[str, Any]] = mapped_column(JSON)


class LicenseSigningKey(ProvisioningBase):
    """The public half of a key that signs licences; the private half is sealed under ``secret:licence_signing/<kid>``.

    One signs at a time. The others go on proving what they have signed.
    """

    __tablename__ = "license_signing_key"
    __table_args__ = (
        Index(
            "uq_license_signing_key_current",
            "tenant_id",
            unique=True,
            sqlite_where=text("superseded_at IS NULL"),
            postgresql_where=text("superseded_at IS NULL"),
        ),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    kid: Mapped[str] = mapped_column(Text, primary_key=True)
    public_key: Mapped[str] = mapped_column(Text)  # base64url of the 32 bytes (RFC 8032 s5.1.5)
    created_at: Mapped[datetime]
    superseded_at: Mapped[datetime | None]

    @property
    def private_key_ref(self) -> str:
        return f"secret:licence_signing/{self.kid}"


class License(ProvisioningBase):
    """One licence of one customer. ``valid_until`` is its last day (UTC); ``key`` is set in the issuing commit."""

    __tablename__ = "license"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("tenant_id", "template_id"), ("license_template.tenant_id", "license_template.id")),
        ForeignKeyConstraint(("tenant_id", "partner_id"), ("partner.tenant_id", "partner.id")),
        ForeignKeyConstraint(("allocation_id",), ("partner_pool_ledger.id",)),
        CheckConstraint("state IN ('active', 'revoked')", name="state"),
        CheckConstraint("(state = 'revoked') = (revoked_at IS NOT NULL)", name="revoked_at_when_revoked"),
        CheckConstraint("seats > 0", name="seats"),
        CheckConstraint("(partner_id IS NULL) = (allocation_id IS NULL)", name="allocation_of_a_partner"),
        Index("uq_license_key", "key", unique=True),
        Index("uq_license_request", "tenant_id", "request_id", unique=True),
        Index("ix_license_customer", "tenant_id", "customer_id"),
        Index("ix_license_allocation", "allocation_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    customer_id: Mapped[Reference]
    template_id: Mapped[Reference]
    seats: Mapped[int]
    state: Mapped[LicenseState] = mapped_column(Text)
    valid_from: Mapped[datetime]
    valid_until: Mapped[date | None]
    key: Mapped[str | None] = mapped_column(Text)  # the claim names the row's number, which the insert gives
    partner_id: Mapped[Reference | None]
    allocation_id: Mapped[Reference | None]
    revoked_at: Mapped[datetime | None]
    revoke_reason: Mapped[str | None] = mapped_column(Text)
    request_id: Mapped[str | None] = mapped_column(Text)
