"""The outbox as an operator sees it: which mails there are, how each stands, and what it says with its links closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.errors import MailUnknown
from provisioning.commercial.tables import AttemptOutcome, Mail, MailAttempt
from provisioning.links import without_tokens
from workflows.services import MailState

MOST_AT_ONCE = 500


class OutboxMail(TypedDict):
    """One line of the list."""

    email_id: int
    template: str
    language: str
    recipient: str
    subject: str
    state: MailState
    queued_at: datetime
    sent_at: datetime | None
    attempts: int
    last_answer: str | None


class TriedDelivery(TypedDict):
    number: int
    started_at: datetime
    ended_at: datetime | None
    outcome: AttemptOutcome | None
    reply: str | None


class ShownMail(OutboxMail):
    """The whole mail. ``text``: the addresses of one-time links, which are the customer's, are blotted out."""

    message_id: str
    request_id: str
    text: str
    tries: list[TriedDelivery]


class Outbox:
    """Reads the outbox of one tenant."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def mails(
        self,
        *,
        states: Sequence[MailState] = (),
        recipient: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[OutboxMail]:
        """The newest first; ``before`` a number: the next page."""
        query = select(Mail).where(Mail.tenant_id == self._tenant_id).order_by(Mail.id.desc())
        if states:
            query = query.where(Mail.state.in_(states))
        if recipient is not None:
            query = query.where(Mail.recipient == recipient)
        if before is not None:
            query = query.where(Mail.id < before)
        return [_line(row) for row in await self._db.scalars(query.limit(min(limit, MOST_AT_ONCE)))]

    async def mail(self, email_id: int) -> ShownMail:
        """Raises: MailUnknown."""
        row = await self._db.scalar(select(Mail).where(Mail.tenant_id == self._tenant_id, Mail.id == email_id))
        if row is None:
            raise MailUnknown(email_id)
        tries = await self._db.scalars(
            select(MailAttempt).where(MailAttempt.mail_id == row.id).order_by(MailAttempt.number)
        )
        return ShownMail(
            **_line(row),
            message_id=row.message_id,
            request_id=row.request_id,
            text=without_tokens(row.text),
            tries=[
                TriedDelivery(
                    number=each.number,
                    started_at=each.started_at,
                    ended_at=each.ended_at,
                    outcome=each.outcome,
                    reply=each.reply,
                )
                for each in tries
            ],
        )


def _line(row: Mail) -> OutboxMail:
    return OutboxMail(
        email_id=row.id,
        template=row.template,
        language=row.language,
        recipient=row.recipient,
        subject=row.subject,
        state=row.state,
        queued_at=row.queued_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        last_answer=row.reason or row.smtp_reply,
    )
