"""For what runs need a visit: which journey joins it, at which step, by which word it is told, and how it knows whose
it is. An order and its installation share one, so both stand here."""

from __future__ import annotations

from dataclasses import dataclass

from provisioning.field.tables import VisitPurpose

VISIT = "visit"
"""What a run is told that waits for what comes of a visit; the visit's number is what it is about."""


@dataclass(frozen=True)
class Joining:
    """``step``: of the journey, which books the visit or joins it. ``signal``: what tells such a run of its time.
    ``known_by``: the fact of its input that tells its order; tickets may carry orders of another system's numbering, so
    the customer counts, too."""

    journey: str
    step: str
    signal: str
    known_by: str


JOINING: dict[VisitPurpose, Joining] = {
    "deployment": Joining("quote_accepted_to_order", "schedule_deployment", "deployment_date", "quote_id"),
    "installation": Joining("isp_ticket_to_deployment", "schedule_installation", "appointment", "order_id"),
}
"""What dispatch has booked by hand, no run joins for dispatch."""
OF_SIGNAL: dict[str, VisitPurpose] = {joining.signal: purpose for purpose, joining in JOINING.items()}
