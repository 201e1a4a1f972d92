"""What was told is kept for some weeks, so that it can be told again, and then forgotten."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, exists, select

from provisioning.intake import Clock
from provisioning.taken_messages import forget_old_messages
from provisioning.vault import SecretVault
from provisioning.webhooks.delivery import Begin
from provisioning.webhooks.secrets import forget_previous
from provisioning.webhooks.tables import Webhook, WebhookDelivery, WebhookMessage

AT_ONCE = 500


class Retention:
    """Forgets old messages, and secrets whose time is over. What is still to be delivered stays, however old; what
    waits for a disabled webhook is delivered to nobody, and goes with the others."""

    def __init__(self, begin: Begin, *, tenant_id: str, now: Clock, vault: SecretVault, keep: timedelta) -> None:
        self._begin = begin
        self._tenant_id = tenant_id
        self._now = now
        self._vault = vault
        self._keep = keep

    async def purge(self) -> int:
        """How many messages were forgotten, in transactions of a few hundred."""
        await self._forget_secrets()
        async with self._begin() as db:
            await forget_old_messages(db, tenant_id=self._tenant_id, now=self._now())
        forgotten, some = 0, AT_ONCE
        while some == AT_ONCE:
            some = await self._forget_messages()
            forgotten += some
        return forgotten

    async def _forget_messages(self) -> int:
        waiting = exists().where(
            WebhookDelivery.message_row == WebhookMessage.id,
            WebhookDelivery.state == "queued",
            Webhook.id == WebhookDelivery.webhook_id,
            Webhook.state == "enabled",
        )
        async with self._begin() as db:
            old = await db.scalars(
                select(WebhookMessage.id)
                .where(
                    WebhookMessage.tenant_id == self._tenant_id,
                    WebhookMessage.occurred_at < self._now() - self._keep,
                    ~waiting,
                )
                .order_by(WebhookMessage.id)
                .limit(AT_ONCE)
            )
            numbers = old.all()
            await db.execute(delete(WebhookDelivery).where(WebhookDelivery.message_row.in_(numbers)))
            await db.execute(delete(WebhookMessage).where(WebhookMessage.id.in_(numbers)))
            return len(numbers)

    async def _forget_secrets(self) -> None:
        async with self._begin() as db:
            over = await db.scalars(
                select(Webhook)
                .where(Webhook.tenant_id == self._tenant_id, Webhook.previous_secret_until <= self._now())
                .with_for_update(key_share=True)
            )
            for webhook in over.all():
                await forget_previous(db, self._vault, webhook)
