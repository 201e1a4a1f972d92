"""What must always be true of outgoing webhooks, asked of the database itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.vault import SealedSecret
from provisioning.webhooks.delivery import is_due
from provisioning.webhooks.secrets import secret_ref
from provisioning.webhooks.tables import Webhook, WebhookDelivery, WebhookMessage


@dataclass(frozen=True)
class StuckDelivery:
    """A message that nobody has tried to deliver for long after its time."""

    webhook_id: int
    message_id: str
    next_try_at: datetime
    attempts: int

    @property
    def subject(self) -> str:
        return f"webhook {self.webhook_id}"

    @property
    def sentence(self) -> str:
        return (
            f"Message {self.message_id} to webhook {self.webhook_id} should have been tried at"
            f" {self.next_try_at:%Y-%m-%d %H:%M} UTC (attempts so far: {self.attempts}): no worker seems to be at work."
        )


@dataclass(frozen=True)
class WebhookWithoutSecret:
    """A webhook whose messages can't be signed."""

    webhook_id: int

    @property
    def subject(self) -> str:
        return f"webhook {self.webhook_id}"

    @property
    def sentence(self) -> str:
        return f"Webhook {self.webhook_id} has no secret in the vault, so nothing can be sent to it."


async def stuck_deliveries(db: AsyncSession, tenant_id: str, *, now: datetime, after: timedelta) -> list[StuckDelivery]:
    """What could have been sent all the time since it was due, that long ago. What waits for an earlier message of its
    subject, for its webhook's rest or for the end of a claim is not meant."""
    rows = await db.execute(
        select(
            WebhookDelivery.webhook_id,
            WebhookMessage.message_id,
            WebhookDelivery.next_try_at,
            WebhookDelivery.attempts,
        )
        .join(Webhook, Webhook.id == WebhookDelivery.webhook_id)
        .join(WebhookMessage, WebhookMessage.id == WebhookDelivery.message_row)
        .where(WebhookDelivery.tenant_id == tenant_id, is_due(now - after))
        .order_by(WebhookDelivery.id)
    )
    return [StuckDelivery(*row) for row in rows.all()]


async def webhooks_without_secret(db: AsyncSession, tenant_id: str) -> list[WebhookWithoutSecret]:
    """Webhooks whose secret is gone."""
    numbers = await db.scalars(select(Webhook.id).where(Webhook.tenant_id == tenant_id).order_by(Webhook.id))
    found = []
    for number in numbers.all():
        kept = exists().where(SealedSecret.tenant_id == tenant_id, SealedSecret.ref == secret_ref(number))
        if not await db.scalar(select(kept)):
            found.append(WebhookWithoutSecret(number))
    return found
