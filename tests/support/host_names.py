"""Partners' host names whose DNS says that they are theirs."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import DomainUnresolved, PartnerDomains


class Dns:
    """What names hold; a name whose texts are an error does not answer."""

    def __init__(self) -> None:
        self.texts: dict[str, tuple[str, ...] | DomainUnresolved] = {}
        self.asked: list[str] = []

    async def __call__(self, name: str) -> tuple[str, ...]:
        self.asked.append(name)
        found = self.texts.get(name, ())
        if isinstance(found, DomainUnresolved):
            raise found
        return found


async def prove_host_name(db: AsyncSession, partner_id: int, domain: str, *, tenant_id: str, at: datetime) -> None:
    """As if the name's owner had put its proof there, and it was looked at."""
    domains = PartnerDomains(db, tenant_id=tenant_id, now=lambda: at)
    claimed = await domains.claim(partner_id=partner_id, domain=domain, by="nora")
    await domains.note(claimed["domain_id"], texts=[claimed["txt_value"]])
