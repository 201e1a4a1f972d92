"""Where the parts of an appliance are put together: settings become values, and no part is handed the settings.

Every process opens one. What moves runs besides is put together in ``worker``, what answers HTTP in ``serving``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from acs import (
    CampaignService,
    CampaignTurns,
    CustomerWishes,
    Desks,
    DeviceMoving,
    DeviceOperations,
    DeviceReadings,
    DeviceSettings,
    GenieAcsService,
    TemplateLibrary,
)
from ipam import AddressInventory, AddressLookup, NetworkService, NetworkUpkeep, PortBlocks
from provisioning.access import Caller, forget_old_keys, forget_old_sessions
from provisioning.addresses import AddressDesk
from provisioning.attention import AttentionDesk, Work
from provisioning.campaigns import Teller
from provisioning.commercial import (
    BillingService,
    CommunicationsService,
    CrmService,
    CustomerService,
    DeploymentService,
    Leads,
    LicenseService,
    NotificationsService,
    OfferCatalogue,
    PartnerService,
    Quotes,
    SalesService,
    Teams,
    TenantDirectory,
    TicketDesk,
    TicketingService,
    announce_expiring,
)
from provisioning.commercial.payments import (
    CardsOnFile,
    webhook_readers,
)
from provisioning.configured import (
    acs_fleet,
    acs_names,
    definitions_of,
    isp_name,
    mail_templates,
    stripe_settings,
)
from provisioning.data_caps import billed_plan, billing_days, tell_lifted, tell_of_cap
from provisioning.database import Database, sync_url
from provisioning.days import day_of
from provisioning.device_desk import DeviceDesk
from provisioning.dispatch import DispatchDesk
from provisioning.ended_terms import EndedTerms
from provisioning.field import Feeds, Planning
from provisioning.field_desk import FieldDesk
from provisioning.figures import FiguresDesk
from provisioning.found_onts import FoundOntDesk
from provisioning.line import LineService
from provisioning.lines import LineDesk
from provisioning.links import SignedLinks
from provisioning.nas_desk import NasDesk
from provisioning.onboarding import OnboardingDesk, OnboardingTerms
from provisioning.order_visits import OrderVisits
from provisioning.orders import OrderDesk
from provisioning.partners import PartnerDesk
from provisioning.payments import PaymentDesk
from provisioning.photo_files import PhotoFiles
from provisioning.pool_levels import tell_levels
from provisioning.projections import ALLOCATION, Projections
from provisioning.quotes import QuoteDesk
from provisioning.run_desk import RunDesk
from provisioning.search import USUAL_HITS, Lines, Papers, SearchDesk
from provisioning.session_counts import note_open_sessions
from provisioning.settings import Settings
from provisioning.sight import Sight, sight_of
from provisioning.signals import SignalDesk
from provisioning.silent_nases import tell_silence
from provisioning.starters import Starters
from provisioning.subscriber_desk import SubscriberDesk
from provisioning.terminations import TerminationDesk
from provisioning.tickets import InstallationDesk
from provisioning.truth import Timeline, TruthDesk
from provisioning.under_way import refuse_under_way
from provisioning.vault import SecretVault, load_keyring
from provisioning.visits import VisitDesk
from provisioning.webhooks import FactRecorder, Targets, Webhooks
from radius import (
    BulkProjector,
    CapCrossing,
    DataCaps,
    Diagnoses,
    DiagnosisTerms,
    LoginLog,
    PlanChanges,
    RadiusProjector,
    RadiusService,
    Retransmission,
    SessionChanges,
    SessionLooks,
    SessionLosses,
    SessionReader,
    StationBook,
    StationLooks,
    SubscriberImport,
    SubscriberRows,
    SubscriberVerbs,
    UsageLooks,
)
from workflows import (
    Bell,
    Events,
    Runs,
    Services,
)


def utc_now() -> datetime:
    return datetime.now(UTC)


class Appliance:
    """What every process needs: databases, services, doors. Opened by `open_appliance`; a worker needs more."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.tenant_id = settings.tenant_id
        self.clock = clock
        self.definitions = definitions_of(settings)
        self.database = Database(settings.database_url, tenant_id=settings.tenant_id)
        self.radius_database = Database(settings.radius_database_url, schema=settings.radius_database_schema)
        self.database.hear(FactRecorder(tenant_id=settings.tenant_id, now=clock))
        self.keyring = load_keyring(settings.sealing_key_file)
        self.vault = SecretVault(self.keyring, tenant_id=settings.tenant_id)
        self.stripe = stripe_settings(settings)
        self.webhook_readers = webhook_readers(stripe=self.stripe)
        self.templates = TemplateLibrary.load()
        self.zone = ZoneInfo(settings.time_zone)
        self.isp_name = isp_name(settings)
        self.tenant_pages = TenantDirectory(
            tenant_id=settings.tenant_id, isp_name=self.isp_name, language=settings.mail_language
        )
        self.mail_templates = mail_templates(settings)
        self.links = SignedLinks(self.vault, tenant_id=settings.tenant_id, now=clock, public_url=settings.public_url)
        self.sessions = SessionReader(self.radius_database.begin)
        self.logins = LoginLog(self.radius_database.read, self.radius_database.begin)
        self.session_looks = SessionLooks(self.radius_database.read, tenant_id=settings.tenant_id, now=clock)
        self.stations = StationLooks(self.radius_database.read, tenant_id=settings.tenant_id)
        self.usage_looks = UsageLooks(self.radius_database.read, tenant_id=settings.tenant_id)
        self.targets = Targets(tuple(ip_network(each) for each in settings.webhook_private_networks))
        self.bell = Bell(sync_url(self.database.url), tenant_id=settings.tenant_id)
        self.runs = Runs(definitions=self.definitions, doorbell=self.bell, clock=clock, tenant_id=settings.tenant_id)
        self.events = Events(
            definitions=self.definitions,
            runs=self.runs,
            clock=clock,
            tenant_id=settings.tenant_id,
            starters=Starters(
                installations=self.desk,
                onboardings=self.onboarding_desk,
                orders=self.order_desk,
                terminations=self.termination_desk,
                said_of_orders={
                    "payment_method": settings.order_payment_method,
                    "priority": settings.order_priority,
                    "team": settings.order_team,
                    "channel": settings.order_channel,
                },
            ).by_event(),
        )
        self.projector = RadiusProjector(
            self.database.begin,
            self.radius_database.begin,
            tenant_id=settings.tenant_id,
            now=clock,
            secrets=self.vault,
        )
        self.bulk_projector = BulkProjector(
            self.database.begin,
            self.radius_database.begin,
            projector=self.projector,
            tenant_id=settings.tenant_id,
            now=clock,
            secrets=self.vault,
            read=self.database.read,
        )
        self.projections = Projections(
            self.database.read,
            self.projector,
            self.bulk_projector,
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
            deployment_service=DeploymentService(db, **common, public_url=self.settings.public_url, zone=self.zone),
            communications_service=CommunicationsService(
                db, **common, sender=self.settings.mail_from, templates=self.mail_templates, links=self.links
            ),
            notifications_service=NotificationsService(db, **common),
            ticketing_service=TicketingService(db, **common),
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

    def desk(self, db: AsyncSession) -> InstallationDesk:
        """The door for installation tickets, bound to this transaction."""
        return InstallationDesk(
            db,
            services=self.services(db),
            runs=self.runs,
            events=self.events,
            templates=self.templates,
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def termination_desk(self, db: AsyncSession) -> TerminationDesk:
        """The door for services that are to end, bound to this transaction."""
        return TerminationDesk(
            db,
            services=self.services(db),
            runs=self.runs,
            events=self.events,
            definitions=self.definitions,
            tenant_id=self.tenant_id,
            now=self.clock,
            zone=self.zone,
            team=self.settings.termination_team,
        )

    def address_desk(self, db: AsyncSession) -> AddressDesk:
        """The door for what changes a live service's addresses, bound to this transaction."""
        return AddressDesk(
            db,
            services=self.services(db),
            verbs=self.subscriber_verbs(db),
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def subscriber_desk(self, db: AsyncSession) -> SubscriberDesk:
        """The door for what is done to subscribers that are served, bound to this transaction."""
        services = self.services(db)
        return SubscriberDesk(
            radius=services.radius_service,
            verbs=self.subscriber_verbs(db),
            cpes=services.genieacs_service,
            network=self.network_upkeep(db),
            addresses=services.network_service,
            period_of=lambda service_id: self.data_caps.period_of(db, service_id),
            used_of=self.data_caps.used_of,
            billed_plan=lambda service_id: billed_plan(db, self.tenant_id, service_id),
            tell_lifted=lambda done: tell_lifted(db, self.publish, done["subscriber"], done["change"]),
        )

    @property
    def data_caps(self) -> DataCaps:
        """What was used of data caps, and bringing subscribers to what their plans say of it."""

        async def days(db: AsyncSession, service_ids: Collection[int]) -> Mapping[int, int]:
            return await billing_days(db, self.tenant_id, service_ids)

        async def tell(db: AsyncSession, crossing: CapCrossing) -> None:
            await tell_of_cap(db, self.publish, crossing)

        return DataCaps(
            self.database.begin,
            self.radius_database.read,
            read=self.database.read,
            tenant_id=self.tenant_id,
            now=self.clock,
            secrets=self.vault,
            zone=self.zone,
            billing_days=days,
            tell=tell,
        )

    def campaigns(self, db: AsyncSession) -> CampaignService:
        """Changes for many CPEs, bound to this transaction."""
        return CampaignService(db, tenant_id=self.tenant_id, now=self.clock, templates=self.templates)

    def _campaign_desks(self, db: AsyncSession) -> Desks:
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "templates": self.templates}
        return Desks(devices=self.services(db).genieacs_service, operations=DeviceOperations(db, **common))

    @property
    def campaign_turns(self) -> CampaignTurns:
        """What carries campaigns on."""
        return CampaignTurns(
            self.database.begin,
            tenant_id=self.tenant_id,
            now=self.clock,
            zone=self.zone,
            desks=self._campaign_desks,
            told=Teller(self.publish),
        )

    def device_desk(self, db: AsyncSession) -> DeviceDesk:
        """The door for what is done to CPEs, bound to this transaction."""
        services = self.services(db)
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "templates": self.templates}
        return DeviceDesk(
            db,
            operations=DeviceOperations(db, **common),
            wishes=CustomerWishes(db, **common, secrets=self.vault, devices=services.genieacs_service),
            moving=DeviceMoving(db, tenant_id=self.tenant_id, now=self.clock, configured=acs_names(self.settings)),
            devices=services.genieacs_service,
            lines=LineService(db, tenant_id=self.tenant_id, now=self.clock),
            tenant_id=self.tenant_id,
        )

    def nas_desk(self, db: AsyncSession) -> NasDesk:
        """The door for single NASes, bound to this transaction."""
        radius = self.services(db).radius_service
        return NasDesk(db, radius=radius, vault=self.vault, tenant_id=self.tenant_id, now=self.clock)

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

    @property
    def plan_changes(self) -> PlanChanges:
        """What open sessions have not been told of their plan."""
        return PlanChanges(self.database.begin, self.radius_database.begin, tenant_id=self.tenant_id, now=self.clock)

    def session_changes(self, retransmission: Retransmission) -> SessionChanges:
        """What carries such changes to the sessions that are open."""
        return SessionChanges(
            self.database.begin,
            self.radius_database.begin,
            projector=self.projector,
            tenant_id=self.tenant_id,
            now=self.clock,
            secrets=self.vault,
            retransmission=retransmission,
            read=self.database.read,
        )

    @property
    def diagnoses(self) -> Diagnoses:
        """What says of a subscriber why it can't log in; it only reads."""
        settings = self.settings
        return Diagnoses(
            self.database.read,
            self.radius_database.read,
            tenant_id=self.tenant_id,
            now=self.clock,
            secrets=self.vault,
            terms=DiagnosisTerms(
                kept_days=settings.login_keep_days,
                accounting_wait=timedelta(minutes=settings.accounting_wait_minutes),
                log_file=settings.radius_log_file,
            ),
        )

    def network_upkeep(self, db: AsyncSession) -> NetworkUpkeep:
        """What operators do to addresses under way, bound to this transaction."""
        return NetworkUpkeep(db, tenant_id=self.tenant_id, now=self.clock)

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

    @property
    def station_book(self) -> StationBook:
        """What keeps by MAC address who has logged in, as long as their sessions are kept."""
        days = self.settings.session_archive_days
        forgotten = None if days is None else timedelta(days=days)
        return StationBook(self.radius_database.begin, now=self.clock, kept=forgotten)

    def sight(self, db: AsyncSession, caller: Caller) -> Sight:
        """What a caller sees of what is found for everybody, bound to this transaction."""
        return sight_of(caller, db, tenant_id=self.tenant_id, now=self.clock)

    def search_desk(self, db: AsyncSession, sight: Sight, *, limit: int = USUAL_HITS) -> SearchDesk:
        """The door for whoever looks for something, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "sight": sight, "limit": limit}
        lines = Lines(
            db,
            **common,
            stations=self.stations,
            sessions=self.session_looks,
            addresses=self.address_lookup(db),
        )
        return SearchDesk(lines=lines, papers=Papers(db, **common), sight=sight, limit=limit)

    def truth_desk(self, db: AsyncSession, sight: Sight) -> TruthDesk:
        """The door to all that is known of one subscriber, bound to this transaction."""
        return TruthDesk(
            db,
            now=self.clock,
            sight=sight,
            desk=self.subscriber_desk(db),
            verbs=self.subscriber_verbs(db),
            devices=self.device_desk(db),
            rows=SubscriberRows(
                self.database.read,
                self.radius_database.read,
                tenant_id=self.tenant_id,
                now=self.clock,
                secrets=self.vault,
            ),
            sessions=self.session_looks,
            readings=self._readings,
        )

    def timeline(self, db: AsyncSession, sight: Sight) -> Timeline:
        """All that has happened to one subscriber, bound to this transaction."""
        return Timeline(
            db,
            tenant_id=self.tenant_id,
            sight=sight,
            desk=self.subscriber_desk(db),
            verbs=self.subscriber_verbs(db),
            devices=self.device_desk(db),
            logins=LoginLog(self.radius_database.read, self.radius_database.read),
            sessions=self.session_looks,
        )

    @asynccontextmanager
    async def _readings(self) -> AsyncIterator[DeviceReadings]:
        """What the ACSes have read, for the time of the block. Raises: SettingsRefused if there is none to ask."""
        async with acs_fleet(self.settings) as fleet:
            yield DeviceReadings(self.database.read, fleet, tenant_id=self.tenant_id, now=self.clock)

    def attention_desk(self, db: AsyncSession, sight: Sight) -> AttentionDesk:
        """The door to what needs a person, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return AttentionDesk(
            db,
            **common,
            sight=sight,
            work=Work(db, **common, zone=self.zone, definitions=self.definitions, sight=sight),
            addresses=self.address_lookup(db),
            pools=self.services(db).network_service,
            sessions=self.session_looks,
            losses=SessionLosses(self.radius_database.read, **common),
        )

    def figures_desk(self, db: AsyncSession, sight: Sight) -> FiguresDesk:
        """The door to the calm numbers, bound to this transaction."""
        return FiguresDesk(
            db,
            tenant_id=self.tenant_id,
            now=self.clock,
            sight=sight,
            pools=self.services(db).network_service,
            sessions=self.session_looks,
        )

    def licences(self, db: AsyncSession) -> LicenseService:
        """Licences, bound to this transaction."""
        return LicenseService(db, tenant_id=self.tenant_id, now=self.clock, secrets=self.vault)

    def visit_desk(self, db: AsyncSession) -> VisitDesk:
        """The door for reports from the field, bound to this transaction."""
        return VisitDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def dispatch_desk(self, db: AsyncSession) -> DispatchDesk:
        """Dispatch's door to the calendar, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "zone": self.zone}
        return DispatchDesk(db, runs=self.runs, services=self.services(db), **common)

    def field_desk(self, db: AsyncSession) -> FieldDesk:
        """The technician's door, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return FieldDesk(db, visit_desk=self.visit_desk(db), definitions=self.definitions, **common)

    @property
    def photos(self) -> PhotoFiles:
        """The pictures that were taken at visits."""
        return PhotoFiles(self.settings.photo_dir)

    def feeds(self, db: AsyncSession) -> Feeds:
        """Calendars for calendar programs, bound to this transaction."""
        return Feeds(db, tenant_id=self.tenant_id, now=self.clock, zone=self.zone)

    def planning(self, db: AsyncSession) -> Planning:
        """When technicians work, bound to this transaction."""
        return Planning(db, tenant_id=self.tenant_id, now=self.clock)

    @property
    def order_visits(self) -> OrderVisits:
        """What runs are told of the visits that they share."""
        database = self.database
        return OrderVisits(database.begin, read=database.read, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def run_desk(self, db: AsyncSession) -> RunDesk:
        """The desk for decisions about runs, bound to this transaction."""
        return RunDesk(
            db,
            runs=self.runs,
            definitions=self.definitions,
            tickets=TicketDesk(db, tenant_id=self.tenant_id, now=self.clock),
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def line_desk(self, db: AsyncSession) -> LineDesk:
        """The door for the OLT side's answers, bound to this transaction."""
        return LineDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def found_ont_desk(self, db: AsyncSession) -> FoundOntDesk:
        """The door for ONTs that the OLT shows, bound to this transaction."""
        services = self.services(db)
        return FoundOntDesk(
            db,
            visits=self.visit_desk(db),
            network=services.network_service,
            devices=services.genieacs_service,
            tenant_id=self.tenant_id,
            now=self.clock,
        )

    def signal_desk(self, db: AsyncSession) -> SignalDesk:
        """The door for everything else that is told to a run, bound to this transaction."""
        return SignalDesk(db, runs=self.runs)

    async def publish(
        self, db: AsyncSession, event_type: str, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> None:
        """Tells in this transaction what it makes happen."""
        await self.events.publish(db, event_type, subject=subject, data=data, key=key, by=by)

    def onboarding_desk(self, db: AsyncSession) -> OnboardingDesk:
        """The door for events that make customers, bound to this transaction."""
        return OnboardingDesk(
            db,
            services=self.services(db),
            runs=self.runs,
            leads=self.leads(db),
            offers=self.offers(db),
            tenant_id=self.tenant_id,
            terms=OnboardingTerms(team=self.settings.onboarding_team, public_url=self.settings.public_url),
        )

    def order_desk(self, db: AsyncSession) -> OrderDesk:
        """The door for orders, bound to this transaction."""
        return OrderDesk(db, crm=self._crm(db), runs=self.runs, tenant_id=self.tenant_id)

    def customers(self, db: AsyncSession) -> CustomerService:
        """The customers, bound to this transaction."""
        return CustomerService(db, tenant_id=self.tenant_id, now=self.clock)

    def _crm(self, db: AsyncSession) -> CrmService:
        return CrmService(db, tenant_id=self.tenant_id, now=self.clock, zone=self.zone)

    def offers(self, db: AsyncSession) -> OfferCatalogue:
        """The commercial catalogue, bound to this transaction."""
        return OfferCatalogue(db, tenant_id=self.tenant_id)

    def leads(self, db: AsyncSession) -> Leads:
        """The door for leads, bound to this transaction."""
        return Leads(db, tenant_id=self.tenant_id, now=self.clock, publish=self.publish)

    def quotes(self, db: AsyncSession) -> Quotes:
        """Quotes up to their acceptance, bound to this transaction."""
        return Quotes(db, tenant_id=self.tenant_id, now=self.clock)

    def sales(self, db: AsyncSession) -> SalesService:
        """Orders, bound to this transaction."""
        return SalesService(db, tenant_id=self.tenant_id, now=self.clock)

    def quote_desk(self, db: AsyncSession) -> QuoteDesk:
        """The door for acceptances, bound to this transaction."""
        return QuoteDesk(
            db,
            crm=self._crm(db),
            runs=self.runs,
            events=self.events,
            publish=self.publish,
            tenant_id=self.tenant_id,
            order_team=(self.settings.order_team, self.settings.order_channel),
        )

    def partner_desk(self, db: AsyncSession) -> PartnerDesk:
        """The door for partners' orders, bound to this transaction."""
        return PartnerDesk(
            db,
            publish=self.publish,
            tenant_id=self.tenant_id,
            now=self.clock,
            public_url=self.settings.public_url,
        )

    async def expire_quotes(self) -> None:
        """Ends the quotes whose time is over."""
        async with self.database.begin() as db:
            await self.quotes(db).expire_overdue()

    async def forget_old_keys(self) -> None:
        """Forgets the API's requests that nobody repeats any more, and sign-ins that have long been over."""
        async with self.database.begin() as db:
            await forget_old_keys(db, tenant_id=self.tenant_id, now=self.clock())
            await forget_old_sessions(db, tenant_id=self.tenant_id, now=self.clock())

    async def forget_old_logins(self) -> int:
        """Forgets the logins that nobody asks about any more."""
        return await self.logins.purge(self.clock() - timedelta(days=self.settings.login_keep_days))

    async def announce_expiring(self) -> None:
        """Tells of every subscription whose term ends soon, once for each end."""
        notice, told = timedelta(days=self.settings.renewal_notice_days), 1
        while told:
            async with self.database.begin() as db:
                now = self.clock()
                told = await announce_expiring(
                    db,
                    tenant_id=self.tenant_id,
                    until=day_of(now, self.zone) + notice,
                    now=now,
                    publish=self.publish,
                    by="clock",
                    zone=self.zone,
                )

    async def tell_pool_levels(self) -> int:
        """Tells of every pool that has begun to run low, or has room again."""
        return await tell_levels(self.database.begin, publish=self.publish, tenant_id=self.tenant_id, now=self.clock)

    async def tell_silent_nases(self) -> int:
        """Tells of every NAS from which no accounting comes any more, or comes again."""
        guards = await self.session_looks.guards()
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return await tell_silence(self.database.begin, guards, publish=self.publish, **common)

    async def note_open_sessions(self) -> int:
        """Writes down how many sessions are open, for the line of it on the first page."""
        guards = await self.session_looks.guards()
        return await note_open_sessions(self.database.begin, guards, tenant_id=self.tenant_id, now=self.clock)

    async def end_terms(self) -> int:
        """Ends every subscription whose term is over and was not renewed."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock, "zone": self.zone}
        terms = EndedTerms(self.database.begin, desk=self.termination_desk, publish=self.publish, **common)
        return await terms.sweep()

    def cards(self, db: AsyncSession) -> CardsOnFile:
        """The customers' stored cards, bound to this transaction."""
        return CardsOnFile(db, secrets=self.vault, tenant_id=self.tenant_id)

    def payment_desk(self, db: AsyncSession) -> PaymentDesk:
        """The door for settlements, bound to this transaction."""
        return PaymentDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def teams(self, db: AsyncSession) -> Teams:
        """The ISP's teams, bound to this transaction."""
        return Teams(db, tenant_id=self.tenant_id, vault=self.vault, allowed=self.settings.notice_schemas)

    def webhooks(self, db: AsyncSession) -> Webhooks:
        """Whom to tell of changes, bound to this transaction."""
        return Webhooks(db, tenant_id=self.tenant_id, now=self.clock, vault=self.vault, targets=self.targets)

    async def close(self) -> None:
        await self.bell.close()
        await self.radius_database.close()
        await self.database.close()


@asynccontextmanager
async def open_appliance(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Appliance]:
    """An appliance for the time of the block; nothing is started, no run is moved."""
    appliance = Appliance(settings, clock=clock)
    try:
        yield appliance
    finally:
        await appliance.close()
