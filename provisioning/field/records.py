"""How visits and reports read to everybody outside this package."""

from __future__ import annotations

from datetime import datetime, timedelta

from typing_extensions import TypedDict

from provisioning.field.tables import ReportKind, Technician, Visit, VisitReport
from workflows.services import VisitState


class VisitRecord(TypedDict):
    """One visit: whose, where and when, and what came of it so far.

    ``arrives_until``: the end of the arrival window. ``sequence`` grows with every change.
    """

    visit_id: int
    customer_id: int
    order_id: int | None
    technician_id: int
    technician_name: str
    starts_at: datetime
    ends_at: datetime
    address: str
    location: str | None
    planned_port: str | None
    state: VisitState
    scanned_serial: str | None
    scanned_port: str | None
    outcome_note: str | None
    outcome_at: datetime | None
    job: str | None
    latitude: float | None
    longitude: float | None
    arrives_until: datetime
    sequence: int
    override_reason: str | None


class ReportedVisit(TypedDict):
    """One report, as it was kept; ``port_as_planned`` is None where a port was not planned or not reported."""

    visit_id: int
    customer_id: int
    outcome: ReportKind
    serial: str | None
    port: str | None
    planned_port: str | None
    port_as_planned: bool | None
    note: str | None
    reported_at: datetime


def as_record(visit: Visit, technician: Technician) -> VisitRecord:
    return VisitRecord(
        visit_id=visit.id,
        customer_id=visit.customer_id,
        order_id=visit.order_id,
        technician_id=visit.technician_id,
        technician_name=technician.name,
        starts_at=visit.starts_at,
        ends_at=visit.ends_at,
        address=visit.address,
        location=visit.location,
        planned_port=visit.planned_port,
        state=visit.state,
        scanned_serial=visit.scanned_serial,
        scanned_port=visit.scanned_port,
        outcome_note=visit.outcome_note,
        outcome_at=visit.outcome_at,
        job=visit.job,
        latitude=visit.latitude,
        longitude=visit.longitude,
        arrives_until=visit.starts_at + timedelta(minutes=visit.window_minutes),
        sequence=visit.sequence,
        override_reason=visit.override_reason,
    )


def as_report(visit: Visit, report: VisitReport) -> ReportedVisit:
    comparable = visit.planned_port is not None and report.port is not None
    return ReportedVisit(
        visit_id=visit.id,
        customer_id=visit.customer_id,
        outcome=report.outcome,
        serial=report.serial,
        port=report.port,
        planned_port=visit.planned_port,
        port_as_planned=visit.planned_port == report.port if comparable else None,
        note=report.note,
        reported_at=report.reported_at,
    )
