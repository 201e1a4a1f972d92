"""One mail over one SMTP connection (RFC 5321), and an exact account of how it ended."""

from __future__ import annotations

import asyncio
import hashlib
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from typing import Literal

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from provisioning.commercial.tables import AttemptOutcome

# RFC 4954 s6: the server wants a login, a better one, or TLS first. The mail itself is not at fault.
LOGIN_REPLIES = frozenset({530, 534, 535, 538})
LONGEST_REASON = 300
QUIT_SECONDS = 2.0
ENVELOPE_SECONDS = 200.0
"""From the connection to the recipient's acceptance, whatever each reply may take: with the longest answer to the
content it has to fit into the time-out of the step that delivers, which would leave an attempt that says nothing."""

Stage = Literal["greeting", "envelope", "content"]


@dataclass(frozen=True)
class SmtpSettings:
    """Which mail server, and who we are to it. ``starttls`` insists on TLS; it never falls back to clear text."""

    host: str
    port: int
    sender: str
    sender_name: str = ""
    reply_to: str | None = None
    tls: Literal["none", "starttls", "tls"] = "none"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    local_hostname: str | None = None
    timeout_seconds: float = 30.0  # for each reply before the mail is given
    # The server may be scanning what it was given. Giving up early is what doubles a mail (RFC 5321 s4.5.3.2.6).
    answer_timeout_seconds: float = 600.0

    @property
    def longest_seconds(self) -> float:
        """What one attempt may take in all."""
        return ENVELOPE_SECONDS + self.answer_timeout_seconds + QUIT_SECONDS

    @property
    def server(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Letter:
    """What the outbox kept of one mail."""

    message_id: str
    recipient: str
    subject: str
    text: str
    html: str
    written_at: datetime


@dataclass(frozen=True)
class HandOver:
    """How one attempt ended: ``sent`` with the server's words, or why not."""

    outcome: AttemptOutcome
    reply: str
    reply_code: int | None = None


def compose(letter: Letter, settings: SmtpSettings) -> EmailMessage:
    """The mail with its headers. The same letter gives the same bytes each time, so that a repeat is a true copy."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["Message-ID"] = letter.message_id
    mail["Date"] = letter.written_at
    mail["From"] = Address(settings.sender_name, addr_spec=settings.sender)
    mail["To"] = Address(addr_spec=letter.recipient)
    if settings.reply_to:
        mail["Reply-To"] = Address(addr_spec=settings.reply_to)
    mail["Subject"] = letter.subject
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834 s5: no out-of-office note comes back to us
    # Quoted-printable: lines of any length and any letter pass servers that know neither 8BITMIME nor SMTPUTF8.
    mail.set_content(letter.text, cte="quoted-printable")
    mail.add_alternative(letter.html, subtype="html", cte="quoted-printable")
    mail.set_boundary("=_" + hashlib.sha256(letter.message_id.encode()).hexdigest()[:32])
    return mail


async def hand_over(letter: Letter, settings: SmtpSettings) -> HandOver:
    """Offer the letter to the mail server once, and say what came of it. Never raises for the server's behaviour."""
    content = compose(letter, settings).as_bytes()
    client = SMTP(
        hostname=settings.host,
        port=settings.port,
        use_tls=settings.tls == "tls",
        start_tls=settings.tls == "starttls",
        username=settings.username,
        password=settings.password,
        cert_bundle=settings.ca_file,
        local_hostname=settings.local_hostname,
        timeout=settings.timeout_seconds,
    )
    stage: Stage = "greeting"
    try:
        try:
            async with asyncio.timeout(ENVELOPE_SECONDS):
                await client.connect()
                stage = "envelope"
                await client.mail(settings.sender)
                await client.rcpt(letter.recipient)
            stage = "content"
            async with asyncio.timeout(settings.answer_timeout_seconds):  # DATA has two replies, and this is for both
                reply = await client.data(content, timeout=settings.answer_timeout_seconds)
            ended = HandOver("sent", _plain(f"{reply.code} {reply.message}"), reply.code)
        except SMTPResponseException as exc:
            ended = HandOver(_judge_reply(exc.code, stage), _plain(f"{exc.code} {exc.message}"), exc.code)
        with suppress(SMTPException, OSError):  # the answer that counts has been read
            if client.is_connected:
                await client.quit(timeout=QUIT_SECONDS)
        return ended
    except (SMTPException, OSError) as exc:
        return HandOver(_judge_break(exc, stage), _plain(str(exc) or _in_words(exc)))
    finally:
        client.close()


def _judge_reply(code: int, stage: Stage) -> AttemptOutcome:
    """What a reply that isn't the wanted one means (RFC 5321 s4.2.1: 4yz come again, 5yz never)."""
    if code in LOGIN_REPLIES:
        return "untrusted"
    if 400 <= code <= 499:
        return "deferred"
    if 500 <= code <= 599:
        return "untrusted" if stage == "greeting" else "refused"
    return "unknown" if stage == "content" else "unreachable"


def _judge_break(exc: Exception, stage: Stage) -> AttemptOutcome:
    """What an end without a reply means: once the content was begun, nobody on this side can know."""
    if stage == "content":
        return "unknown"
    if isinstance(exc, ssl.SSLError | FileNotFoundError) or isinstance(exc.__cause__, ssl.SSLError):
        return "untrusted"
    # The client says "not supported" (STARTTLS, AUTH) as the bare class; time-outs and cuts have classes of their own.
    return "untrusted" if type(exc) is SMTPException else "unreachable"


def _in_words(silent: Exception) -> str:
    return "no answer in time" if isinstance(silent, TimeoutError) else type(silent).__name__


def _plain(words: str) -> str:
    """The server's words, fit for a log line and a screen."""
    return re.sub(r"[^\x20-\x7e]+", " ", words).strip()[:LONGEST_REASON]
