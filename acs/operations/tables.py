"""The record of every operation on a CPE; it is there before anything is sent."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column

from acs.tables import AcsBase, UtcDateTime

OPERATION_STATES = ("requested", "queued", "done", "faulted", "expired", "partial", "unknown", "cancelled")
OPERATION_STAGES = ("new", "sending", "queued", "withdrawing", "refused", "ran")
_OPEN = text("ended_at IS NULL")
_EXCLUSIVE = text("ended_at IS NULL AND alone")
_STATES = ", ".join(f"'{state}'" for state in OPERATION_STATES)
_STAGES = ", ".join(f"'{stage}'" for stage in OPERATION_STAGES)


class AcsOperation(AcsBase):
    """One operation on one CPE.

    ``stage`` is how far its present ``step`` has come at the ACS: *new* nothing was sent; *sending* something may have
    been; *queued* the ACS has the task; *withdrawing* the task is being taken back; *refused* the CPE said no and the
    task is being taken back; *ran* the task has left the queue and its effect is awaited.
    """

    __tablename__ = "acs_operation"
    __table_args__ = (
        UniqueConstraint("tenant_id", "request_id", name="acs_operation_once"),
        Index("ix_acs_operation_newest", "tenant_id", "id"),
        Index("ix_acs_operation_device", "tenant_id", "device_serial", "id"),
        Index("ix_acs_operation_due", "tenant_id", "due_at", sqlite_where=_OPEN, postgresql_where=_OPEN),
        # A CPE that fetches firmware must not be rebooted meanwhile, and two pings share one set of parameters.
        Index(
            "acs_operation_exclusive",
            "tenant_id",
            "device_serial",
            unique=True,
            sqlite_where=_EXCLUSIVE,
            postgresql_where=_EXCLUSIVE,
        ),
        CheckConstraint(f"state IN ({_STATES})", name="acs_operation_state"),
        CheckConstraint(f"stage IN ({_STAGES})", name="acs_operation_stage"),
        CheckConstraint(
            "(ended_at IS NULL) = (state IN ('requested', 'queued')) OR state = 'unknown'", name="acs_operation_ended"
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text)
    device_serial: Mapped[str] = mapped_column(String(64))
    """Canonical spelling (``acs.serials``)."""
    device_row_id: Mapped[int | None] = mapped_column(ForeignKey("acs_device.id"))
    """The binding it is for: the CPE of another customer gets nothing of it."""
    customer_id: Mapped[int | None] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    arguments: Mapped[dict[str, Any]] = mapped_column(JSON)
    """Never a secret; a passphrase by its reference."""
    alone: Mapped[bool] = mapped_column()
    request_id: Mapped[str | None] = mapped_column(String(200))

    state: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    """Why it is in that state, in words."""
    result: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    cancel_wanted: Mapped[bool] = mapped_column(default=False)

    step: Mapped[int] = mapped_column(Integer, default=0)
    stage: Mapped[str] = mapped_column(Text, default="new")
    looks: Mapped[int] = mapped_column(Integer, default=0)
    """Since the stage began; what it waits for longer is looked at more rarely."""
    inform_heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """The last Inform that the CPE's row knew of at the last look, by the ACS's clock."""
    attempts: Mapped[int] = mapped_column(Integer, default=0)
    """Of the present step."""
    baseline: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
    """What the ACS said of the CPE before anything was sent, by the ACS's clock: what has moved since is the effect."""
    device_id: Mapped[str | None] = mapped_column(Text)
    task_id: Mapped[str | None] = mapped_column(Text)

    requested_by: Mapped[str] = mapped_column(Text)
    requested_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    queued_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    due_at: Mapped[datetime] = mapped_column(UtcDateTime)
    leased_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    leased_by: Mapped[str | None] = mapped_column(String(32))
