"""What stands under everything: settings as values, databases, the vault, the readers, the runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from zoneinfo import ZoneInfo

from acs import TemplateLibrary
from provisioning.commercial import DomainPatience, TenantDirectory
from provisioning.commercial.payments import webhook_readers
from provisioning.configured import definitions_of, isp_name, mail_templates, move_terms, stripe_settings, ways_of
from provisioning.database import Database, sync_url
from provisioning.links import SignedLinks
from provisioning.settings import Settings
from provisioning.vault import SecretVault, load_keyring
from provisioning.webhooks import FactRecorder, Targets
from radius import (
    BulkProjector,
    GivingWay,
    LoginLog,
    NasLanes,
    OwnSessions,
    RadiusProjector,
    SessionLooks,
    SessionReader,
    SilentSessions,
    StationLooks,
    UsageLooks,
)
from workflows import Bell, Runs


def utc_now() -> datetime:
    return datetime.now(UTC)


class Parts:
    """What needs no transaction. Nothing is started."""

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
        self.move_terms = move_terms(settings)
        self.ways = ways_of(settings)
        self.domain_patience = DomainPatience(
            look_every=timedelta(hours=settings.host_name_look_hours),
            grace=timedelta(days=settings.host_name_grace_days),
        )
        self.links = SignedLinks(self.vault, tenant_id=settings.tenant_id, now=clock, public_url=settings.public_url)
        self.sessions = SessionReader(self.radius_database.look)
        self.own_sessions = OwnSessions(self.database.read, self.sessions, tenant_id=settings.tenant_id)
        self.logins = LoginLog(self.radius_database.read, self.radius_database.begin)
        self.giving_way = GivingWay(self.logins)
        self.session_looks = SessionLooks(
            self.radius_database.read, self.radius_database.look, tenant_id=settings.tenant_id, now=clock
        )
        self.silent_sessions = SilentSessions(self.radius_database.begin, tenant_id=settings.tenant_id, now=clock)
        self.stations = StationLooks(self.radius_database.read, tenant_id=settings.tenant_id)
        self.usage_looks = UsageLooks(self.radius_database.read, tenant_id=settings.tenant_id)
        self.targets = Targets(tuple(ip_network(each) for each in settings.webhook_private_networks))
        self.nas_lanes = NasLanes()
        self.bell = Bell(sync_url(self.database.url), tenant_id=settings.tenant_id)
        self.runs = Runs(definitions=self.definitions, doorbell=self.bell, clock=clock, tenant_id=settings.tenant_id)
        self.projector = RadiusProjector(
            self.database.begin,
            self.radius_database.begin,
            tenant_id=settings.tenant_id,
            now=clock,
            secrets=self.vault,
            read=self.database.read,
            radius_read=self.radius_database.read,
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

    async def close(self) -> None:
        await self.bell.close()
        await self.radius_database.close()
        await self.database.close()
