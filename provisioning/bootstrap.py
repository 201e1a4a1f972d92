"""The only composition: settings become an appliance whose parts know nothing of settings."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_network
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceConvergence, GenieAcsService, NbiClient, Patience, TemplateLibrary
from ipam import NetworkService
from provisioning.access import forget_old_keys
from provisioning.clock import Clock, Tick
from provisioning.commercial import (
    BillingService,
    CommunicationsService,
    CrmService,
    CustomerService,
    DeploymentService,
    Leads,
    LicenseService,
    MailDelivery,
    MailTemplates,
    NoticeDelivery,
    NotificationsService,
    OfferCatalogue,
    PartnerService,
    Quotes,
    SalesService,
    SmtpSettings,
    Teams,
    TenantDirectory,
    TenantProbe,
    TicketingService,
    announce_expiring,
)
from provisioning.commercial.payments import (
    CardsOnFile,
    PaymentCapture,
    StripeSettings,
    payment_gateways,
    webhook_readers,
)
from provisioning.database import Database, sync_url
from provisioning.errors import Fault, InvalidRequest
from provisioning.line import ANSWER_PATH, LineHandOver, LineService, LineWebhookSettings, line_adapters
from provisioning.lines import LineDesk
from provisioning.links import SignedLinks
from provisioning.onboarding import OnboardingDesk, OnboardingTerms
from provisioning.orders import OrderDesk
from provisioning.partners import PARTNER_CUSTOMER_CREATED, PartnerDesk
from provisioning.payments import PaymentDesk
from provisioning.projections import Projections
from provisioning.quotes import ACCEPTED as QUOTE_ACCEPTED
from provisioning.quotes import QuoteDesk
from provisioning.settings import Settings, SettingsRefused
from provisioning.signals import SignalDesk
from provisioning.sole_worker import sole_worker
from provisioning.terminations import TERMINATION_REQUESTED, TerminationDesk
from provisioning.tickets import InstallationDesk
from provisioning.vault import SecretVault, load_keyring
from provisioning.visits import VisitDesk
from provisioning.watchers import Watchers
from provisioning.webhooks import Deliveries, FactRecorder, Retention, Targets, Webhooks, WebhookSender
from radius import RadiusProjector, RadiusService, Retransmission, SessionControl, SessionReader
from workflows import (
    DEFINITIONS,
    Bell,
    Definition,
    Dispatch,
    EventRefused,
    Events,
    Interpreter,
    Outside,
    Runs,
    Services,
    nothing_happens,
)

INSTALLATION_APPROVED = "ticket.installation_approved"
LEAD_QUALIFIED = "lead.qualified"


@dataclass(frozen=True)
class Pace:
    """How often a worker looks, and how long it waits for one session of a CPE; a laboratory may be quicker."""

    timers_every_seconds: float = 0.5
    watch_every_seconds: float = 0.5
    notices_every_seconds: float = 2.0
    webhooks_every_seconds: float = 1.0
    purge_every_seconds: float = 3600.0
    heartbeat_every_seconds: float = 1.5
    lease_seconds: float = 6.0
    lost_every_seconds: float = 5.0
    catch_up_every_seconds: float = 30.0
    expire_every_seconds: float = 60.0
    apply_script_every_seconds: float = 600.0
    cpe_patience: Patience = field(default_factory=Patience)
    nas_retransmission: Retransmission = field(default_factory=Retransmission)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep  # between looks at the ACS


def utc_now() -> datetime:
    return datetime.now(UTC)


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Whose certificates count for HTTPS: read once in a process, since it takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)


class Appliance:
    """What every process needs: databases, services, doors. Opened by `open_appliance`; a worker needs more."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.tenant_id = settings.tenant_id
        self.clock = clock
        self.definitions = _definitions(settings)
        self.database = Database(settings.database_url)
        self.radius_database = Database(settings.radius_database_url, schema=settings.radius_database_schema)
        self.database.hear(FactRecorder(tenant_id=settings.tenant_id, now=clock))
        self.keyring = load_keyring(settings.sealing_key_file)
        self.vault = SecretVault(self.keyring, tenant_id=settings.tenant_id)
        self.stripe = _stripe(settings)
        self.webhook_readers = webhook_readers(stripe=self.stripe)
        self.templates = TemplateLibrary.load()
        self.zone = ZoneInfo(settings.time_zone)
        self.isp_name = _isp_name(settings)
        self.tenant_pages = TenantDirectory(
            tenant_id=settings.tenant_id, isp_name=self.isp_name, language=settings.mail_language
        )
        self.mail_templates = mail_templates(settings)
        self.links = SignedLinks(self.vault, tenant_id=settings.tenant_id, now=clock, public_url=settings.public_url)
        self.sessions = SessionReader(self.radius_database.begin)
        self.targets = Targets(tuple(ip_network(each) for each in settings.webhook_private_networks))
        self.bell = Bell(sync_url(self.database.url), tenant_id=settings.tenant_id)
        self.runs = Runs(definitions=self.definitions, doorbell=self.bell, clock=clock, tenant_id=settings.tenant_id)
        self.events = Events(
            definitions=self.definitions,
            runs=self.runs,
            clock=clock,
            tenant_id=settings.tenant_id,
            starters={
                INSTALLATION_APPROVED: self._start_installation,
                LEAD_QUALIFIED: self._start_onboarding,
                PARTNER_CUSTOMER_CREATED: self._start_provisioning,
                QUOTE_ACCEPTED: self._start_order,
                TERMINATION_REQUESTED: self._start_termination,
            },
        )
        self.projector = RadiusProjector(
            self.database.begin,
            self.radius_database.begin,
            tenant_id=settings.tenant_id,
            now=clock,
            secrets=self.vault,
        )
        self.projections = Projections(
            self.database.read, self.projector, services=self.services, tenant_id=settings.tenant_id
        )

    def services(self, db: AsyncSession) -> Services:
        """The contract's services, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return Services(
            customer_service=CustomerService(db, **common),
            crm_service=CrmService(db, **common),
            sales_service=SalesService(db, **common),
            billing_service=BillingService(db, **common, cards=self.cards(db) if self.stripe is not None else None),
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
            genieacs_service=GenieAcsService(db, **common, templates=self.templates, secrets=self.vault),
        )

    def desk(self, db: AsyncSession) -> InstallationDesk:
        """The door for installation tickets, bound to this transaction."""
        return InstallationDesk(
            db,
            services=self.services(db),
            runs=self.runs,
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
            definitions=self.definitions,
            tenant_id=self.tenant_id,
            now=self.clock,
            zone=self.zone,
        )

    def visit_desk(self, db: AsyncSession) -> VisitDesk:
        """The door for reports from the field, bound to this transaction."""
        return VisitDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def line_desk(self, db: AsyncSession) -> LineDesk:
        """The door for the OLT side's answers, bound to this transaction."""
        return LineDesk(db, runs=self.runs, tenant_id=self.tenant_id, now=self.clock)

    def signal_desk(self, db: AsyncSession) -> SignalDesk:
        """The door for everything else that is told to a run, bound to this transaction."""
        return SignalDesk(db, runs=self.runs)

    async def publish(
        self, db: AsyncSession, event_type: str, subject: str, data: Mapping[str, Any], key: str, by: str
    ) -> None:
        """Tells in this transaction what it makes happen."""
        await self.events.publish(db, event_type, subject=subject, data=data, key=key, by=by)

    async def _start_installation(self, db: AsyncSession, data: Any, by: str) -> int:
        """An installation ticket that comes as an event goes through the same door as any other."""
        try:
            return (await self.desk(db).accept(data, by=by)).run_id
        except InvalidRequest as refusal:
            raise EventRefused(str(refusal)) from refusal

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

    async def _start_onboarding(self, db: AsyncSession, data: Any, by: str) -> int:
        return await _unless_refused(self.onboarding_desk(db).lead_qualified(data, by=by))

    async def _start_provisioning(self, db: AsyncSession, data: Any, by: str) -> int:
        return await _unless_refused(self.onboarding_desk(db).partner_customer_created(data, by=by))

    async def _start_order(self, db: AsyncSession, data: Any, by: str) -> int:
        """An acceptance becomes an order in the way that this ISP carries its orders out."""
        settings = self.settings
        said: dict[str, Any] = {"payment_method": settings.order_payment_method, "priority": settings.order_priority}
        if settings.order_team is not None:
            said |= {"team": settings.order_team, "channel": settings.order_channel}
        desk = OrderDesk(db, crm=self.services(db).crm_service, runs=self.runs, tenant_id=self.tenant_id)
        return await desk.begin(data, unless_said=said, by=by)

    async def _start_termination(self, db: AsyncSession, data: Any, by: str) -> int:
        """The end of a service goes through the same door as well."""
        try:
            return (await self.termination_desk(db).accept(data, by=by)).run_id
        except InvalidRequest as refusal:
            raise EventRefused(str(refusal)) from refusal

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
        crm = CrmService(db, tenant_id=self.tenant_id, now=self.clock)
        return QuoteDesk(db, crm=crm, runs=self.runs, publish=self.publish, tenant_id=self.tenant_id)

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
        """Forgets the API's requests that nobody repeats any more."""
        async with self.database.begin() as db:
            await forget_old_keys(db, tenant_id=self.tenant_id, now=self.clock())

    async def announce_expiring(self) -> None:
        """Tells of every subscription whose term ends soon, once for each end."""
        notice, told = timedelta(days=self.settings.renewal_notice_days), 1
        while told:
            async with self.database.begin() as db:
                now = self.clock()
                told = await announce_expiring(
                    db,
                    tenant_id=self.tenant_id,
                    until=now.date() + notice,
                    now=now,
                    publish=self.publish,
                    by="clock",
                )

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


async def _unless_refused(starting: Awaitable[int]) -> int:
    """The run that a door starts for an event.

    Raises: EventRefused with what the door says.
    """
    try:
        return await starting
    except InvalidRequest as refusal:
        raise EventRefused(str(refusal)) from refusal


@dataclass(frozen=True)
class Worker:
    """The part of an appliance that moves runs: what it talks to outside, its dispatch, its clock."""

    outside: Outside
    dispatch: Dispatch
    watchers: Watchers
    clock: Clock


@asynccontextmanager
async def open_appliance(settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> AsyncIterator[Appliance]:
    """An appliance for the time of the block; nothing is started, no run is moved."""
    appliance = Appliance(settings, clock=clock)
    try:
        yield appliance
    finally:
        await appliance.close()


@asynccontextmanager
async def open_worker(
    appliance: Appliance, *, at: Callable[[str], None] = nothing_happens, pace: Pace | None = None
) -> AsyncIterator[Worker]:
    """Moves runs for the time of the block: dispatch, watchers, timers.

    Raises: SettingsRefused if there is no ACS to talk to; WorkerRunning if SQLite has its one worker already;
    CodeMissing if open runs need code that isn't here.
    """
    pace = pace or Pace()
    async with AsyncExitStack() as stack:
        stack.enter_context(sole_worker(appliance.database.url, tenant_id=appliance.tenant_id))
        outside = await _outside(appliance, stack, pace)
        interpreter: Interpreter[Services, Outside] = Interpreter(
            begin=appliance.database.begin,
            services=appliance.services,
            outside=outside,
            definitions=appliance.definitions,
            clock=appliance.clock,
            tenant_id=appliance.tenant_id,
            at=at,
        )
        dispatch = Dispatch(
            url=sync_url(appliance.database.url),
            begin=appliance.database.begin,
            interpreter=interpreter,
            runs=appliance.runs,
            bell=appliance.bell,
            definitions=appliance.definitions,
            clock=appliance.clock,
            tenant_id=appliance.tenant_id,
            lease=timedelta(seconds=pace.lease_seconds),
        )
        watchers = Watchers(
            begin=appliance.database.begin,
            runs=appliance.runs,
            acs=outside.acs,
            sessions=appliance.sessions,
            tenant_id=appliance.tenant_id,
        )
        notices = NoticeDelivery(
            appliance.database.begin,
            tenant_id=appliance.tenant_id,
            now=appliance.clock,
            vault=appliance.vault,
            smtp=_smtp(appliance.settings),
            allowed=appliance.settings.notice_schemas,
        )
        stack.push_async_callback(notices.stop)
        told = await _webhook_ticks(appliance, stack, pace)
        clock = Clock([*_ticks(appliance, dispatch, watchers, outside, pace), *_notice_ticks(notices, pace), *told])
        await dispatch.open()
        stack.push_async_callback(dispatch.close)
        clock.start()
        stack.push_async_callback(clock.stop)
        yield Worker(outside, dispatch, watchers, clock)


async def _outside(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> Outside:
    settings = appliance.settings
    if settings.genieacs_nbi_url is None:
        raise SettingsRefused([Fault("FIRSTLIGHT_GENIEACS_NBI_URL", "is needed by a worker: where GenieACS answers")])
    nbi = await stack.enter_async_context(
        NbiClient(settings.genieacs_nbi_url, tls=trusted_authorities(), sleep=pace.sleep)
    )
    http = await stack.enter_async_context(httpx.AsyncClient(verify=trusted_authorities(), trust_env=False))
    common: dict[str, Any] = {"tenant_id": appliance.tenant_id, "now": appliance.clock}
    adapters = line_adapters(
        vendor=settings.olt_vendor,
        vendor_by_node=settings.olt_vendor_by_node,
        http=http,
        olt_http_url=settings.olt_http_url,
        olt_http_timeout_seconds=settings.olt_http_timeout_seconds,
        webhook=_line_webhook(settings),
        now=appliance.clock,
    )
    begin = appliance.database.begin
    return Outside(
        radius=appliance.projector,
        acs=DeviceConvergence(
            begin, nbi, **common, secrets=appliance.vault, sleep=pace.sleep, patience=pace.cpe_patience
        ),
        line=LineHandOver(begin, adapters, **common, adapter=settings.line_adapter),
        mail=MailDelivery(begin, smtp=_smtp(settings), **common),
        sessions=appliance.sessions,
        sessions_control=SessionControl(
            begin,
            appliance.radius_database.begin,
            **common,
            secrets=appliance.vault,
            retransmission=pace.nas_retransmission,
            sleep=pace.sleep,
        ),
        payments=PaymentCapture(
            begin, payment_gateways(http, stripe=appliance.stripe), **common, secrets=appliance.vault
        ),
        tenants=TenantProbe(http, now=appliance.clock),
    )


def _line_webhook(settings: Settings) -> LineWebhookSettings | None:
    secret = settings.line_webhook_secret()
    if settings.line_webhook_url is None or secret is None:
        return None
    return LineWebhookSettings(
        url=settings.line_webhook_url,
        secret=secret.get_secret_value(),
        answer_url=f"{settings.public_url}{ANSWER_PATH}" if settings.public_url else None,
        timeout_seconds=settings.line_webhook_timeout_seconds,
    )


def _stripe(settings: Settings) -> StripeSettings | None:
    secrets = settings.stripe_secrets()
    if secrets is None:
        return None
    api_key, webhook_secret = (secret.get_secret_value() for secret in secrets)
    return StripeSettings(
        api_key=api_key,
        webhook_secret=webhook_secret,
        url=settings.stripe_url,
        timeout_seconds=settings.stripe_timeout_seconds,
    )


def _smtp(settings: Settings) -> SmtpSettings:
    password = settings.smtp_password()
    return SmtpSettings(
        host=settings.smtp_host,
        port=settings.smtp_port,
        sender=settings.mail_from,
        tls=settings.smtp_tls,
        username=settings.smtp_user,
        password=password.get_secret_value() if password else None,
        timeout_seconds=settings.smtp_timeout_seconds,
        answer_timeout_seconds=settings.smtp_answer_timeout_seconds,
    )


def _ticks(appliance: Appliance, dispatch: Dispatch, watchers: Watchers, outside: Outside, pace: Pace) -> list[Tick]:
    return [
        # installed before the first CPE needs it: the ACS takes some seconds to notice a new script
        Tick("apply script", pace.apply_script_every_seconds, outside.acs.prepare, at_once=True),
        Tick("events", pace.timers_every_seconds, lambda: appliance.events.take_up(appliance.database.begin)),
        Tick("timers", pace.timers_every_seconds, dispatch.wake_due),
        Tick("informs", pace.watch_every_seconds, watchers.watch_informs),
        Tick("sessions", pace.watch_every_seconds, watchers.watch_sessions),
        Tick("heartbeat", pace.heartbeat_every_seconds, dispatch.beat),
        Tick("take-over", pace.lost_every_seconds, dispatch.take_over),
        Tick("lost segments", pace.lost_every_seconds, dispatch.restart_lost),
        Tick("projections", pace.catch_up_every_seconds, appliance.projections.catch_up),
        Tick("expired quotes", pace.expire_every_seconds, appliance.expire_quotes),
        Tick("expiring subscriptions", pace.expire_every_seconds, appliance.announce_expiring),
        Tick("old request keys", pace.expire_every_seconds, appliance.forget_old_keys),
    ]


def _notice_ticks(notices: NoticeDelivery, pace: Pace) -> list[Tick]:
    return [Tick("notices", pace.notices_every_seconds, notices.start_due)]


async def _webhook_ticks(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> list[Tick]:
    """A client of its own, whose connections are never used twice: the sender says why."""
    common: dict[str, Any] = {"tenant_id": appliance.tenant_id, "now": appliance.clock, "vault": appliance.vault}
    http = await stack.enter_async_context(
        httpx.AsyncClient(
            verify=trusted_authorities(), trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
        )
    )
    deliveries = Deliveries(
        appliance.database.begin, **common, sender=WebhookSender(http, appliance.targets, now=appliance.clock)
    )
    stack.push_async_callback(deliveries.stop)
    keep = timedelta(days=appliance.settings.webhook_keep_days)
    retention = Retention(appliance.database.begin, **common, keep=keep)
    return [
        Tick("webhooks", pace.webhooks_every_seconds, deliveries.start_due),
        Tick("old webhook messages", pace.purge_every_seconds, retention.purge),
    ]


def mail_templates(settings: Settings) -> MailTemplates:
    """The mails in this ISP's name, language and time zone.

    Raises: SettingsRefused if there are no mails in its language.
    """
    templates = MailTemplates(
        isp_name=_isp_name(settings),
        language=settings.mail_language,
        time_zone=settings.time_zone,
    )
    if not templates.has_default():
        there_are = ", ".join(templates.languages())
        reason = f"is {settings.mail_language}, and there are no mails in it; there are: {there_are}"
        raise SettingsRefused([Fault("FIRSTLIGHT_MAIL_LANGUAGE", reason)])
    return templates


def _isp_name(settings: Settings) -> str:
    return settings.isp_name or settings.mail_from.rpartition("@")[2]


def _definitions(settings: Settings) -> dict[tuple[str, int], Definition[Any]]:
    """The journeys with this ISP's patience."""
    patience = {
        "visit": timedelta(hours=settings.visit_hold_hours),
        "line": timedelta(hours=settings.line_wait_hours),
        "inform": timedelta(minutes=settings.inform_wait_minutes),
        "session": timedelta(minutes=settings.session_wait_minutes),
        "testing": timedelta(hours=settings.testing_hours),
        "payment": timedelta(days=settings.payment_wait_days),
        "reminder": timedelta(days=settings.renewal_reminder_days),
        "reset": timedelta(hours=settings.cpe_reset_hours),
    }
    return {
        key: replace(definition, patience={name: patience.get(name, own) for name, own in definition.patience.items()})
        for key, definition in DEFINITIONS.items()
    }
