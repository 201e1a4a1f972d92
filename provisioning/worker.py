"""The part of an appliance that moves runs: what it talks to outside, its dispatch, its recurring jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx

from acs import AcsFleet, ConvergenceBySite, Patience
from provisioning.bootstrap import Appliance
from provisioning.checking import PeriodicCheck
from provisioning.clock import Clock, Tick
from provisioning.commercial import (
    MailDelivery,
    NoticeDelivery,
    TenantProbe,
    UnattendedMails,
)
from provisioning.commercial.payments import (
    PaymentCapture,
    payment_gateways,
)
from provisioning.commercial.scheduling.ways_ahead import WaysAhead
from provisioning.configured import (
    acs_fleet,
    line_webhook_settings,
    smtp_settings,
    trusted_authorities,
)
from provisioning.database import sync_url
from provisioning.device_operations import operation_carrier
from provisioning.fleet import fleet_tender
from provisioning.line import LineHandOver, line_adapters
from provisioning.sole_worker import sole_worker
from provisioning.watchers import Watchers
from provisioning.webhooks import Deliveries, Retention, WebhookSender
from radius import (
    Kept,
    LoginCarrier,
    Reaper,
    ReopenedSessions,
    Retransmission,
    SessionArchive,
    SessionControl,
    UsageCount,
)
from workflows import (
    Dispatch,
    Interpreter,
    Lookout,
    Outside,
    Services,
    nothing_happens,
    what_is_due,
)

WATCHED = ("device_informed", "session_started")
"""Signals that no other system sends us: the watchers ask."""
WHEN_DUE = None


@dataclass(frozen=True)
class Pace:
    """How often a worker looks, and how long it waits for one session of a CPE; a laboratory may be quicker."""

    look_every_seconds: float = 0.5
    mails_every_seconds: float = 2.0
    notices_every_seconds: float = 2.0
    webhooks_every_seconds: float = 1.0
    purge_every_seconds: float = 3600.0
    heartbeat_every_seconds: float = 1.5
    lease_seconds: float = 6.0
    lost_every_seconds: float = 5.0
    catch_up_every_seconds: float = 30.0
    session_changes_every_seconds: float = 1.0
    reap_every_seconds: float = 60.0
    session_upkeep_every_seconds: float = 120.0
    stations_every_seconds: float = 10.0
    data_caps_every_seconds: float = 120.0
    visits_every_seconds: float = 5.0
    expire_every_seconds: float = 60.0
    domains_every_seconds: float = 120.0
    pools_every_seconds: float = 300.0
    check_looks_every_seconds: float = 60.0
    campaigns_every_seconds: float = 5.0
    logins_every_seconds: float = 300.0
    login_files_every_seconds: float = 1.0
    apply_script_every_seconds: float = 600.0
    fleet_look_every_seconds: float = 10.0
    fleet_sweep_every_seconds: float = 1800.0
    fleet_reread_every_seconds: float = 300.0
    inform_intervals_every_seconds: float = 20.0
    left_settings_every_seconds: float = 20.0
    device_operations_every_seconds: float = 2.0
    cpe_patience: Patience = field(default_factory=Patience)
    nas_retransmission: Retransmission = field(default_factory=Retransmission)
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep  # between looks at the ACS


@dataclass(frozen=True)
class Worker:
    """The part of an appliance that moves runs: what it talks to outside, its dispatch, its clock."""

    outside: Outside
    dispatch: Dispatch
    watchers: Watchers
    clock: Clock


def outgoing_http(**options: Any) -> httpx.AsyncClient:
    """A client that keeps no cookies: what one system sets must not go to another, nor make two requests differ."""
    none = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(verify=trusted_authorities(), trust_env=False, cookies=none, **options)


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
            lookout=Lookout(definitions=appliance.definitions, clock=appliance.clock, tenant_id=appliance.tenant_id),
            acs=outside.acs,
            sessions=appliance.own_sessions,
            tenant_id=appliance.tenant_id,
        )
        ticks = _ticks(appliance, dispatch, watchers, outside, pace)
        ticks += await _telling_ticks(appliance, outside, stack, pace)
        ticks += _session_ticks(appliance, stack, pace)
        ticks += _check_ticks(appliance, pace)
        ticks += _login_file_ticks(appliance, pace)
        ticks += _fleet_ticks(appliance, outside.acs.fleet, stack, pace)
        operations = operation_carrier(appliance, outside.acs)
        ticks.append(Tick("operations on cpes", pace.device_operations_every_seconds, operations.drive))
        clock = Clock([Tick("look", pace.look_every_seconds, lambda: _look(appliance, clock)), *ticks])
        await dispatch.open()
        stack.push_async_callback(dispatch.close)
        clock.start()
        stack.push_async_callback(clock.stop)
        yield Worker(outside, dispatch, watchers, clock)


async def _outside(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> Outside:
    settings = appliance.settings
    fleet = await stack.enter_async_context(acs_fleet(settings, sleep=pace.sleep))
    http = await stack.enter_async_context(outgoing_http())
    common: dict[str, Any] = {"tenant_id": appliance.tenant_id, "now": appliance.clock}
    adapters = line_adapters(
        vendor=settings.olt_vendor,
        vendor_by_node=settings.olt_vendor_by_node,
        http=http,
        olt_http_url=settings.olt_http_url,
        olt_http_timeout_seconds=settings.olt_http_timeout_seconds,
        webhook=line_webhook_settings(settings),
        now=appliance.clock,
    )
    begin = appliance.database.begin
    return Outside(
        radius=appliance.projector,
        acs=ConvergenceBySite(
            begin, fleet, **common, secrets=appliance.vault, sleep=pace.sleep, patience=pace.cpe_patience
        ),
        line=LineHandOver(begin, adapters, **common, adapter=settings.line_adapter),
        mail=MailDelivery(begin, smtp=smtp_settings(settings), **common),
        sessions=appliance.own_sessions,
        sessions_control=SessionControl(
            begin,
            appliance.radius_database.begin,
            **common,
            secrets=appliance.vault,
            retransmission=pace.nas_retransmission,
            sleep=pace.sleep,
            lanes=appliance.nas_lanes,
        ),
        payments=PaymentCapture(
            begin, payment_gateways(http, stripe=appliance.stripe), **common, secrets=appliance.vault
        ),
        tenants=TenantProbe(http, now=appliance.clock),
        ways=WaysAhead(appliance.database.read, **common, zone=appliance.zone, ways=appliance.ways),
    )


async def _look(appliance: Appliance, clock: Clock) -> None:
    """Begins what there is to do, each by itself: an ACS that does not answer holds up no timer."""
    async with appliance.database.read() as db:
        due = await what_is_due(db, tenant_id=appliance.tenant_id, now=appliance.clock(), signals=WATCHED)
    for name in [*due.signals, *["events"] * due.events, *["timers"] * due.timers]:
        clock.begin(name)


def _ticks(appliance: Appliance, dispatch: Dispatch, watchers: Watchers, outside: Outside, pace: Pace) -> list[Tick]:
    return [
        # installed before the first CPE needs it: the ACS takes some seconds to notice a new script
        Tick("apply script", pace.apply_script_every_seconds, outside.acs.prepare, at_once=True),
        Tick("inform intervals", pace.inform_intervals_every_seconds, outside.acs.slow_verified),
        Tick("settings left at the acs", pace.left_settings_every_seconds, outside.acs.take_back_left),
        Tick("events", WHEN_DUE, lambda: appliance.events.take_up(appliance.database.begin)),
        Tick("timers", WHEN_DUE, dispatch.wake_due),
        Tick("device_informed", WHEN_DUE, watchers.watch_informs),
        Tick("session_started", WHEN_DUE, watchers.watch_sessions),
        Tick("orders' visits", pace.visits_every_seconds, appliance.order_visits.tell),
        Tick("heartbeat", pace.heartbeat_every_seconds, dispatch.beat),
        Tick("take-over", pace.lost_every_seconds, dispatch.take_over, at_once=True),
        Tick("lost segments", pace.lost_every_seconds, dispatch.restart_lost),
        Tick("projections", pace.catch_up_every_seconds, appliance.projections.catch_up),
        Tick("expired quotes", pace.expire_every_seconds, appliance.expire_quotes),
        Tick("expiring subscriptions", pace.expire_every_seconds, appliance.announce_expiring),
        Tick("ended terms", pace.expire_every_seconds, appliance.end_terms),
        # however often this process is started anew, a full pool is told
        Tick("pools", pace.pools_every_seconds, appliance.tell_pool_levels, at_once=True),
        Tick("campaigns", pace.campaigns_every_seconds, appliance.campaign_turns.turn),
        Tick("partners' host names", pace.domains_every_seconds, appliance.domain_proofs.look),
        Tick("old logins", pace.logins_every_seconds, appliance.forget_old_logins),
        Tick("old request keys", pace.expire_every_seconds, appliance.forget_old_keys),
    ]


def _check_ticks(appliance: Appliance, pace: Pace) -> list[Tick]:
    """It looks more often than it checks: a process that was started anew doesn't begin to count anew."""
    check = PeriodicCheck(appliance, every=timedelta(minutes=appliance.settings.check_every_minutes))
    return [Tick("check", pace.check_looks_every_seconds, check.look)]


def _session_ticks(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> list[Tick]:
    """What becomes of accounting by itself; the second is done once a night, and each look asks whether it is."""
    begin, clock, settings = appliance.radius_database.begin, appliance.clock, appliance.settings
    forgotten = settings.session_archive_days
    kept = Kept(
        hot=timedelta(days=settings.session_hot_days),
        archive=None if forgotten is None else timedelta(days=forgotten),
    )
    count, archive = UsageCount(begin, now=clock), SessionArchive(begin, now=clock, kept=kept)
    stations = appliance.station_book

    async def tend() -> None:
        await count.count()
        await archive.tend()
        await stations.forget()

    reaper = Reaper(begin, tenant_id=appliance.tenant_id, now=clock)
    changes = appliance.session_changes(pace.nas_retransmission)
    stack.push_async_callback(changes.stop)
    reopened = ReopenedSessions(appliance.database.begin, begin, tenant_id=appliance.tenant_id, now=clock)
    return [
        Tick("silent sessions", pace.reap_every_seconds, reaper.sweep),
        Tick("silent NASes", pace.reap_every_seconds, appliance.tell_silent_nases),
        Tick("open sessions", pace.reap_every_seconds, appliance.note_open_sessions),
        Tick("sessions open again", pace.reap_every_seconds, reopened.tell),
        Tick("session upkeep", pace.session_upkeep_every_seconds, tend),
        Tick("mac addresses", pace.stations_every_seconds, stations.note),
        Tick("data caps", pace.data_caps_every_seconds, appliance.data_caps.look),
        Tick("session changes", pace.session_changes_every_seconds, changes.start_due),
    ]


def _login_file_ticks(appliance: Appliance, pace: Pace) -> list[Tick]:
    """Where FreeRADIUS writes logins to files on this machine."""
    folder = appliance.settings.radius_login_dir
    if folder is None:
        return []
    carrier = LoginCarrier(folder, appliance.radius_database.begin, now=appliance.clock)
    return [Tick("logins in files", pace.login_files_every_seconds, carrier.carry)]


def _fleet_ticks(appliance: Appliance, fleet: AcsFleet, stack: AsyncExitStack, pace: Pace) -> list[Tick]:
    """CPEs that have news, and a look at everybody now and then: what nobody tells of shows only there."""
    ticks: list[Tick] = []
    for name, nbi in fleet.items():
        every = timedelta(seconds=pace.fleet_reread_every_seconds)
        tender = fleet_tender(appliance, nbi, acs_name=name, sleep=pace.sleep, reread_every=every)
        stack.push_async_callback(tender.stop)
        ticks += [
            Tick(f"cpes with news at {name}", pace.fleet_look_every_seconds, tender.look),
            Tick(f"all cpes at {name}", pace.fleet_sweep_every_seconds, tender.sweep),
            Tick(f"verified cpes at {name}", pace.fleet_reread_every_seconds, tender.reread),
        ]
    return ticks


async def _telling_ticks(appliance: Appliance, outside: Outside, stack: AsyncExitStack, pace: Pace) -> list[Tick]:
    """Teams, customers and other systems hear of what has happened."""
    told = await _webhook_ticks(appliance, stack, pace)
    return [_notice_tick(appliance, stack, pace), _mail_tick(appliance, outside, pace), *told]


def _mail_tick(appliance: Appliance, outside: Outside, pace: Pace) -> Tick:
    """Mails of runs are delivered by their own steps."""
    longest = timedelta(seconds=smtp_settings(appliance.settings).longest_seconds)
    common: dict[str, Any] = {"tenant_id": appliance.tenant_id, "now": appliance.clock}
    mails = UnattendedMails(appliance.database.begin, outside.mail, **common, longest=longest)
    return Tick("mails that no run waits for", pace.mails_every_seconds, mails.send_due)


def _notice_tick(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> Tick:
    notices = NoticeDelivery(
        appliance.database.begin,
        tenant_id=appliance.tenant_id,
        now=appliance.clock,
        vault=appliance.vault,
        smtp=smtp_settings(appliance.settings),
        allowed=appliance.settings.notice_schemas,
    )
    stack.push_async_callback(notices.stop)
    return Tick("notices", pace.notices_every_seconds, notices.start_due)


async def _webhook_ticks(appliance: Appliance, stack: AsyncExitStack, pace: Pace) -> list[Tick]:
    """A client of its own, whose connections are never used twice: the sender says why."""
    common: dict[str, Any] = {"tenant_id": appliance.tenant_id, "now": appliance.clock, "vault": appliance.vault}
    http = await stack.enter_async_context(outgoing_http(limits=httpx.Limits(max_keepalive_connections=0)))
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
