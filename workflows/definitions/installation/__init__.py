"""The steps of an installation, phase by phase, and what it is told: the ticket and the signals."""

from __future__ import annotations

from workflows.definitions.input_types import Identifier, PositiveId
from workflows.definitions.installation.cpe import CPE_STEPS
from workflows.definitions.installation.ticket import (
    Appointment,
    DeviceInformed,
    InstallTicket,
    SessionSeen,
    VisitReport,
)
from workflows.definitions.visiting import visit_letter

__all__ = [
    "CPE_STEPS",
    "Appointment",
    "DeviceInformed",
    "Identifier",
    "InstallTicket",
    "PositiveId",
    "SessionSeen",
    "VisitReport",
    "visit_letter",
]
