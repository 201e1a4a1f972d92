"""What must always be true of notices, tickets and links, asked of the database itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.helpdesk.ticket_tables import Ticket
from provisioning.commercial.notices.notice_tables import Notice
from provisioning.links import OneTimeLinkUse


@dataclass(frozen=True)
class StuckNotice:
    """A notice that nobody has tried for long after its time."""

    notice_id: int
    team: str
    next_try_at: datetime
    attempts: int

    @property
    def subject(self) -> str:
        return f"notice {self.notice_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Notice {self.notice_id} to team {self.team} should have been tried at {self.next_try_at:%Y-%m-%d %H:%M}"
            f" UTC (attempts so far: {self.attempts}): no worker seems to be at work."
        )


@dataclass(frozen=True)
class TicketDueTooEarly:
    """A ticket that was overdue when it was opened."""

    ticket_id: int
    created_at: datetime
    due_at: datetime

    @property
    def subject(self) -> str:
        return f"ticket {self.ticket_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Ticket {self.ticket_id} was opened at {self.created_at:%Y-%m-%d %H:%M} UTC and was due at"
            f" {self.due_at:%Y-%m-%d %H:%M} UTC already."
        )


@dataclass(frozen=True)
class LinkUsedTwice:
    """One link, several uses; its nonce is not repeated, since it is half of what makes the link."""

    purpose: str
    link_subject: str
    uses: int

    @property
    def subject(self) -> str:
        return f"{self.purpose} {self.link_subject}"

    @property
    def sentence(self) -> str:
        return f"A one-time link to {self.purpose} of {self.link_subject} was used {self.uses} times."


async def stuck_notices(db: AsyncSession, tenant_id: str, *, due_before: datetime) -> list[StuckNotice]:
    """Notices that were due before that time and are still queued."""
    rows = await db.execute(
        select(Notice.id, Notice.team, Notice.next_try_at, Notice.attempts)
        .where(Notice.tenant_id == tenant_id, Notice.state == "queued", Notice.next_try_at < due_before)
        .order_by(Notice.next_try_at, Notice.id)
    )
    return [StuckNotice(*row) for row in rows.all()]


async def tickets_due_too_early(db: AsyncSession, tenant_id: str) -> list[TicketDueTooEarly]:
    """Tickets that are not due after they were opened."""
    rows = await db.execute(
        select(Ticket.id, Ticket.created_at, Ticket.due_at)
        .where(Ticket.tenant_id == tenant_id, Ticket.due_at <= Ticket.created_at)
        .order_by(Ticket.id)
    )
    return [TicketDueTooEarly(*row) for row in rows.all()]


async def links_used_twice(db: AsyncSession, tenant_id: str) -> list[LinkUsedTwice]:
    """Links with more than one use."""
    use = (OneTimeLinkUse.purpose, OneTimeLinkUse.subject, OneTimeLinkUse.nonce)
    rows = await db.execute(
        select(OneTimeLinkUse.purpose, OneTimeLinkUse.subject, func.count())
        .where(OneTimeLinkUse.tenant_id == tenant_id)
        .group_by(*use)
        .having(func.count() > 1)
        .order_by(*use)
    )
    return [LinkUsedTwice(*row) for row in rows.all()]
