"""What visits are planned by: kinds of jobs, and when a technician is away."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, CheckConstraint, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId


class VisitJob(ProvisioningBase):
    """A kind of job: how long it takes, what is kept free after it, what it needs.

    ``window_minutes``: so many minutes after the start the technician may arrive.
    """

    __tablename__ = "visit_job"
    __table_args__ = (
        CheckConstraint("duration_minutes BETWEEN 5 AND 1440", name="duration"),
        CheckConstraint("buffer_minutes BETWEEN 0 AND 240", name="buffer"),
        CheckConstraint("window_minutes BETWEEN 0 AND 480", name="window"),
    )

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    duration_minutes: Mapped[int]
    buffer_minutes: Mapped[int]
    window_minutes: Mapped[int]
    skills: Mapped[list[str]] = mapped_column(JSON)


class TechnicianLeave(ProvisioningBase):
    """A time in which a technician isn't there: holiday, illness, training."""

    __tablename__ = "technician_leave"
    __table_args__ = (
        ForeignKeyConstraint(("tenant_id", "technician_id"), ("technician.tenant_id", "technician.id")),
        CheckConstraint("starts_at < ends_at", name="period"),
        Index("ix_technician_leave_technician", "tenant_id", "technician_id", "ends_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    technician_id: Mapped[Reference]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(Text)
    withdrawn_at: Mapped[datetime | None]
