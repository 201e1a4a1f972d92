"""A lead's row, held by whoever changes it, and whether it may become a customer."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling.selling_errors import (
    LeadConverted,
    LeadDisqualified,
    LeadNotQualified,
    LeadUnknown,
)
from provisioning.commercial.selling.selling_tables import Lead


def lead_of(tenant_id: str, lead_id: int) -> Select[Lead]:
    """The question for one lead, as it stands in the database now."""
    return select(Lead).where(Lead.tenant_id == tenant_id, Lead.id == lead_id).execution_options(populate_existing=True)


async def lock_lead(db: AsyncSession, tenant_id: str, lead_id: int) -> Lead:
    """The lead, held until the transaction ends.

    Raises: LeadUnknown.
    """
    row = await db.scalar(lead_of(tenant_id, lead_id).with_for_update())
    if row is None:
        raise LeadUnknown(lead_id)
    return row


def refuse_unless_qualified(lead: Lead) -> None:
    """Raises: LeadNotQualified, LeadDisqualified, LeadConverted."""
    if lead.customer_id is not None:
        raise LeadConverted(lead.id, lead.customer_id)
    if lead.state == "disqualified":
        raise LeadDisqualified(lead.id, lead.reason)
    if lead.state != "qualified":
        raise LeadNotQualified(lead.id)
