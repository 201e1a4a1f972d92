"""Links of mails that nobody has opened in time."""

from __future__ import annotations

from datetime import timedelta

from provisioning.bootstrap import Appliance
from provisioning.links import SignedLinks
from workflows.answers import LinkPurpose, LinkTo

AGO = timedelta(hours=1)


async def expired_link(appliance: Appliance, purpose: LinkPurpose, subject: object) -> str:
    """One that was made an hour ago, for half an hour."""
    links = SignedLinks(
        appliance.vault,
        tenant_id=appliance.tenant_id,
        now=lambda: appliance.clock() - AGO,
        public_url=appliance.settings.public_url,
    )
    async with appliance.database.begin() as db:
        return await links.issue(db, LinkTo(purpose, str(subject), appliance.clock() - AGO / 2))
