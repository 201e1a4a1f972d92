"""What the doors that start anything ask besides their own permission: what that thing's own door would have asked."""

from __future__ import annotations

from provisioning.access import Permission
from provisioning.api.calls import Call

ASKED_FOR: dict[str, Permission] = {
    "lead.qualified": "leads.write",
    "partner.customer.created": "partners.order",
    "quote.accepted": "quotes.accept",
    "service.termination_requested": "runs.start",
    "subscription.expiring": "quotes.write",
    "ticket.installation_approved": "installations.order",
}
"""The permission of whoever says that this has happened, for every event that starts a journey."""


def require_to_cause(call: Call, event_type: str) -> None:
    """Raises: Forbidden."""
    call.caller.require(ASKED_FOR[event_type])
