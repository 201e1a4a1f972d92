"""One notice through one channel of a team: by Apprise, or by our own mail server; and how it ended."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from html import escape
from importlib import import_module

from provisioning.commercial.mails.smtp import Letter, SmtpSettings, hand_over

EMAIL = "email"
"""The channel that every team with a mail address has."""

APPRISE = "provisioning.commercial.notices.apprise_channel"
"""Imported where it is needed, so that no command waits for it that tells nobody."""

RETIRED = {
    "msteams": "is a connector that Microsoft has retired; make a workflow in Teams, and write workflows://...",
}
"""What an operator may know from before and nobody answers any more."""

_KIND = re.compile(r"([a-z][a-z0-9+.-]{0,31})://", re.IGNORECASE)


@dataclass(frozen=True)
class Message:
    """What is told, under a Message-ID that is the same each time."""

    message_id: str
    subject: str
    text: str
    written_at: datetime


def kind_of(address: str) -> str | None:
    """The first word of an Apprise address, or None if it isn't one."""
    found = _KIND.match(address)
    return found.group(1).lower() if found else None


def fault_of(address: str, allowed: Collection[str]) -> str | None:
    """Why this Apprise address can't be a channel, in words that don't repeat it; None when it can."""
    kind = kind_of(address)
    if kind is None:
        return "is not an Apprise address such as slack://..."
    if kind in RETIRED:
        return RETIRED[kind]
    if kind not in allowed:
        return f"is of the kind {kind}, and FIRSTLIGHT_NOTICE_SCHEMAS allows only: {', '.join(allowed)}"
    from provisioning.commercial.notices.apprise_channel import is_understood

    return None if is_understood(address) else f"is not an address that Apprise understands as {kind}"


async def tell_by_apprise(message: Message, address: str, *, timeout_seconds: float) -> str | None:
    """None when the other side took it, else why not, in words without secrets."""
    await asyncio.to_thread(import_module, APPRISE)  # a second at the first time, in which the runs go on
    from provisioning.commercial.notices.apprise_channel import send

    return await send(address, subject=message.subject, text=message.text, timeout_seconds=timeout_seconds)


async def tell_by_mail(message: Message, recipient: str, smtp: SmtpSettings) -> str | None:
    """None when our mail server took it, else what it said. A repeat goes out under the same Message-ID."""
    letter = Letter(
        message_id=message.message_id,
        recipient=recipient,
        subject=message.subject,
        text=message.text,
        html=f'<pre style="white-space: pre-wrap">{escape(message.text)}</pre>',
        written_at=message.written_at,
    )
    ended = await hand_over(letter, smtp)
    return None if ended.outcome == "sent" else f"{smtp.server} ({ended.outcome}): {ended.reply}"


def message_id_of_notice(tenant_id: str, notice_id: int, domain: str) -> str:
    """The one Message-ID of this notice (RFC 5322 s3.6.4)."""
    stem = hashlib.sha256(f"{tenant_id}\nnotice/{notice_id}".encode()).hexdigest()[:40]
    return f"<{stem}@{domain}>"
