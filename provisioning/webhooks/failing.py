"""Webhooks that don't hear what they should: disabled by us, at rest, or with messages that were given up."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.webhooks.tables import Webhook, WebhookDelivery
from workflows import UtcDateTime

LATELY = timedelta(days=1)


@dataclass(frozen=True)
class FailingWebhook:
    """A webhook, why it hears nothing, and how many messages were given up within a day.

    ``host``: of its address, whose path may be a secret.
    """

    webhook_id: int
    host: str
    reason: str
    since: datetime | None
    given_up: int


async def failing_webhooks(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[FailingWebhook]:
    """Those that need a person; one that somebody has disabled by hand is told as well, since its messages are lost."""
    delivery = WebhookDelivery.__table__.c
    counted = (
        select(delivery.webhook_id, func.count(), func.min(delivery.next_try_at, type_=UtcDateTime))
        .where(delivery.tenant_id == tenant_id, delivery.state == "failed", delivery.next_try_at >= now - LATELY)
        .group_by(delivery.webhook_id)
    )
    given_up = {number: (count, since) for number, count, since in await db.execute(counted)}
    unheard = or_(Webhook.state == "disabled", Webhook.resting_until > now, Webhook.id.in_(list(given_up)))
    query = select(Webhook).where(Webhook.tenant_id == tenant_id, unheard).order_by(Webhook.id)
    found = []
    for webhook in await db.scalars(query):
        count, since = given_up.get(webhook.id, (0, None))
        if webhook.state == "disabled":
            reason, since = f"is disabled: {webhook.disable_reason or 'no reason was told'}", webhook.disabled_at
        elif webhook.resting_until is not None and webhook.resting_until > now:
            reason = "does not answer, and is left alone for a while"
        else:
            reason = "has refused what it was told, until that was given up"
        found.append(FailingWebhook(webhook.id, urlsplit(webhook.url).hostname or "", reason, since, count))
    return found
