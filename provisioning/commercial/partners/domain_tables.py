"""The table of the host names that partners have proven, or are about to prove, to be theirs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKeyConstraint, Index, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.partners.partner_tables import OF_A_PARTNER
from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

PROVEN = text("proven_at IS NOT NULL")


class PartnerDomain(ProvisioningBase):
    """A host name that a partner says is theirs. Once proven, customers' pages answer under it and what is below it.

    ``token`` is what the name's owner puts into its DNS; it is no secret, since everybody can read it there. A name is
    one partner's only, whichever ISP they sell for. ``missing_since``: the proof was not there any more, but still
    counts; ``lost_at``: it was withdrawn then, and ``proven_at`` with it.
    """

    __tablename__ = "partner_domain"
    __table_args__ = (
        ForeignKeyConstraint(*OF_A_PARTNER),
        Index("uq_partner_domain_claim", "tenant_id", "partner_id", "domain", unique=True),
        Index("uq_partner_domain_proven", "domain", unique=True, sqlite_where=PROVEN, postgresql_where=PROVEN),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    partner_id: Mapped[Reference]
    domain: Mapped[str] = mapped_column(Text)
    token: Mapped[str] = mapped_column(Text)
    claimed_at: Mapped[datetime]
    claimed_by: Mapped[str] = mapped_column(Text)
    looked_at: Mapped[datetime | None]
    fault: Mapped[str | None] = mapped_column(Text)
    proven_at: Mapped[datetime | None]
    missing_since: Mapped[datetime | None]
    lost_at: Mapped[datetime | None]
