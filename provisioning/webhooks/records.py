"""A webhook and a delivery as an operator sees them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from typing_extensions import TypedDict

from provisioning.webhooks.tables import DeliveryState, Webhook, WebhookDelivery, WebhookMessage, WebhookState


class WebhookRecord(TypedDict):
    """A webhook as an operator sees it."""

    webhook_id: int
    url: str
    event_types: list[str]
    state: WebhookState
    added_at: datetime
    added_by: str
    disabled_at: datetime | None
    disable_reason: str | None
    resting_until: datetime | None
    previous_secret_until: datetime | None


class WebhookWithSecret(WebhookRecord):
    """``secret``: shown this once."""

    secret: str


class DeliveryRecord(TypedDict):
    """A message to a webhook, and how its delivery stands."""

    webhook_id: int
    message_id: str
    type: str
    subject: str
    data: dict[str, Any]
    occurred_at: datetime
    state: DeliveryState
    attempts: int
    next_try_at: datetime
    delivered_at: datetime | None
    last_status: int | None
    last_error: str | None
    delivery_id: int


def impersonal_webhook(webhook: WebhookRecord) -> dict[str, Any]:
    """What may be kept of it for ever: no secret, and not its address, which may hold a token of the other side."""
    return {name: value for name, value in webhook.items() if name not in ("secret", "url")}


def record_of(row: Webhook) -> WebhookRecord:
    return WebhookRecord(
        webhook_id=row.id,
        url=row.url,
        event_types=row.event_types,
        state=row.state,
        added_at=row.added_at,
        added_by=row.added_by,
        disabled_at=row.disabled_at,
        disable_reason=row.disable_reason,
        resting_until=row.resting_until,
        previous_secret_until=row.previous_secret_until,
    )


def delivery_of(delivery: WebhookDelivery, message: WebhookMessage) -> DeliveryRecord:
    return DeliveryRecord(
        delivery_id=delivery.id,
        webhook_id=delivery.webhook_id,
        message_id=message.message_id,
        type=message.type,
        subject=message.subject,
        data=message.data,
        occurred_at=message.occurred_at,
        state=delivery.state,
        attempts=delivery.attempts,
        next_try_at=delivery.next_try_at,
        delivered_at=delivery.delivered_at,
        last_status=delivery.last_status,
        last_error=delivery.last_error,
    )
