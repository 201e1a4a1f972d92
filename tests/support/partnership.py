"""An ISP that sells through partners: templates, two partners, a customer of its own and technicians."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    CommissionTerms,
    CustomerService,
    DeploymentService,
    LicenseService,
    LicenseTemplates,
    Partners,
    PartnerService,
)
from provisioning.commercial.mails.delivery import Begin
from provisioning.field import Technicians
from provisioning.intake import Clock
from provisioning.vault import SecretVault, create_keyring, load_keyring

TENANT = "north"
NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
YEARLY, ENDLESS = 1, 2
SHARE, FIXED = 21, 22  # partners
OWN_CUSTOMER = 42
BRAND = {"name": "Nordnetz", "colours": {"primary": "#0b5d3b"}}
CUSTOMER = {"name": "Ada Byron", "email": "ada@example.com"}


class Partnership:
    """The services of that ISP at a moment of one's choice."""

    def __init__(self, begin: Begin, vault: SecretVault) -> None:
        self.begin = begin
        self.vault = vault

    def license(self, db: AsyncSession, now: datetime = NOW) -> LicenseService:
        return LicenseService(db, **_bound(now), secrets=self.vault)

    def partners(self, db: AsyncSession, now: datetime = NOW) -> PartnerService:
        return PartnerService(db, **_bound(now))

    def customers(self, db: AsyncSession, now: datetime = NOW) -> CustomerService:
        return CustomerService(db, **_bound(now))

    def deployment(self, db: AsyncSession, now: datetime = NOW, zone: str = "UTC", **more: Any) -> DeploymentService:
        url = "https://isp.example"
        return DeploymentService(db, **_bound(now), public_url=url, zone=ZoneInfo(zone), **more)

    async def brings(self, partner_id: int = SHARE, licenses: int = 0, name: str = "Ada Byron") -> int:
        """The partner brings a customer with so many licences; the customer's number."""
        async with self.begin() as db:
            brought = await self.customers(db).create_partner_customer(
                partner_id=partner_id, customer_data={"name": name, "email": "ada@example.com"}
            )
            if licenses:
                await self.license(db).allocate_from_partner(
                    partner_id=partner_id, customer_id=brought["customer_id"], license_count=licenses
                )
        return brought["customer_id"]


async def make_partnership(begin: Begin, folder: Path) -> Partnership:
    """Partner 21 has 5 licences and earns 12.5 %, partner 22 has none and earns 25.00 EUR."""
    create_keyring(folder / "sealing-key.json", now=lambda: NOW)
    vault = SecretVault(load_keyring(folder / "sealing-key.json"), tenant_id=TENANT)
    async with begin() as db:
        templates = LicenseTemplates(db, tenant_id=TENANT)
        await templates.define(license_template_id=YEARLY, name="Ten seats", seats=10, valid_months=12)
        await templates.define(license_template_id=ENDLESS, name="Three seats", seats=3)
        for partner_id, name, quota, commission in (
            (SHARE, "Nordnetz", 5, CommissionTerms("percentage", "EUR", basis_points=1250)),
            (FIXED, "Südnetz", 0, CommissionTerms("fixed", "EUR", fixed_minor=2500)),
        ):
            await Partners(db, **_bound(NOW)).register(
                partner_id=partner_id,
                name=name,
                email="orders@partner.example",
                license_template_id=YEARLY,
                license_quota=quota,
                commission=commission,
            )
        await CustomerService(db, **_bound(NOW)).register(name="Own", email="own@example.com", customer_id=OWN_CUSTOMER)
        for number, technician in ((1, "Tom"), (2, "Uma")):
            await Technicians(db, tenant_id=TENANT).register(technician_id=number, name=technician)
    return Partnership(begin, vault)


def _bound(now: datetime) -> dict[str, Any]:
    clock: Clock = lambda: now  # noqa: E731 - a clock that stands
    return {"tenant_id": TENANT, "now": clock}
