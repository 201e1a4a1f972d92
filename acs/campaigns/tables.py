"""Campaigns and the CPEs each is for."""

from __future__ import annotations

from datetime import datetime, time
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    Time,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column

from acs.tables import AcsBase, UtcDateTime

CAMPAIGN_STATES = ("planned", "running", "paused", "stopped", "cancelled", "completed")
MEMBER_STATES = ("waiting", "under_way", "done", "failed", "unreached", "skipped")


def _one_of(column: str, states: tuple[str, ...]) -> str:
    return f"{column} IN ({', '.join(repr(state) for state in states)})"


class AcsCampaign(AcsBase):
    """One change for a group of CPEs, and how far it is."""

    __tablename__ = "acs_campaign"
    __table_args__ = (
        UniqueConstraint("tenant_id", "name", name="acs_campaign_name"),
        CheckConstraint(_one_of("state", CAMPAIGN_STATES), name="acs_campaign_state"),
        CheckConstraint("canary >= 0 AND batch_size > 0", name="acs_campaign_sizes"),
        CheckConstraint("most_failed_percent BETWEEN 0 AND 100", name="acs_campaign_percent"),
        CheckConstraint("(window_begins IS NULL) = (window_ends IS NULL)", name="acs_campaign_window"),
        Index("ix_acs_campaign_state", "tenant_id", "state", "id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What is brought to the CPEs; its keys are the kind's."""
    canary: Mapped[int] = mapped_column(Integer)
    batch_size: Mapped[int] = mapped_column(Integer)
    most_failed_percent: Mapped[int] = mapped_column(Integer)
    patience_seconds: Mapped[int] = mapped_column(Integer)
    """How long a CPE that has begun may take before it counts as unreached."""
    window_begins: Mapped[time | None] = mapped_column(Time)
    """By the ISP's clock."""
    window_ends: Mapped[time | None] = mapped_column(Time)

    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    """Why it is in that state, or what it waits for, in words."""
    pardoned_done: Mapped[int] = mapped_column(Integer, default=0)
    """How many had ended done, failed, and neither, when a person last let it go on after a stop."""
    pardoned_failed: Mapped[int] = mapped_column(Integer, default=0)
    pardoned_others: Mapped[int] = mapped_column(Integer, default=0)
    recalls: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
    """It has stopped, and what had begun and was not sent is being taken back, some CPEs a turn."""

    planned_by: Mapped[str] = mapped_column(Text)
    planned_at: Mapped[datetime] = mapped_column(UtcDateTime)
    started_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AcsCampaignMember(AcsBase):
    """One CPE in a campaign, and what became of it."""

    __tablename__ = "acs_campaign_member"
    __table_args__ = (
        UniqueConstraint("campaign_id", "device_row_id", name="acs_campaign_member_once"),
        CheckConstraint(_one_of("state", MEMBER_STATES), name="acs_campaign_member_state"),
        CheckConstraint("(state IN ('waiting', 'under_way')) = (ended_at IS NULL)", name="acs_campaign_member_ended"),
        Index("ix_acs_campaign_member_state", "campaign_id", "state", "id"),
        Index("ix_acs_campaign_member_device", "device_row_id"),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    """The order in which they begin."""
    tenant_id: Mapped[str] = mapped_column(Text)
    campaign_id: Mapped[int] = mapped_column(ForeignKey("acs_campaign.id"))
    device_row_id: Mapped[int] = mapped_column(ForeignKey("acs_device.id"))
    serial: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    mark: Mapped[str | None] = mapped_column(Text)
    """By what the change is known at this CPE once begun: the revision, or the number of the operation."""
    begun_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
