"""A lead's row, held by whoever changes it."""

from __future__ import annotations

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling_errors import LeadUnknown
from provisioning.commercial.selling_tables import Lead


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
