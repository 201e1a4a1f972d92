"""Calendar feeds, and whose calendars visits have left."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKeyConstraint, Index, LargeBinary, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId


class CalendarFeed(ProvisioningBase):
    """The address under which a technician's or a team's calendar is read; of what is secret in it, the digest."""

    __tablename__ = "calendar_feed"
    __table_args__ = (
        CheckConstraint("(technician_id IS NULL) <> (team IS NULL)", name="whose"),
        UniqueConstraint("digest", name="uq_calendar_feed_digest"),
        Index("ix_calendar_feed_tenant", "tenant_id", "made_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    technician_id: Mapped[int | None] = mapped_column(Identity)
    team: Mapped[str | None] = mapped_column(Text)
    made_by: Mapped[str] = mapped_column(Text)
    made_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class FormerTechnician(ProvisioningBase):
    """Whose a visit was until it left their calendar, or their team's: it must read as off there, at the time it had.

    ``team``: which they were of then; None: of none.
    """

    __tablename__ = "visit_former_technician"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        Index("ix_visit_former_technician_left", "tenant_id", "technician_id", "left_at"),
        Index("ix_visit_former_technician_team", "tenant_id", "team", "left_at"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    visit_id: Mapped[Reference]
    technician_id: Mapped[Reference]
    team: Mapped[str | None] = mapped_column(Text)
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    sequence: Mapped[int]
    left_at: Mapped[datetime]
