"""Outgoing webhooks: who is told, what there is to tell, and how each telling stands.

A secret is sealed in the vault; the row has none. What is told holds numbers and states, never a person's data.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

WebhookState = Literal["enabled", "disabled"]
DeliveryState = Literal["queued", "delivered", "failed"]

QUEUED = text("state = 'queued'")


class Webhook(ProvisioningBase):
    """An address that is told of events of these types. ``resting_until``: its own side asked us to wait.

    ``previous_secret_until``: until then messages are signed with the secret before this one as well.
    """

    __tablename__ = "webhook"
    __table_args__ = (
        CheckConstraint("state IN ('enabled', 'disabled')", name="state"),
        CheckConstraint("(state = 'disabled') = (disabled_at IS NOT NULL)", name="disabled_at_when_disabled"),
        UniqueConstraint("tenant_id", "id", name="uq_webhook_tenant_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    url: Mapped[str] = mapped_column(Text)
    event_types: Mapped[list[str]] = mapped_column(JSON)
    state: Mapped[WebhookState] = mapped_column(Text)
    added_at: Mapped[datetime]
    added_by: Mapped[str] = mapped_column(String(200))
    disabled_at: Mapped[datetime | None]
    disable_reason: Mapped[str | None] = mapped_column(Text)
    resting_until: Mapped[datetime | None]
    previous_secret_until: Mapped[datetime | None]


class WebhookMessage(ProvisioningBase):
    """One thing that has happened, as everybody is told it: ``message_id`` is its number outside.

    The row's own number rises with time for each ``subject``, since whoever changes that holds its row.
    """

    __tablename__ = "webhook_message"
    __table_args__ = (
        UniqueConstraint("tenant_id", "id", name="uq_webhook_message_tenant_id"),
        Index("uq_webhook_message_number", "tenant_id", "message_id", unique=True),
        Index("ix_webhook_message_time", "tenant_id", "occurred_at"),
        {"sqlite_autoincrement": True},  # numbers tell the order, also after the oldest were purged
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    message_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64))
    subject: Mapped[str] = mapped_column(String(200))
    data: Mapped[dict[str, Any]] = mapped_column(JSON)
    occurred_at: Mapped[datetime]


class WebhookDelivery(ProvisioningBase):
    """One message to one webhook. ``claimed_until``: a process is sending it; when that time passes, another may."""

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        ForeignKeyConstraint(("tenant_id", "webhook_id"), ("webhook.tenant_id", "webhook.id")),
        ForeignKeyConstraint(("tenant_id", "message_row"), ("webhook_message.tenant_id", "webhook_message.id")),
        CheckConstraint("state IN ('queued', 'delivered', 'failed')", name="state"),
        CheckConstraint("(state = 'delivered') = (delivered_at IS NOT NULL)", name="delivered_at_when_delivered"),
        UniqueConstraint("webhook_id", "message_row", name="uq_webhook_delivery_once"),
        Index("ix_webhook_delivery_message", "message_row"),
        Index(
            "ix_webhook_delivery_failed",
            "tenant_id",
            "next_try_at",
            sqlite_where=text("state = 'failed'"),
            postgresql_where=text("state = 'failed'"),
        ),
        Index(
            "ix_webhook_delivery_due",
            "webhook_id",
            "subject",
            "message_row",
            sqlite_where=QUEUED,
            postgresql_where=QUEUED,
        ),
        # which message waits for a webhook longest
        Index(
            "ix_webhook_delivery_oldest",
            "webhook_id",
            "message_row",
            sqlite_where=QUEUED,
            postgresql_where=QUEUED,
        ),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    webhook_id: Mapped[Reference]
    message_row: Mapped[Reference]
    subject: Mapped[str] = mapped_column(String(200))
    state: Mapped[DeliveryState] = mapped_column(Text)
    attempts: Mapped[int] = mapped_column(default=0)  # since it was queued; a replay begins anew
    claims: Mapped[int] = mapped_column(default=0, server_default=text("0"))  # ever made: tells attempts apart
    next_try_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    delivered_at: Mapped[datetime | None]
    last_status: Mapped[int | None]
    last_error: Mapped[str | None] = mapped_column(Text)
