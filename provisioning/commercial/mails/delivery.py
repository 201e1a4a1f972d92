"""Delivery of the outbox: the only part of the commercial services that talks to the outside.

Each attempt is written down before the connection is made and closed with what the server said, each in a short
transaction of its own; none is open while the network is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import structlog
from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.errors import (
    DeliveryDoubtful,
    DeliveryFailed,
    DeliveryUnknown,
    MailDeferred,
    MailRefused,
    MailServerUnreachable,
    MailServerUntrusted,
    MailUnknown,
    MailWithdrawn,
)
from provisioning.commercial.mails.smtp import HandOver, Letter, SmtpSettings, hand_over
from provisioning.commercial.tables import AttemptOutcome, Mail, MailAttempt
from provisioning.intake import Clock
from workflows.services import DeliveredEmail, MailState

log = structlog.get_logger(__name__)

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]

MOST_SILENCES = 2
"""How many attempts may end without the server's word: each of them may have left a copy."""

FAILURES: dict[AttemptOutcome, type[DeliveryFailed]] = {
    "refused": MailRefused,
    "deferred": MailDeferred,
    "unreachable": MailServerUnreachable,
    "untrusted": MailServerUntrusted,
    "unknown": DeliveryUnknown,
}

STATE_AFTER: dict[AttemptOutcome, MailState] = {
    "sent": "sent",
    "refused": "refused",
    "deferred": "queued",
    "unreachable": "queued",
    "untrusted": "queued",
    "unknown": "unknown",
}


class MailDelivery:
    """Hands queued mails to the mail server: at least once, always under the mail's own Message-ID."""

    def __init__(self, begin: Begin, *, smtp: SmtpSettings, tenant_id: str, now: Clock) -> None:
        self._begin = begin
        self._smtp = smtp
        self._tenant_id = tenant_id
        self._now = now

    async def deliver(self, email_id: int) -> DeliveredEmail:
        """Send this mail, unless it is sent already; then its receipt is the answer.

        Raises: MailUnknown, MailWithdrawn; MailRefused, MailServerUntrusted and DeliveryDoubtful (an operator must
        act); MailDeferred, MailServerUnreachable and DeliveryUnknown (transient).
        """
        opened = await self._open_attempt(email_id)
        if not isinstance(opened, _Attempt):
            return opened
        ended = await hand_over(opened.letter, self._smtp)
        receipt = await self._close_attempt(opened, ended)
        if receipt is not None:
            return receipt
        raise FAILURES[ended.outcome](
            email_id,
            recipient=opened.letter.recipient,
            server=self._smtp.server,
            reason=ended.reply,
            reply_code=ended.reply_code,
        )

    async def receipt(self, email_id: int) -> DeliveredEmail | None:
        """The server's receipt for this mail, if it gave one. Asks nobody but our own record.

        Raises: MailUnknown.
        """
        async with self._begin() as db:
            return _receipt(await self._mail(db, email_id))

    async def _open_attempt(self, email_id: int) -> _Attempt | DeliveredEmail:
        async with self._begin() as db:
            mail = await self._mail(db, email_id)
            if (receipt := _receipt(mail)) is not None:
                return receipt
            if mail.state == "withdrawn":
                raise MailWithdrawn(email_id, mail.reason)
            await self._refuse_if_doubtful(db, mail)
            mail.attempts += 1
            mail.state = "unknown"
            db.add(
                MailAttempt(
                    tenant_id=self._tenant_id,
                    mail_id=mail.id,
                    number=mail.attempts,
                    message_id=mail.message_id,
                    started_at=self._now(),
                )
            )
            return _Attempt(mail.id, mail.attempts, _letter(mail))

    async def _refuse_if_doubtful(self, db: AsyncSession, mail: Mail) -> None:
        """A server that was silent, or heard by a process that died, may have taken the mail each time: one repeat is
        enough of that."""
        open_or_silent = or_(MailAttempt.outcome == "unknown", MailAttempt.outcome.is_(None))
        silences = select(MailAttempt).where(MailAttempt.mail_id == mail.id, open_or_silent)
        doubtful = list(await db.scalars(silences.order_by(MailAttempt.number)))
        if len(doubtful) >= MOST_SILENCES:
            raise DeliveryDoubtful(
                mail.id,
                recipient=mail.recipient,
                server=self._smtp.server,
                reason=doubtful[-1].reply or "no answer was recorded",
                reply_code=None,
            )

    async def _close_attempt(self, opened: _Attempt, ended: HandOver) -> DeliveredEmail | None:
        async with self._begin() as db:
            mail = await self._mail(db, opened.email_id)
            attempt = await db.scalar(
                select(MailAttempt).where(MailAttempt.mail_id == mail.id, MailAttempt.number == opened.number)
            )
            assert attempt is not None, "the attempt was committed before the connection was made"
            attempt.ended_at = self._now()
            attempt.outcome = ended.outcome
            attempt.reply = ended.reply
            # A second process may have had its receipt, or an operator withdrawn the mail, while this one was talking.
            # A receipt outlives every doubt, and a withdrawal every failure.
            if ended.outcome == "sent" or mail.state == "unknown":
                mail.state = STATE_AFTER[ended.outcome]
                mail.smtp_reply = ended.reply
                if ended.outcome == "sent":
                    mail.sent_at = self._now()
            log.info(
                "mail attempt ended",
                email_id=mail.id,
                attempt=opened.number,
                outcome=ended.outcome,
                reply=ended.reply,
                message_id=mail.message_id,
            )
            return _receipt(mail)

    async def _mail(self, db: AsyncSession, email_id: int) -> Mail:
        mail = await db.scalar(
            select(Mail).where(Mail.tenant_id == self._tenant_id, Mail.id == email_id).with_for_update()
        )
        if mail is None:
            raise MailUnknown(email_id)
        return mail


class _Attempt:
    def __init__(self, email_id: int, number: int, letter: Letter) -> None:
        self.email_id = email_id
        self.number = number
        self.letter = letter


def _letter(mail: Mail) -> Letter:
    return Letter(
        message_id=mail.message_id,
        recipient=mail.recipient,
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        written_at=mail.queued_at,
    )


def _receipt(mail: Mail) -> DeliveredEmail | None:
    if mail.state != "sent" or mail.sent_at is None:
        return None
    return DeliveredEmail(
        email_id=mail.id,
        message_id=mail.message_id,
        recipient=mail.recipient,
        smtp_reply=mail.smtp_reply or "",
        attempts=mail.attempts,
        sent_at=mail.sent_at,
    )
