"""Tickets: what a team is to do, for whom, and until when."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.commercial.tables import OF_A_CUSTOMER
from provisioning.tables import Identity, ProvisioningBase, RowId, TenantId
from workflows.answers import TicketPriority, TicketState


class Ticket(ProvisioningBase):
    """One ticket. ``version`` counts its changes, so that two operators don't overwrite one another."""

    __tablename__ = "ticket"
    __table_args__ = (
        CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name="priority"),
        CheckConstraint("state IN ('open', 'inProgress', 'resolved', 'closed', 'cancelled')", name="state"),
        CheckConstraint("due_at > created_at", name="due_after_created"),
        CheckConstraint("(state IN ('closed', 'cancelled')) = (ended_at IS NOT NULL)", name="ended_at_when_ended"),
        ForeignKeyConstraint(*OF_A_CUSTOMER),
        ForeignKeyConstraint(("tenant_id", "assigned_team"), ("team.tenant_id", "team.name")),
        Index("uq_ticket_request", "tenant_id", "request_id", unique=True),
        Index("ix_ticket_due", "tenant_id", "due_at", "id"),
        Index("ix_ticket_state", "tenant_id", "state", "due_at", "id"),
        Index("ix_ticket_team", "tenant_id", "assigned_team", "due_at", "id"),
        Index("ix_ticket_customer", "tenant_id", "customer_id", "due_at", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    request_id: Mapped[str | None] = mapped_column(Text)
    request_digest: Mapped[str] = mapped_column(Text)
    title: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    customer_id: Mapped[int | None] = mapped_column(Identity)
    priority: Mapped[TicketPriority] = mapped_column(Text)
    assigned_team: Mapped[str] = mapped_column(String(64))
    state: Mapped[TicketState] = mapped_column(Text)
    created_at: Mapped[datetime]
    due_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    note: Mapped[str | None] = mapped_column(Text)
    version: Mapped[int] = mapped_column(default=1)
