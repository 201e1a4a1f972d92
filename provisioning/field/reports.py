"""Reading what is reported from a visit, before anything is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

from acs import same_serial
from provisioning.field.serials import normalise_serial
from provisioning.field.tables import ReportKind, VisitOutcome, VisitReport
from provisioning.intake import Faults

LONGEST_NOTE = 1000
LONGEST_PORT = 64
OUTCOMES_WITH_A_REASON = frozenset({"not_feasible", "cancelled"})


@dataclass(frozen=True)
class Report:
    """One report, read and in its plain form."""

    outcome: ReportKind
    serial: str | None
    port: str | None
    note: str | None
    request_id: str | None

    def says_the_same_as(self, kept: VisitReport) -> bool:
        """A serial is the same in any spelling: a label scanned again is no swap."""
        if (self.outcome, self.port, self.note) != (kept.outcome, kept.port, kept.note):
            return False
        if self.serial is None or kept.serial is None:
            return self.serial == kept.serial
        return same_serial(self.serial, kept.serial)


def read_report(
    *, outcome: VisitOutcome, serial: str | None, port: str | None, note: str | None, request_id: str | None
) -> Report:
    """A scan brings a serial and may bring the port; what ends the visit without a line says why.

    Raises: InvalidRequest (all faults).
    """
    faults = Faults("The report")
    if outcome not in get_args(VisitOutcome):
        faults.add("outcome", f"{outcome} is none of {', '.join(get_args(VisitOutcome))}")
    say_why = outcome in OUTCOMES_WITH_A_REASON
    plain_note = (faults.line if say_why else faults.optional_line)("note", note, longest=LONGEST_NOTE)
    report = Report(
        outcome=outcome,
        serial=_serial(outcome, serial, faults),
        port=_port(outcome, port, faults),
        note=plain_note,
        request_id=faults.request_id(request_id),
    )
    faults.refuse_if_any()
    return report


def _serial(outcome: ReportKind, serial: str | None, faults: Faults) -> str | None:
    if outcome != "scanned":
        if serial is not None:
            faults.add("serial", f"belongs to a scan, not to {outcome}")
        return None
    text = faults.line("serial", serial)
    plain = normalise_serial(text) if text else None
    if text and plain is None:
        faults.add("serial", f"is no serial number: {text}; scan the label again or type what is printed on it")
    return plain


def _port(outcome: ReportKind, port: str | None, faults: Faults) -> str | None:
    text = faults.optional_line("port", port, longest=LONGEST_PORT)
    if text is not None and outcome != "scanned":
        faults.add("port", f"belongs to a scan, not to {outcome}")
    return text
