"""What settings say, in the words of the parts that they are for."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

import httpx

from acs import DEFAULT_ACS, AcsFleet, Baseline, NbiClient, baseline
from provisioning.commercial import (
    MailTemplates,
    SmtpSettings,
)
from provisioning.commercial.payments import (
    StripeSettings,
)
from provisioning.errors import Fault
from provisioning.field import NO_MOVES, MoveTerms, Osrm, Ways
from provisioning.line import ANSWER_PATH, LineWebhookSettings
from provisioning.settings import Settings, SettingsRefused
from provisioning.settings.values import read_line
from workflows import (
    DEFINITIONS,
    Definition,
)


@cache
def trusted_authorities() -> ssl.SSLContext:
    """Whose certificates count for HTTPS: read once in a process, since it takes a tenth of a second."""
    return httpx.create_ssl_context(trust_env=False)


ACS_CONNECTIONS = 48
"""To one ACS: a CPE that does not answer its call holds one for 2 s."""


def acs_names(settings: Settings) -> tuple[str, ...]:
    """The ACSes that the settings name."""
    return () if settings.genieacs_nbi_url is None else (DEFAULT_ACS, *settings.genieacs_nbi_urls)


def acs_fleet(settings: Settings, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> AcsFleet:
    """Clients of every ACS that the settings name, to be opened.

    Raises: SettingsRefused where there is none, or where our certificate cannot be used.
    """
    if settings.genieacs_nbi_url is None:
        raise SettingsRefused([Fault("FIRSTLIGHT_GENIEACS_NBI_URL", "is needed: where GenieACS answers")])
    urls = {DEFAULT_ACS: settings.genieacs_nbi_url, **settings.genieacs_nbi_urls}
    token = settings.genieacs_token_file
    authorization = f"Bearer {read_line(token)}" if token is not None else None
    tls = acs_tls(settings)
    return AcsFleet(
        {
            name: NbiClient(url, authorization=authorization, tls=tls, max_connections=ACS_CONNECTIONS, sleep=sleep)
            for name, url in urls.items()
        }
    )


def acs_baseline(settings: Settings, name: str) -> Baseline:
    """The presets and scripts that an ACS is to have from us."""
    return baseline(first_session_at=name if name in settings.genieacs_first_session else None)


def acs_tls(settings: Settings) -> ssl.SSLContext:
    """Raises: SettingsRefused."""
    authority, certificate = settings.genieacs_authority_file, settings.genieacs_certificate_file
    if authority is None and certificate is None:
        return trusted_authorities()
    try:
        context = ssl.create_default_context(cafile=authority)
        if certificate is not None:
            context.load_cert_chain(certificate)
    except ssl.SSLError as error:  # its text names no content of the files
        raise SettingsRefused(
            [Fault("FIRSTLIGHT_GENIEACS_CERTIFICATE_FILE", f"(or the authority's file) cannot be used: {error.reason}")]
        ) from error
    return context


def line_webhook_settings(settings: Settings) -> LineWebhookSettings | None:
    secrets = settings.line_webhook_secrets()
    if settings.line_webhook_url is None or not secrets:
        return None
    return LineWebhookSettings(
        url=settings.line_webhook_url,
        secrets=tuple(secret.get_secret_value() for secret in secrets),
        answer_url=f"{settings.public_url}{ANSWER_PATH}" if settings.public_url else None,
        timeout_seconds=settings.line_webhook_timeout_seconds,
    )


def stripe_settings(settings: Settings) -> StripeSettings | None:
    secrets = settings.stripe_secrets()
    if secrets is None:
        return None
    api_key, signing = secrets
    return StripeSettings(
        api_key=api_key.get_secret_value(),
        webhook_secrets=tuple(secret.get_secret_value() for secret in signing),
        url=settings.stripe_url,
        timeout_seconds=settings.stripe_timeout_seconds,
    )


def smtp_settings(settings: Settings) -> SmtpSettings:
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


def mail_templates(settings: Settings) -> MailTemplates:
    """The mails in this ISP's name, language and time zone.

    Raises: SettingsRefused if there are no mails in its language.
    """
    templates = MailTemplates(
        isp_name=isp_name(settings),
        language=settings.mail_language,
        time_zone=settings.time_zone,
    )
    if not templates.has_default():
        there_are = ", ".join(templates.languages())
        reason = f"is {settings.mail_language}, and there are no mails in it; there are: {there_are}"
        raise SettingsRefused([Fault("FIRSTLIGHT_MAIL_LANGUAGE", reason)])
    return templates


def move_terms(settings: Settings) -> MoveTerms:
    """How customers move their visits; not at all where no link leads here."""
    if settings.public_url is None:
        return NO_MOVES
    return MoveTerms(timedelta(hours=settings.customer_move_notice_hours), settings.customer_moves)


def ways_of(settings: Settings) -> Ways:
    """How long technicians' ways take."""
    router = None if settings.routing_url is None else Osrm(settings.routing_url, tls=trusted_authorities())
    return Ways(kmh=settings.travel_kmh, router=router)


def isp_name(settings: Settings) -> str:
    return settings.isp_name or settings.mail_from.rpartition("@")[2]


def definitions_of(settings: Settings) -> dict[tuple[str, int], Definition[Any]]:
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
