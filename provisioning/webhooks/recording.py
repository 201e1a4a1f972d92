"""Facts become messages in the transaction that makes them so: bound to the database's flushes by the composition.

Only what somebody subscribes to is written. A webhook that is disabled is told nothing, but what it would have been
told is kept, so that it can be replayed.
"""

from __future__ import annotations

from sqlalchemy import insert, select
from sqlalchemy.orm import Session as Flushed

from provisioning.intake import Clock
from provisioning.webhooks.messages import Fact, fact_of_event, fact_of_run, fact_of_subscriber, new_message_id
from provisioning.webhooks.tables import Webhook, WebhookDelivery, WebhookMessage
from radius import subscriber_changes
from workflows import published_events, run_changes


class FactRecorder:
    """Writes one tenant's facts into the outbox."""

    def __init__(self, *, tenant_id: str, now: Clock) -> None:
        self._tenant_id = tenant_id
        self._now = now

    def __call__(self, flushed: Flushed) -> None:
        """What this flush has changed is written beside it."""
        facts = self._facts(flushed)
        if not facts:
            return
        db = flushed.connection()
        known = select(Webhook.id, Webhook.event_types, Webhook.state).where(Webhook.tenant_id == self._tenant_id)
        webhooks = db.execute(known.order_by(Webhook.id)).all()
        for fact in facts:
            subscribed = [each for each in webhooks if fact.type in each.event_types]
            if not subscribed:
                continue
            now = self._now()
            message_row = db.execute(
                insert(WebhookMessage)
                .values(
                    tenant_id=self._tenant_id,
                    message_id=new_message_id(),
                    type=fact.type,
                    subject=fact.subject,
                    data=fact.data,
                    occurred_at=now,
                )
                .returning(WebhookMessage.id)
            ).scalar_one()
            delivery = {
                "tenant_id": self._tenant_id,
                "message_row": message_row,
                "subject": fact.subject,
                "state": "queued",
                "attempts": 0,
                "next_try_at": now,
            }
            deliveries = [{**delivery, "webhook_id": each.id} for each in subscribed if each.state == "enabled"]
            if deliveries:
                db.execute(insert(WebhookDelivery), deliveries)

    def _facts(self, flushed: Flushed) -> list[Fact]:
        return [
            *(fact_of_event(each) for each in published_events(flushed) if each.tenant_id == self._tenant_id),
            *(fact_of_run(each) for each in run_changes(flushed) if each.tenant_id == self._tenant_id),
            *(fact_of_subscriber(each) for each in subscriber_changes(flushed) if each.tenant_id == self._tenant_id),
        ]
