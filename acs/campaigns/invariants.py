"""What must always hold for campaigns; asked as those of ``acs.invariants`` are."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from acs.campaigns.tables import AcsCampaign, AcsCampaignMember
from acs.invariants import Finding


async def campaigns_called_complete_too_early(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A campaign is complete when every CPE in it has ended."""
    rows = await db.execute(
        select(AcsCampaign.name, func.count())
        .join(AcsCampaignMember, AcsCampaignMember.campaign_id == AcsCampaign.id)
        .where(
            AcsCampaign.tenant_id == tenant_id,
            AcsCampaign.state == "completed",
            AcsCampaignMember.state.in_(("waiting", "under_way")),
        )
        .group_by(AcsCampaign.id, AcsCampaign.name)
        .order_by(AcsCampaign.id)
    )
    return [
        Finding(f"campaign {name}", f"Campaign {name} is called completed, but {count} of its CPEs have not ended.")
        for name, count in rows
    ]
