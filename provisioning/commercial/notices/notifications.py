"""notifications_service: what a team is told is kept in an outbox with the work it belongs to; the clock delivers it.

So a notice commits or vanishes together with what caused it, and a channel that is down holds up no order.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from provisioning.commercial.mails.rendering import leaves
from provisioning.commercial.notices.notice_errors import NoticeSent, NoticeUnknown, NoticeWithdrawn
from provisioning.commercial.notices.notice_tables import Notice
from provisioning.commercial.notices.teams import require_channel
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.intake import SECRET_REFERENCE, Clock, Faults
from workflows.answers import NoticeState, QueuedNotice

LONGEST_MESSAGE = 4000
MOST_METADATA = 4000
MOST_AT_ONCE = 500

# What a template language would have replaced: ${step.order_id}, {{ order_id }}, {% if %}.
_UNRENDERED = re.compile(r"\$\{|\{\{|\{%")


class NoticeRecord(TypedDict):
    """A notice as an operator sees it."""

    notice_id: int
    team: str
    channel: str
    subject: str
    message: str
    metadata: dict[str, Any]
    state: NoticeState
    queued_at: datetime
    sent_at: datetime | None
    attempts: int
    next_try_at: datetime
    last_error: str | None


class NotificationsService:
    """Queues notices to teams. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now

    async def notify_team(
        self,
        *,
        team: str,
        channel: str,
        subject: str,
        message: str,
        metadata: Mapping[str, Any] | None = None,
        request_id: str | None = None,
    ) -> QueuedNotice:
        """Queue this notice. The same request is the same notice, whatever state it has reached since; without a
        request id, every call is a notice of its own. ``metadata``: single values by name, told below the message.

        Raises: InvalidRequest (all faults; an unrendered placeholder is one), TeamUnknown, ChannelUnknown,
        RequestConflict, NoticeWithdrawn, ChangeRaced.
        """
        faults = Faults("The notice")
        request = f"notice/{secrets.token_hex(16)}" if request_id is None else faults.line("request_id", request_id)
        wish: dict[str, Any] = {
            "team": faults.line("team", team, longest=64),
            "channel": faults.line("channel", channel, longest=64),
            "subject": faults.line("subject", subject),
            "message": faults.text("message", message, longest=LONGEST_MESSAGE),
            "details": _metadata(metadata or {}, faults),
        }
        for field in ("subject", "message"):
            _refuse_unrendered(field, wish[field], faults)
        faults.refuse_if_any()
        if (queued := await self._queued(request, wish)) is not None:
            return queued
        await require_channel(self._db, self._tenant_id, wish["team"], wish["channel"])
        now = self._now()
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(Notice)
                    .values(
                        tenant_id=self._tenant_id,
                        request_id=request,
                        state="queued",
                        queued_at=now,
                        next_try_at=now,
                        attempts=0,
                        **wish,
                    )
                    .returning(Notice)
                )
        except IntegrityError as exc:
            if (queued := await self._queued(request, wish)) is not None:
                return queued
            raise ChangeRaced from exc
        assert row is not None
        return _answer(row)

    async def withdraw_notice(self, *, notice_id: int) -> QueuedNotice:
        """Undo of ``notify_team``: a notice that isn't sent yet never is; one that was sent stays sent.

        Raises: NoticeUnknown.
        """
        row = await self._locked(notice_id)
        if row.state != "sent":
            row.state = "withdrawn"
            await self._db.flush()  # a later question in this transaction must find it withdrawn
        return _answer(row)

    async def retry_notice(self, *, notice_id: int) -> QueuedNotice:
        """Try a notice again from now, with all its attempts before it: what an operator does after the channel was
        put right.

        Raises: NoticeUnknown, NoticeSent, NoticeWithdrawn.
        """
        row = await self._locked(notice_id)
        if row.state == "sent":
            raise NoticeSent(row.id, row.team)
        if row.state == "withdrawn":
            raise NoticeWithdrawn(row.id)
        row.state, row.attempts, row.next_try_at = "queued", 0, self._now()
        await self._db.flush()  # a later question in this transaction must find it queued
        return _answer(row)

    async def notices(
        self, *, states: Sequence[NoticeState] = (), team: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[NoticeRecord]:
        """The newest first; ``before`` a number: the next page."""
        query = select(Notice).where(Notice.tenant_id == self._tenant_id).order_by(Notice.id.desc())
        if states:
            query = query.where(Notice.state.in_(states))
        if team is not None:
            query = query.where(Notice.team == team)
        if before is not None:
            query = query.where(Notice.id < before)
        return [_record(row) for row in await self._db.scalars(query.limit(min(limit, MOST_AT_ONCE)))]

    async def _queued(self, request_id: str, wish: dict[str, Any]) -> QueuedNotice | None:
        row = await self._db.scalar(
            select(Notice)
            .where(Notice.tenant_id == self._tenant_id, Notice.request_id == request_id)
            .execution_options(populate_existing=True)
        )
        if row is None:
            return None
        if any(getattr(row, field) != value for field, value in wish.items()):
            raise RequestConflict(request_id, f"notice {row.id}")
        if row.state == "withdrawn":
            raise NoticeWithdrawn(row.id)
        return _answer(row)

    async def _locked(self, notice_id: int) -> Notice:
        row = await self._db.scalar(
            select(Notice)
            .where(Notice.tenant_id == self._tenant_id, Notice.id == notice_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise NoticeUnknown(notice_id)
        return row


def _metadata(given: Mapping[str, Any], faults: Faults) -> dict[str, Any]:
    """The particulars as JSON keeps them."""
    for name, value in leaves("metadata", given):
        if isinstance(value, str):
            _refuse_unrendered(name, value, faults)
            if value.startswith(SECRET_REFERENCE):
                faults.add(name, "refers to a secret, and secrets are not told to teams")
        elif value is not None and not isinstance(value, bool | int | float):
            faults.add(name, f"is a {type(value).__name__}; write it as text")
    try:
        kept = json.dumps(given, allow_nan=False)
    except (TypeError, ValueError):
        faults.add("metadata", "is not what JSON can keep")
        return {}
    if len(kept) > MOST_METADATA:
        faults.add("metadata", f"is longer than {MOST_METADATA} characters")
    read: dict[str, Any] = json.loads(kept)
    return read


def _refuse_unrendered(field: str, text: str, faults: Faults) -> None:
    if (found := _UNRENDERED.search(text)) is not None:
        faults.add(field, f"still has a placeholder in it ({found.group()}...), which nobody would fill in")


def _answer(row: Notice) -> QueuedNotice:
    return QueuedNotice(notice_id=row.id, team=row.team, channel=row.channel, state=row.state)


def _record(row: Notice) -> NoticeRecord:
    return NoticeRecord(
        notice_id=row.id,
        team=row.team,
        channel=row.channel,
        subject=row.subject,
        message=row.message,
        metadata=row.details,
        state=row.state,
        queued_at=row.queued_at,
        sent_at=row.sent_at,
        attempts=row.attempts,
        next_try_at=row.next_try_at,
        last_error=row.last_error,
    )
