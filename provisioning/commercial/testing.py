"""A mail server for the lab and the tests: it keeps what it is given, and misbehaves on request.

It speaks real SMTP on the loopback (aiosmtpd, in the ``lab`` extra). Every mail becomes an ``.eml`` file in a folder,
so that a person can look at it and a program can count what arrived, also after a restart.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter, deque
from dataclasses import dataclass
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as modern_policy
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from provisioning.commercial.mails.smtp import SmtpSettings

LOOPBACK = "127.0.0.1"


class Quirk(StrEnum):
    """What the server does to the next mail instead of taking it."""

    DEFER_RECIPIENT = "451 to RCPT TO"
    REFUSE_RECIPIENT = "550 to RCPT TO"
    DEFER_CONTENT = "451 after the content"
    REFUSE_CONTENT = "554 after the content"
    HANG_UP_ON_RECIPIENT = "cuts the connection at RCPT TO"
    KEEP_AND_HANG_UP = "keeps the mail and cuts the connection without an answer"
    LOSE_AND_HANG_UP = "loses the mail and cuts the connection without an answer"
    KEEP_AND_SAY_NOTHING = "keeps the mail and never answers"
    ANSWER_RUBBISH = "keeps the mail and answers what no SMTP server says"


ANSWERS = {
    Quirk.DEFER_RECIPIENT: "451 4.7.1 greylisted, come again",
    Quirk.REFUSE_RECIPIENT: "550 5.1.1 no such mailbox",
    Quirk.DEFER_CONTENT: "451 4.3.0 local error in processing",
    Quirk.REFUSE_CONTENT: "554 5.6.0 content rejected",
    Quirk.ANSWER_RUBBISH: "all is well",
}
AT_RECIPIENT = frozenset({Quirk.DEFER_RECIPIENT, Quirk.REFUSE_RECIPIENT, Quirk.HANG_UP_ON_RECIPIENT})
HANGS_UP = frozenset({Quirk.HANG_UP_ON_RECIPIENT, Quirk.KEEP_AND_HANG_UP, Quirk.LOSE_AND_HANG_UP})
KEEPS = frozenset({Quirk.KEEP_AND_HANG_UP, Quirk.KEEP_AND_SAY_NOTHING, Quirk.ANSWER_RUBBISH})


@dataclass(frozen=True)
class KeptMail:
    """One mail that the sink took, and the file that holds it."""

    path: Path
    message: EmailMessage

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])

    def body(self, subtype: str) -> str:
        """The text of the ``plain`` or ``html`` part."""
        part = self.message.get_body((subtype,))
        return cast(str, part.get_content()).replace("\r\n", "\n") if part is not None else ""


class MailSink:
    """``async with MailSink(folder) as sink``: listens on ``sink.port`` until the block ends.

    ``tls`` offers STARTTLS and insists on it, or speaks TLS from the first byte with ``implicit_tls``; ``login`` is the
    one user and password that may then send.
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        implicit_tls: bool = False,
        login: tuple[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.port = port
        self._tls = tls
        self._implicit_tls = implicit_tls
        self._login = login
        self._quirks: deque[Quirk] = deque()
        self._conversations: list[SMTP] = []
        self._server: asyncio.Server | None = None
        self._news = asyncio.Event()
        folder.mkdir(parents=True, exist_ok=True)

    async def __aenter__(self) -> MailSink:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        at_once = self._tls if self._implicit_tls else None
        self._server = await loop.create_server(self._converse, LOOPBACK, self.port, ssl=at_once)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and hang up on whoever is still there."""
        assert self._server is not None, "the sink was never started"
        self._server.close()
        for conversation in self._conversations:
            if conversation.transport is not None:
                cast(asyncio.Transport, conversation.transport).abort()
        tasks = [c._handler_coroutine for c in self._conversations if c._handler_coroutine is not None]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._server.wait_closed()

    def misbehave(self, *quirks: Quirk) -> None:
        """One quirk for each of the next mails; after them the server is well again."""
        self._quirks.extend(quirks)

    def behave(self) -> None:
        """The server is well again at once."""
        self._quirks.clear()

    def settings(self, sender: str, **options: Any) -> SmtpSettings:
        """How to reach this server."""
        return SmtpSettings(host=LOOPBACK, port=self.port, sender=sender, **options)

    def mails(self) -> list[KeptMail]:
        """Everything kept, in the order of arrival."""
        return [KeptMail(path, _read(path)) for path in sorted(self.folder.glob("*.eml"))]

    async def wait_for_mails(self, count: int) -> list[KeptMail]:
        """Everything kept, once there are at least ``count`` mails."""
        while len(mails := self.mails()) < count:
            self._news.clear()
            await self._news.wait()
        return mails

    def copies(self) -> Counter[str]:
        """How often each Message-ID arrived."""
        return Counter(mail.message_id for mail in self.mails())

    async def handle_RCPT(  # noqa: N802 - aiosmtpd finds its hooks by these names
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self._quirks and self._quirks[0] in AT_RECIPIENT:
            return await self._misbehaved(server, self._quirks.popleft())
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if not self._quirks:
            return f"250 2.0.0 kept as {self._keep(envelope).name}"
        quirk = self._quirks.popleft()
        if quirk in KEEPS:
            self._keep(envelope)
        return await self._misbehaved(server, quirk)

    async def _misbehaved(self, server: SMTP, quirk: Quirk) -> str:
        if quirk in ANSWERS:
            return ANSWERS[quirk]
        if quirk in HANGS_UP:
            cast(asyncio.Transport, server.transport).abort()
        await asyncio.Event().wait()  # until the end of the connection ends this conversation
        raise AssertionError("nobody sets that event")

    def _converse(self) -> SMTP:
        options: dict[str, Any] = {}
        if self._tls is not None and not self._implicit_tls:
            options |= {"tls_context": self._tls, "require_starttls": True}
        if self._login is not None:
            options |= {"auth_required": True, "authenticator": self._authenticate}
        conversation = SMTP(self, hostname="mail-sink.localhost", loop=asyncio.get_running_loop(), **options)
        self._conversations.append(conversation)
        return conversation

    def _authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, given: LoginPassword
    ) -> AuthResult:
        assert self._login is not None
        user, password = self._login
        matches = (given.login, given.password) == (user.encode(), password.encode())
        return AuthResult(success=matches, handled=False)

    def _keep(self, envelope: Envelope) -> Path:
        number = sum(1 for _ in self.folder.glob("*.eml")) + 1
        path = self.folder / f"{number:06d}.eml"
        written = path.with_suffix(".part")
        written.write_bytes(cast(bytes, envelope.original_content))
        written.rename(path)  # whoever watches the folder sees whole mails only
        self._news.set()
        return path


def _read(path: Path) -> EmailMessage:
    return message_from_bytes(path.read_bytes(), policy=modern_policy)
