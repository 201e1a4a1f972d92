"""Technicians, their visits and what was reported from them; and the rule that nobody is in two places at once.

The rule is the database's on both sides: an exclusion constraint on PostgreSQL, two triggers on SQLite, over half-open
periods (one visit may begin at the moment another ends, its buffer and the way to the next one included) of visits
that still hold their technician. So is the rule
that an order has one visit at a time, whoever needs it: an index.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import DDL, JSON, CheckConstraint, Float, ForeignKeyConstraint, Index, Table, Text, event, text
from sqlalchemy.orm import Mapped, mapped_column

from provisioning.tables import Identity, ProvisioningBase, Reference, RowId, TenantId
from workflows.services import VisitState

VisitOutcome = Literal["scanned", "no_access", "not_feasible", "cancelled", "completed"]
"""What is reported of a visit: the state that it has then."""
ReportKind = Literal["scanned", "no_access", "not_feasible", "cancelled", "completed", "rescheduled"]
"""What is kept of it; *rescheduled* leaves it booked, at another time."""
VisitPurpose = Literal["deployment", "installation", "dispatch"]
"""Whose work a visit is: an order's, a line's, or that of dispatch, which has booked it by hand."""

LIVE_STATES: tuple[VisitState, ...] = ("booked", "scanned")
"""States in which the visit still needs its technician."""
CAME_TO_NOTHING: tuple[VisitState, ...] = ("no_access", "cancelled")
"""States after which the same work still needs a visit."""
IN_VAIN: tuple[VisitState, ...] = ("no_access", "not_feasible")
"""States of a visit for which somebody went, or was to go, and that brought nothing."""

LIVE_OF_AN_ORDER = text("order_id IS NOT NULL AND state IN ('booked', 'scanned')")
OPEN_BOOKING = text("released_at IS NULL")


class Technician(ProvisioningBase):
    """Somebody who visits customers, under the number the ISP knows them by.

    ``week``: by weekday the periods in which they work, in ``time_zone`` (see ``rosters``); None: nobody has told.
    ``holidays``: whose public holidays they have, as ``DE`` or ``DE-BY``.
    """

    __tablename__ = "technician"

    tenant_id: Mapped[TenantId] = mapped_column(primary_key=True)
    id: Mapped[int] = mapped_column(Identity, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text)
    email: Mapped[str | None] = mapped_column(Text)
    skills: Mapped[list[str]] = mapped_column(JSON)
    team: Mapped[str | None] = mapped_column(Text)
    van: Mapped[str | None] = mapped_column(Text)
    home_latitude: Mapped[float | None] = mapped_column(Float(53))
    home_longitude: Mapped[float | None] = mapped_column(Float(53))
    week: Mapped[dict[str, list[str]] | None] = mapped_column(JSON(none_as_null=True))
    time_zone: Mapped[str | None] = mapped_column(Text)
    holidays: Mapped[str | None] = mapped_column(Text)


class Visit(ProvisioningBase):
    """One appointment: who goes where, for whom, from when to when, and what came of it.

    ``order_id``: whose visit it is, if it is an order's; under the ISP's own number, or ours. ``held_from`` and
    ``held_to``: the technician's time, with the way there and the buffer; None where it is the visit's alone.
    ``sequence`` grows with every change that a calendar has to show. ``override_reason``: why the technician is sent
    outside their working hours, or without a skill that the job needs.
    """

    __tablename__ = "visit"
    __table_args__ = (
        ForeignKeyConstraint(("tenant_id", "technician_id"), ("technician.tenant_id", "technician.id")),
        CheckConstraint("starts_at < ends_at", name="period"),
        CheckConstraint(
            "state IN ('booked', 'scanned', 'no_access', 'not_feasible', 'cancelled', 'completed')", name="state"
        ),
        CheckConstraint("state <> 'scanned' OR scanned_serial IS NOT NULL", name="serial_when_scanned"),
        Index(
            "uq_visit_order",
            "tenant_id",
            "customer_id",
            "order_id",
            unique=True,
            sqlite_where=LIVE_OF_AN_ORDER,
            postgresql_where=LIVE_OF_AN_ORDER,
        ),
        Index("ix_visit_technician", "tenant_id", "technician_id", "starts_at"),
        Index("ix_visit_day", "tenant_id", "starts_at"),
        Index("ix_visit_customer", "tenant_id", "customer_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    customer_id: Mapped[Reference]
    order_id: Mapped[int | None] = mapped_column(Identity)
    technician_id: Mapped[Reference]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    address: Mapped[str] = mapped_column(Text)
    location: Mapped[str | None] = mapped_column(Text)
    planned_port: Mapped[str | None] = mapped_column(Text)
    state: Mapped[VisitState] = mapped_column(Text)
    scanned_serial: Mapped[str | None] = mapped_column(Text)
    scanned_port: Mapped[str | None] = mapped_column(Text)
    outcome_note: Mapped[str | None] = mapped_column(Text)
    outcome_at: Mapped[datetime | None]
    booked_at: Mapped[datetime]
    job: Mapped[str | None] = mapped_column(Text)
    latitude: Mapped[float | None] = mapped_column(Float(53))
    longitude: Mapped[float | None] = mapped_column(Float(53))
    held_from: Mapped[datetime | None]
    held_to: Mapped[datetime | None]
    window_minutes: Mapped[int] = mapped_column(server_default="0")
    sequence: Mapped[int] = mapped_column(server_default="0")
    changed_at: Mapped[datetime | None]
    override_reason: Mapped[str | None] = mapped_column(Text)
    override_by: Mapped[str | None] = mapped_column(Text)


class VisitBooking(ProvisioningBase):
    """Who needs a visit, and what they were promised when they booked or joined it.

    A visit that was moved since begins at another time, or has another technician, than stands here.
    """

    __tablename__ = "visit_booking"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        CheckConstraint("purpose IN ('deployment', 'installation', 'dispatch')", name="purpose"),
        Index("uq_visit_booking_request", "tenant_id", "request_id", unique=True),
        Index(
            "uq_visit_booking_purpose",
            "visit_id",
            "purpose",
            unique=True,
            sqlite_where=OPEN_BOOKING,
            postgresql_where=OPEN_BOOKING,
        ),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    visit_id: Mapped[Reference]
    purpose: Mapped[VisitPurpose] = mapped_column(Text)
    order_id: Mapped[int | None] = mapped_column(Identity)
    request_id: Mapped[str | None] = mapped_column(Text)
    technician_id: Mapped[Reference]
    starts_at: Mapped[datetime]
    ends_at: Mapped[datetime]
    booked_at: Mapped[datetime]
    released_at: Mapped[datetime | None]


class VisitReport(ProvisioningBase):
    """What was reported from a visit, in order; kept, so that a report that arrives twice is known again."""

    __tablename__ = "visit_report"
    __table_args__ = (
        ForeignKeyConstraint(("visit_id",), ("visit.id",)),
        Index("uq_visit_report_request", "tenant_id", "request_id", unique=True),
        Index("ix_visit_report_visit", "visit_id"),
    )

    id: Mapped[RowId]
    tenant_id: Mapped[TenantId]
    visit_id: Mapped[Reference]
    request_id: Mapped[str | None] = mapped_column(Text)
    outcome: Mapped[ReportKind] = mapped_column(Text)
    serial: Mapped[str | None] = mapped_column(Text)
    port: Mapped[str | None] = mapped_column(Text)
    note: Mapped[str | None] = mapped_column(Text)
    reported_at: Mapped[datetime]


# btree_gist lets one GiST index compare plain columns for equality; it is a trusted extension since PostgreSQL 13.
POSTGRESQL_BTREE_GIST = "CREATE EXTENSION IF NOT EXISTS btree_gist"

POSTGRESQL_TECHNICIAN_ONCE = """
ALTER TABLE visit ADD CONSTRAINT ex_visit_technician_once
EXCLUDE USING gist (tenant_id WITH =, technician_id WITH =,
    tstzrange(COALESCE(held_from, starts_at), COALESCE(held_to, ends_at), '[)') WITH &&)
WHERE (state IN ('booked', 'scanned'))
"""

SQLITE_TECHNICIAN_ONCE_ON_INSERT = """
CREATE TRIGGER visit_technician_once_on_insert BEFORE INSERT ON visit
WHEN NEW.state IN ('booked', 'scanned')
BEGIN
    SELECT RAISE(ABORT, 'technician has another visit at that time')
    WHERE EXISTS (
        SELECT 1 FROM visit AS other
        WHERE other.tenant_id = NEW.tenant_id AND other.technician_id = NEW.technician_id
          AND other.state IN ('booked', 'scanned')
          AND COALESCE(other.held_from, other.starts_at) < COALESCE(NEW.held_to, NEW.ends_at)
          AND COALESCE(NEW.held_from, NEW.starts_at) < COALESCE(other.held_to, other.ends_at)
    );
END
"""

SQLITE_TECHNICIAN_ONCE_ON_UPDATE = """
CREATE TRIGGER visit_technician_once_on_update
BEFORE UPDATE OF tenant_id, technician_id, starts_at, ends_at, held_from, held_to, state ON visit
WHEN NEW.state IN ('booked', 'scanned')
BEGIN
    SELECT RAISE(ABORT, 'technician has another visit at that time')
    WHERE EXISTS (
        SELECT 1 FROM visit AS other
        WHERE other.id <> OLD.id
          AND other.tenant_id = NEW.tenant_id AND other.technician_id = NEW.technician_id
          AND other.state IN ('booked', 'scanned')
          AND COALESCE(other.held_from, other.starts_at) < COALESCE(NEW.held_to, NEW.ends_at)
          AND COALESCE(NEW.held_from, NEW.starts_at) < COALESCE(other.held_to, other.ends_at)
    );
END
"""

POSTGRESQL_RULES = (POSTGRESQL_BTREE_GIST, POSTGRESQL_TECHNICIAN_ONCE)
SQLITE_RULES = (SQLITE_TECHNICIAN_ONCE_ON_INSERT, SQLITE_TECHNICIAN_ONCE_ON_UPDATE)


def _enforce(table: Table) -> None:
    for dialect, statements in (("postgresql", POSTGRESQL_RULES), ("sqlite", SQLITE_RULES)):
        for statement in statements:
            ddl = DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_enforce(Visit.metadata.tables[Visit.__tablename__])
