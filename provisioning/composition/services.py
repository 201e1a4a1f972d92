"""Whatever reads and writes rows, bound to a transaction."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.ext.asyncio import AsyncSession

from acs import CampaignService, DeviceSettings, GenieAcsService, ProvisioningCodes
from ipam import AddressInventory, AddressLookup, NetworkService, PortBlocks
from provisioning.commercial import (
    BillingService,
    CommunicationsService,
    CrmService,
    CustomerService,
    DeploymentService,
    LicenseService,
    NotificationsService,
    OfferCatalogue,
    PartnerDomains,
    PartnerService,
    Quotes,
    SalesService,
    Teams,
    TicketingService,
)
from provisioning.commercial.payments import CardsOnFile
from provisioning.composition.parts import Parts, utc_now
from provisioning.line import LineService
from provisioning.projections import ALLOCATION, Projections
from provisioning.settings import Settings
from provisioning.surveys import SurveyDesk
from provisioning.under_way import refuse_under_way
from provisioning.webhooks import Webhooks
from radius import RadiusService, SubscriberImport, SubscriberVerbs
from workflows import Services


class WithServices(Parts):
    """The contract's services, and the single ones that doors ask beside them."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        super().__init__(settings, clock=clock)
        self.projections = Projections(
            self.database.read,
            self.projector,
            self.bulk_projector,
            self.giving_way,
            services=self.services,
            tenant_id=settings.tenant_id,
        )

    def services(self, db: AsyncSession) -> Services:
        """The contract's services, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return Services(
            customer_service=self.customers(db),
            crm_service=self._crm(db),
            sales_service=SalesService(db, **common),
            billing_service=BillingService(
                db, **common, zone=self.zone, cards=self.cards(db) if self.stripe is not None else None
            ),
            license_service=LicenseService(db, **common, secrets=self.vault),
            deployment_service=DeploymentService(
                db, **common, public_url=self.settings.public_url, zone=self.zone, ways=self.ways
            ),
            communications_service=CommunicationsService(
                db, **common, sender=self.settings.mail_from, templates=self.mail_templates, links=self.links
            ),
            notifications_service=NotificationsService(db, **common),
            ticketing_service=TicketingService(db, **common, moves=self.move_terms, ways=self.ways),
            partner_service=PartnerService(db, **common),
            line_service=LineService(db, **common),
            network_service=NetworkService(db, **common, username_realm=self.settings.username_realm),
            radius_service=RadiusService(db, **common, secrets=self.vault),
            genieacs_service=GenieAcsService(
                db,
                **common,
                templates=self.templates,
                secrets=self.vault,
                acs_by_node=self.settings.genieacs_by_node,
            ),
        )

    def device_settings(self, db: AsyncSession) -> DeviceSettings:
        """What CPEs are set to, and their overrides, bound to this transaction."""
        return DeviceSettings(db, tenant_id=self.tenant_id, now=self.clock, templates=self.templates)

    def provisioning_codes(self, db: AsyncSession) -> ProvisioningCodes:
        """By what CPEs prove who they are in their first session, within that transaction."""
        return ProvisioningCodes(db, tenant_id=self.tenant_id, now=self.clock, secrets=self.vault)

    def campaigns(self, db: AsyncSession) -> CampaignService:
        """Changes for many CPEs, bound to this transaction."""
        return CampaignService(db, tenant_id=self.tenant_id, now=self.clock, templates=self.templates)

    def subscriber_verbs(self, db: AsyncSession) -> SubscriberVerbs:
        """Changes of subscribers and how far their sessions have followed, bound to this transaction."""

        async def not_being_installed(service_id: int) -> None:
            await refuse_under_way(db, self.tenant_id, [service_id], steps=[ALLOCATION])

        return SubscriberVerbs(
            db, tenant_id=self.tenant_id, now=self.clock, secrets=self.vault, guard=not_being_installed
        )

    def subscriber_import(self, db: AsyncSession) -> SubscriberImport:
        """Lists of subscribers from elsewhere, bound to this transaction."""
        return SubscriberImport(db, tenant_id=self.tenant_id, now=self.clock, secrets=self.vault)

    def inventory(self, db: AsyncSession) -> AddressInventory:
        """Files of allocations, and the comparison with RADIUS, bound to this transaction."""
        realm = self.settings.username_realm
        return AddressInventory(db, tenant_id=self.tenant_id, now=self.clock, username_realm=realm)

    def port_blocks(self, db: AsyncSession) -> PortBlocks:
        """CGNAT's ports, bound to this transaction."""
        return PortBlocks(db, tenant_id=self.tenant_id, now=self.clock)

    def address_lookup(self, db: AsyncSession) -> AddressLookup:
        """What is asked about addresses, bound to this transaction."""
        return AddressLookup(db, tenant_id=self.tenant_id, now=self.clock)

    def licences(self, db: AsyncSession) -> LicenseService:
        """Licences, bound to this transaction."""
        return LicenseService(db, tenant_id=self.tenant_id, now=self.clock, secrets=self.vault)

    def customers(self, db: AsyncSession) -> CustomerService:
        """The customers, bound to this transaction."""
        return CustomerService(db, tenant_id=self.tenant_id, now=self.clock)

    def _crm(self, db: AsyncSession) -> CrmService:
        return CrmService(db, tenant_id=self.tenant_id, now=self.clock, zone=self.zone)

    def surveys(self, db: AsyncSession) -> SurveyDesk:
        """Site surveys, bound to this transaction."""
        return SurveyDesk(crm=self._crm(db), premises=self.services(db).network_service)

    def offers(self, db: AsyncSession) -> OfferCatalogue:
        """The commercial catalogue, bound to this transaction."""
        return OfferCatalogue(db, tenant_id=self.tenant_id)

    def quotes(self, db: AsyncSession) -> Quotes:
        """Quotes up to their acceptance, bound to this transaction."""
        return Quotes(db, tenant_id=self.tenant_id, now=self.clock)

    def sales(self, db: AsyncSession) -> SalesService:
        """Orders, bound to this transaction."""
        return SalesService(db, tenant_id=self.tenant_id, now=self.clock)

    def cards(self, db: AsyncSession) -> CardsOnFile:
        """The customers' stored cards, bound to this transaction."""
        return CardsOnFile(db, secrets=self.vault, tenant_id=self.tenant_id)

    def teams(self, db: AsyncSession) -> Teams:
        """The ISP's teams, bound to this transaction."""
        return Teams(db, tenant_id=self.tenant_id, vault=self.vault, allowed=self.settings.notice_schemas)

    def webhooks(self, db: AsyncSession) -> Webhooks:
        """Whom to tell of changes, bound to this transaction."""
        return Webhooks(db, tenant_id=self.tenant_id, now=self.clock, vault=self.vault, targets=self.targets)

    def partner_domains(self, db: AsyncSession) -> PartnerDomains:
        """The host names of partners, bound to this transaction."""
        own_host = urlsplit(self.settings.public_url or "").hostname or ""
        return PartnerDomains(
            db, tenant_id=self.tenant_id, now=self.clock, own_host=own_host, patience=self.domain_patience
        )
