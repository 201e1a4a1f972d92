"""What comes of notices and tickets, and the links that mails hold."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from typing_extensions import TypedDict

LinkPurpose = Literal["accept_quote", "choose_visit", "move_visit", "reveal_wifi"]
NoticeState = Literal["queued", "sent", "failed", "withdrawn"]
TicketPriority = Literal["low", "normal", "high", "urgent"]
TicketState = Literal["open", "inProgress", "resolved", "closed", "cancelled"]


@dataclass(frozen=True)
class LinkTo:
    """What a one-time link is for: as a variable of a mail it becomes the link's address when the mail is written.

    ``subject``: the quote's or visit's number, the device's serial. ``expires_at``: when it no longer
    opens; take it from what is offered, so that a mail that is asked for twice is the same mail.
    """

    purpose: LinkPurpose
    subject: str
    expires_at: datetime


class QueuedNotice(TypedDict):
    """A notice to a team, in the outbox; delivered by the clock, not by the run."""

    notice_id: int
    team: str
    channel: str
    state: NoticeState


class CreatedTicket(TypedDict):
    """A ticket, and until when it is to be dealt with."""

    ticket_id: int
    customer_id: int | None
    title: str
    priority: TicketPriority
    assigned_team: str
    state: TicketState
    due_at: datetime
