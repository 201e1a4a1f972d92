"""Mails and notices that have not arrived: refused, of an unknown outcome, or waiting for longer than they should."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.notices.notice_tables import Notice
from provisioning.commercial.tables import Mail
from workflows import UtcDateTime

LATELY = timedelta(days=1)
WAITS_TOO_LONG = timedelta(minutes=15)


@dataclass(frozen=True)
class FailingMessages:
    """How many mails or notices have come to the same, since when, and why the last of them has."""

    kind: Literal["mail", "notice"]
    state: str
    count: int
    since: datetime
    last: int
    why: str | None


async def failing_messages(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[FailingMessages]:
    """What was refused, given up or never answered within a day, and what has been queued for a quarter of an hour."""
    found: list[FailingMessages] = []
    mail, notice = Mail.__table__.c, Notice.__table__.c
    for state, since, until in (
        ("refused", now - LATELY, now),
        ("unknown", now - LATELY, now),
        ("queued", None, now - WAITS_TOO_LONG),
    ):
        mine = [mail.tenant_id == tenant_id, mail.state == state, mail.queued_at <= until]
        mine += [] if since is None else [mail.queued_at >= since]
        newest = func.max(mail.id), func.count(), func.min(mail.queued_at, type_=UtcDateTime)
        last, count, first = (await db.execute(select(*newest).where(*mine))).one()
        if count:
            why = await db.scalar(select(func.coalesce(mail.reason, mail.smtp_reply)).where(mail.id == last))
            found.append(FailingMessages("mail", state, count, first, last, why))
    for state in ("failed", "queued"):
        at = notice.queued_at >= now - LATELY if state == "failed" else notice.next_try_at <= now - WAITS_TOO_LONG
        newest = func.max(notice.id), func.count(), func.min(notice.queued_at, type_=UtcDateTime)
        mine = [notice.tenant_id == tenant_id, notice.state == state, at]
        last, count, first = (await db.execute(select(*newest).where(*mine))).one()
        if count:
            why = await db.scalar(select(notice.last_error).where(notice.id == last))
            found.append(FailingMessages("notice", state, count, first, last, why))
    return found
