"""What was done at a visit: the record that a technician fills in, each of their acts, and their photos."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from sqlalchemy import JSON, CheckConstraint, Float, ForeignKeyConstraint, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

ActKind = Literal["record", "scanned", "no_access", "not_feasible", "rescheduled", "returned", "done"]


class JobSheet(ProvisioningBase):
    """The record of one visit. ``optical_dbm``: received power at the ONT's end of the drop."""

    __tablename__ = "visit_sheet"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        CheckConstraint("(done_at IS NULL) = (done_by IS NULL)", name="done"),
    )

    visit_id: Mapped[Reference] = mapped_column(primary_key=True, autoincrement=False)
    tenant_id: Mapped[TenantId]
    splitter: Mapped[str | None] = mapped_column(Text)
    drop_label: Mapped[str | None] = mapped_column(Text)
    optical_dbm: Mapped[float | None] = mapped_column(Float(53))
    note: Mapped[str | None] = mapped_column(Text)
    signed_by: Mapped[str | None] = mapped_column(Text)
    done_at: Mapped[datetime | None]
    done_by: Mapped[str | None] = mapped_column(Text)
    done_reason: Mapped[str | None] = mapped_column(Text)


class VisitAct(ProvisioningBase):
    """One act of a technician, under the key that their page gave it; kept, so that it is known when it comes again.

    ``made_at``: by the clock of the technician's device; ``received_at`` by ours.
    """

    __tablename__ = "visit_act"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        Index("uq_visit_act_key", "tenant_id", "key", unique=True),
        Index("ix_visit_act_visit", "visit_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    visit_id: Mapped[Reference]
    key: Mapped[str] = mapped_column(String(200))
    kind: Mapped[ActKind] = mapped_column(Text)
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    by: Mapped[str] = mapped_column("told_by", Text)
    made_at: Mapped[datetime]
    received_at: Mapped[datetime]


class VisitPhoto(ProvisioningBase):
    """One photo or signature; the picture itself is a file, named by its hash."""

    __tablename__ = "visit_photo"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        CheckConstraint("purpose IN ('photo', 'signature')", name="purpose"),
        Index("uq_visit_photo_hash", "visit_id", "sha256", unique=True),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    visit_id: Mapped[Reference]
    purpose: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str] = mapped_column(String(64))
    media_type: Mapped[str] = mapped_column(String(32))
    size_bytes: Mapped[int]
    caption: Mapped[str | None] = mapped_column(Text)
    received_at: Mapped[datetime]
