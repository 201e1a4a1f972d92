"""The only composition: settings become an appliance whose parts know nothing of settings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from sqlalchemy.ext.asyncio import AsyncSession

from acs import DeviceConvergence, GenieAcsService, NbiClient, Patience, TemplateLibrary
from ipam import NetworkService
from provisioning.clock import Clock, Tick
from provisioning.commercial import (
    BillingService,
    CommunicationsService,
    CrmService,
    CustomerService,
    MailDelivery,
    MailTemplates,
    NoticeDelivery,
    NotificationsService,
    SmtpSettings,
    Teams,
    TicketingService,
)
from provisioning.database import Database, sync_url
from provisioning.errors import Fault
from provisioning.line import LineHandOver, LineService, line_adapters
from provisioning.links import SignedLinks
from provisioning.settings import Settings, SettingsRefused
from provisioning.sole_worker import sole_worker
from provisioning.tickets import InstallationDesk
from provisioning.vault import SecretVault, load_keyring
from provisioning.watchers import Watchers
from radius import RadiusProjector, RadiusService, SessionReader
from workflows import DEFINITIONS, Bell, Definition, Dispatch, Interpreter, Outside, Runs, Services


@dataclass(frozen=True)
class Pace:
    """How often a worker looks, and how long it waits for one session of a CPE; a laboratory may be quicker."""

    timers_every_seconds: float = 0.5
    watch_every_seconds: float = 0.5
    notices_every_seconds: float = 2.0
    heartbeat_every_seconds: float = 1.5
    lease_seconds: float = 6.0
    lost_every_seconds: float = 5.0
    apply_script_every_seconds: float = 600.0
    cpe_patience: Patience = field(default_factory=Patience)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep  # between looks at the ACS


def utc_now() -> datetime:
    return datetime.now(UTC)


def nothing_happens(point: str) -> None:
    """The default for ``at``: a named instant that nobody watches."""


class Appliance:
    """What every process needs: databases, services, doors. Opened by `open_appliance`; a worker needs more."""

    def __init__(self, settings: Settings, *, clock: Callable[[], datetime] = utc_now) -> None:
        self.settings = settings
        self.tenant_id = settings.tenant_id
        self.clock = clock
        self.definitions = _definitions(settings)
        self.database = Database(settings.database_url)
        self.radius_database = Database(settings.radius_database_url, schema=settings.radius_database_schema)
        self.keyring = load_keyring(settings.sealing_key_file)
        self.vault = SecretVault(self.keyring, tenant_id=settings.tenant_id)
        self.templates = TemplateLibrary.load()
        self.mail_templates = mail_templates(settings)
        self.links = SignedLinks(self.vault, tenant_id=settings.tenant_id, now=clock, public_url=settings.public_url)
        self.sessions = SessionReader(self.radius_database.begin)
        self.bell = Bell(sync_url(self.database.url), tenant_id=settings.tenant_id)
        self.runs = Runs(definitions=self.definitions, doorbell=self.bell, clock=clock, tenant_id=settings.tenant_id)
        self.projector = RadiusProjector(
            self.database.begin,
            self.radius_database.begin,
            tenant_id=settings.tenant_id,
            now=clock,
            secrets=self.vault,
        )

    def services(self, db: AsyncSession) -> Services:
        """The contract's services, bound to this transaction."""
        common: dict[str, Any] = {"tenant_id": self.tenant_id, "now": self.clock}
        return Services(
            customer_service=CustomerService(db, **common),
            crm_service=CrmService(db, **common),
            billing_service=BillingService(db, **common),
            communications_service=CommunicationsService(
                db, **common, sender=self.settings.mail_from, templates=self.mail_templates, links=self.links
            ),
            notifications_service=NotificationsService(db, **common),
            ticketing_service=TicketingService(db, **common),
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

    def teams(self, db: AsyncSession) -> Teams:
        """The ISP's teams, bound to this transaction."""
        return Teams(db, tenant_id=self.tenant_id, vault=self.vault, allowed=self.settings.notice_schemas)

    async def close(self) -> None:
        await self.bell.close()
        await self.radius_database.close()
        await self.database.close()


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
        clock = Clock([*_ticks(dispatch, watchers, outside, pace), *_notice_ticks(notices, pace)])
        await dispatch.open()
        stack.push_async_callback(dispatch.close)
        clock.start()
        stack.push_async_callback(clock.stop)
        yield Worker(outside, dispatch, watchers, clock)


async def _outside(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> Outside:
    settings = appliance.settings
    if settings.genieacs_nbi_url is None:
        raise SettingsRefused([Fault("FIRSTLIGHT_GENIEACS_NBI_URL", "is needed by a worker: where GenieACS answers")])
    nbi = await stack.enter_async_context(NbiClient(settings.genieacs_nbi_url, sleep=pace.sleep))
    http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
    common: dict[str, Any] = {"tenant_id": appliance.tenant_id, "now": appliance.clock}
    adapters = line_adapters(
        vendor=settings.olt_vendor,
        vendor_by_node=settings.olt_vendor_by_node,
        http=http,
        olt_http_url=settings.olt_http_url,
        olt_http_timeout_seconds=settings.olt_http_timeout_seconds,
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
    )


def _ticks(dispatch: Dispatch, watchers: Watchers, outside: Outside, pace: Pace) -> list[Tick]:
    return [
        # installed before the first CPE needs it: the ACS takes some seconds to notice a new script
        Tick("apply script", pace.apply_script_every_seconds, outside.acs.prepare, at_once=True),
        Tick("timers", pace.timers_every_seconds, dispatch.wake_due),
        Tick("informs", pace.watch_every_seconds, watchers.watch_informs),
        Tick("sessions", pace.watch_every_seconds, watchers.watch_sessions),
        Tick("heartbeat", pace.heartbeat_every_seconds, dispatch.beat),
        Tick("take-over", pace.lost_every_seconds, dispatch.take_over),
        Tick("lost segments", pace.lost_every_seconds, dispatch.restart_lost),
    ]


def _notice_ticks(notices: NoticeDelivery, pace: Pace) -> list[Tick]:
    return [Tick("notices", pace.notices_every_seconds, notices.deliver_due)]


def mail_templates(settings: Settings) -> MailTemplates:
    """The mails in this ISP's name, language and time zone.

    Raises: SettingsRefused if there are no mails in its language.
    """
    templates = MailTemplates(
        isp_name=settings.isp_name or settings.mail_from.rpartition("@")[2],
        language=settings.mail_language,
        time_zone=settings.time_zone,
    )
    if not templates.has_default():
        there_are = ", ".join(templates.languages())
        reason = f"is {settings.mail_language}, and there are no mails in it; there are: {there_are}"
        raise SettingsRefused([Fault("FIRSTLIGHT_MAIL_LANGUAGE", reason)])
    return templates


def _definitions(settings: Settings) -> dict[tuple[str, int], Definition[Any]]:
    """The journeys with this ISP's patience."""
    patience = {
        "visit": timedelta(hours=settings.visit_hold_hours),
        "line": timedelta(hours=settings.line_wait_hours),
        "inform": timedelta(minutes=settings.inform_wait_minutes),
        "session": timedelta(minutes=settings.session_wait_minutes),
        "testing": timedelta(hours=settings.testing_hours),
    }
    return {
        key: replace(definition, patience={**definition.patience, **patience})
        for key, definition in DEFINITIONS.items()
    }
