"""Teams, how each is reached, and the outbox of notices to them.

A channel's address holds a token, so it is sealed in the vault; the row has its reference alone.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, RowId, TenantId
from workflows.answers import NoticeState

TeamName = String(64)


class Team(ProvisioningBase):
    """Some of the ISP's people. ``email``: the channel *email*, sent by our own mail server."""

    __tablename__ = "team"

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(TeamName, primary_key=True)
    email: Mapped[str | None] = mapped_column(Text)


class TeamChannel(ProvisioningBase):
    """One more way to reach a team. ``kind`` is the first word of its Apprise address, which ``address_ref`` names."""

    __tablename__ = "team_channel"
    __table_args__ = (ForeignKeyConstraint(("tenant_id", "team"), ("team.tenant_id", "team.name")),)

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    team: Mapped[str] = mapped_column(TeamName, primary_key=True)
    name: Mapped[str] = mapped_column(TeamName, primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    address_ref: Mapped[str] = mapped_column(String(200))


class Notice(ProvisioningBase):
    """One message to a team. ``claimed_until``: a process is sending it; when that time passes, another may."""

    __tablename__ = "notice"
    __table_args__ = (
        CheckConstraint("state IN ('queued', 'sent', 'failed', 'withdrawn')", name="state"),
        CheckConstraint("(state = 'sent') = (sent_at IS NOT NULL)", name="sent_at_when_sent"),
        ForeignKeyConstraint(("tenant_id", "team"), ("team.tenant_id", "team.name")),
        Index("uq_notice_request", "tenant_id", "request_id", unique=True),
        Index("ix_notice_state", "tenant_id", "state", "id"),
        Index(
            "ix_notice_due",
            "tenant_id",
            "next_try_at",
            sqlite_where=text("state = 'queued'"),
            postgresql_where=text("state = 'queued'"),
        ),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    request_id: Mapped[str] = mapped_column(Text)
    team: Mapped[str] = mapped_column(TeamName)
    channel: Mapped[str] = mapped_column(TeamName)
    subject: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column("metadata", JSON)
    state: Mapped[NoticeState] = mapped_column(Text)
    queued_at: Mapped[datetime]
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime]
    claimed_until: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    last_error: Mapped[str | None] = mapped_column(Text)
