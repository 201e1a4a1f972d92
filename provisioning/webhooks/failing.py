"""Webhooks that don't hear what they should: disabled, at rest, behind with it, or with messages that were given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import and_, func, literal_column, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.days import minute
from provisioning.webhooks.tables import Webhook, WebhookDelivery, WebhookMessage
from workflows import UtcDateTime

LATELY = timedelta(days=1)
TRIED_IN_VAIN = 4
"""So often without success, which takes some two minutes, and it is no hiccup any more."""
MOST_COUNTED = 1000
"""So many messages that wait are counted; of more it is said that they are more."""

_DELIVERY, _MESSAGE = WebhookDelivery.__table__.c, WebhookMessage.__table__.c


@dataclass(frozen=True)
class FailingWebhook:
    """A webhook, why it hears nothing, how many messages wait for it (one more than ``MOST_COUNTED``: more than that),
    and how many were given up within a day.

    ``host``: of its address, whose path may be a secret. ``since``: when it was disabled, else when that happened of
    which it should have heard first; of what was given up alone, when the first of that was.
    """

    webhook_id: int
    host: str
    reason: str
    since: datetime | None
    given_up: int
    waiting: int = 0

    @property
    def besides(self) -> str:
        """What is missing there, in sentences; nothing, if nothing is."""
        told = [
            f" {_counted(count)} {'message' if count == 1 else 'messages'} {one if count == 1 else many}."
            for count, one, many in (
                (self.waiting, "waits for it", "wait for it"),
                (self.given_up, "was given up within a day", "were given up within a day"),
            )
            if count
        ]
        return "".join(told)


def _counted(count: int) -> str:
    return str(count) if count <= MOST_COUNTED else f"More than {MOST_COUNTED}"


@dataclass(frozen=True)
class _Behind:
    """What waits for a webhook: how much, and of its oldest since when, how often it was tried and what came of it."""

    waiting: int
    since: datetime
    attempts: int
    error: str | None


async def failing_webhooks(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[FailingWebhook]:
    """Those that need a person; one that somebody has disabled by hand is told as well, since its messages are lost."""
    given_up, behind = await _given_up(db, tenant_id, now), await _behind(db, tenant_id)
    stuck = [number for number, each in behind.items() if each.attempts >= TRIED_IN_VAIN]
    unheard = or_(Webhook.state == "disabled", Webhook.resting_until > now, Webhook.id.in_([*given_up, *stuck]))
    query = select(Webhook).where(Webhook.tenant_id == tenant_id, unheard).order_by(Webhook.id)
    found = []
    for webhook in await db.scalars(query):
        count, since = given_up.get(webhook.id, (0, None))
        waits = behind.get(webhook.id)
        if webhook.state == "disabled":
            reason, since = f"is disabled: {webhook.disable_reason or 'no reason was told'}", webhook.disabled_at
        elif webhook.id not in stuck and not _rests(webhook, now):  # what waits has yet to be tried often enough
            reason = "has refused what it was told, until that was given up"
        else:
            reason, since = _why(webhook, waits, now), since if waits is None else waits.since
        host, waiting = urlsplit(webhook.url).hostname or "", 0 if waits is None else waits.waiting
        found.append(FailingWebhook(webhook.id, host, reason, since, count, waiting))
    return found


def _rests(webhook: Webhook, now: datetime) -> bool:
    return webhook.resting_until is not None and webhook.resting_until > now


def _why(webhook: Webhook, waits: _Behind | None, now: datetime) -> str:
    said = f" ({waits.error})" if waits is not None and waits.error else ""
    if webhook.resting_until is not None and _rests(webhook, now):
        return f"has asked to be left alone until {minute(webhook.resting_until)}{said}"
    return f"does not take what it is told{said}"


async def _given_up(db: AsyncSession, tenant_id: str, now: datetime) -> dict[int, tuple[int, datetime]]:
    counted = (
        select(_DELIVERY.webhook_id, func.count(), func.min(_DELIVERY.next_try_at, type_=UtcDateTime))
        .where(_DELIVERY.tenant_id == tenant_id, _DELIVERY.state == "failed", _DELIVERY.next_try_at >= now - LATELY)
        .group_by(_DELIVERY.webhook_id)
    )
    return {number: (count, since) for number, count, since in await db.execute(counted)}


async def _behind(db: AsyncSession, tenant_id: str) -> dict[int, _Behind]:
    """Read along the indexes of what is queued, and no further than is counted: one webhook that has heard nothing for
    a week makes no look slow."""
    # a literal: SQLite takes an index of a part only for words that stand in the statement
    queued = and_(_DELIVERY.webhook_id == Webhook.id, _DELIVERY.state == literal_column("'queued'"))
    some = select(_DELIVERY.id).where(queued).limit(MOST_COUNTED + 1).correlate(Webhook).subquery()
    oldest = select(_DELIVERY.message_row).where(queued).order_by(_DELIVERY.message_row).limit(1).correlate(Webhook)
    behind = (
        select(
            Webhook.id,
            select(func.count()).select_from(some).scalar_subquery().label("waiting"),
            oldest.scalar_subquery().label("oldest"),
        )
        .where(Webhook.tenant_id == tenant_id)
        .subquery()
    )
    first = and_(_DELIVERY.webhook_id == behind.c.id, _DELIVERY.message_row == behind.c.oldest)
    found = await db.execute(
        select(behind.c.id, behind.c.waiting, _MESSAGE.occurred_at, _DELIVERY.attempts, _DELIVERY.last_error)
        .join(WebhookDelivery.__table__, first)
        .join(WebhookMessage.__table__, _MESSAGE.id == _DELIVERY.message_row)
    )
    return {row.id: _Behind(row.waiting, row.occurred_at, row.attempts, row.last_error) for row in found}
