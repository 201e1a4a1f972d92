"""What technicians' vans hold: one row of each serial, so that none is in two vans; and how it came to that."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import DDL, CheckConstraint, ForeignKeyConstraint, Index, String, Table, Text, event
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import ProvisioningBase, Reference, RowId, TenantId

StockState = Literal["owned", "installed", "returned", "out"]
"""To be installed; at a customer's; taken back from one; handed back, and in no van any more."""
IN_A_VAN: tuple[StockState, ...] = ("owned", "returned")


class VanItem(ProvisioningBase):
    """One CPE or ONT. ``technician_id``: whose van it is in, or was in last; ``visit_id``: where it was installed."""

    __tablename__ = "van_item"
    __table_args__ = (
        ForeignKeyConstraint(("tenant_id", "technician_id"), ("technician.tenant_id", "technician.id")),
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        CheckConstraint("state IN ('owned', 'installed', 'returned', 'out')", name="state"),
        CheckConstraint("(state = 'installed') = (visit_id IS NOT NULL)", name="visit_when_installed"),
        Index("uq_van_item_serial", "tenant_id", "serial", unique=True),
        Index("ix_van_item_technician", "tenant_id", "technician_id", "state"),
        Index("ix_van_item_visit", "visit_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    serial: Mapped[str] = mapped_column(String(64))
    technician_id: Mapped[Reference]
    state: Mapped[StockState] = mapped_column(Text)
    visit_id: Mapped[Reference | None]
    since: Mapped[datetime]


class VanMovement(ProvisioningBase):
    """What became of a serial once. ``technician_id``: whose van it came into, or left. Append-only by trigger."""

    __tablename__ = "van_movement"
    __table_args__ = (
        ForeignKeyConstraint(("tenant_id", "technician_id"), ("technician.tenant_id", "technician.id")),
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        CheckConstraint("state IN ('owned', 'installed', 'returned', 'out')", name="state"),
        Index("ix_van_movement_serial", "tenant_id", "serial", "id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    serial: Mapped[str] = mapped_column(String(64))
    technician_id: Mapped[Reference]
    state: Mapped[StockState] = mapped_column(Text)
    visit_id: Mapped[Reference | None]
    reason: Mapped[str | None] = mapped_column(Text)
    by: Mapped[str] = mapped_column("told_by", Text)
    at: Mapped[datetime] = mapped_column("moved_at")


_APPEND_ONLY = "van_movement is append-only"

POSTGRESQL_MOVEMENTS = (
    "CREATE OR REPLACE FUNCTION van_movement_refuse_rewriting() RETURNS trigger LANGUAGE plpgsql AS"
    f" $$ BEGIN RAISE EXCEPTION '{_APPEND_ONLY}' USING ERRCODE = 'restrict_violation'; END $$",
    "CREATE TRIGGER van_movement_append_only BEFORE UPDATE OR DELETE ON van_movement"
    " FOR EACH ROW EXECUTE FUNCTION van_movement_refuse_rewriting()",
)

SQLITE_MOVEMENTS = tuple(
    f"CREATE TRIGGER van_movement_no_{verb.lower()} BEFORE {verb} ON van_movement"
    f" BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
    for verb in ("UPDATE", "DELETE")
)


def _keep_movements(table: Table) -> None:
    for dialect, statements in (("postgresql", POSTGRESQL_MOVEMENTS), ("sqlite", SQLITE_MOVEMENTS)):
        for statement in statements:
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_keep_movements(VanMovement.metadata.tables[VanMovement.__tablename__])
