"""What starts anything: the permission that its own door would have asked for, and what has to be told of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from provisioning.access import Permission
from provisioning.api.calls import Call
from provisioning.api.openapi import inlined
from provisioning.terminations import Wish
from workflows.definitions.installation import InstallTicket
from workflows.definitions.lead_to_customer_onboarding import LeadQualified
from workflows.definitions.ordering import AcceptedOffer
from workflows.definitions.partner_customer_provisioning import PartnerOrder
from workflows.definitions.renewal import ExpiringSubscription

ASKED_FOR: dict[str, Permission] = {
    "lead.qualified": "leads.write",
    "partner.customer.created": "partners.order",
    "quote.accepted": "quotes.accept",
    "service.termination_requested": "runs.start",
    "subscription.expiring": "quotes.write",
    "ticket.installation_approved": "installations.order",
}
"""The permission of whoever says that this has happened, for every event that starts a journey."""

TELLS: dict[str, tuple[str, type[BaseModel]]] = {
    "lead.qualified": ("lead_to_customer_onboarding", LeadQualified),
    "partner.customer.created": ("partner_customer_provisioning", PartnerOrder),
    "quote.accepted": ("quote_accepted_to_order", AcceptedOffer),
    "service.termination_requested": ("service_termination", Wish),
    "subscription.expiring": ("customer_renewal_process", ExpiringSubscription),
    "ticket.installation_approved": ("isp_ticket_to_deployment", InstallTicket),
}
"""Of each of these events the journey that it starts, and what is told of it, there as here."""
SETTLED_HERE = {"quote.accepted": {"priority"}}
"""What the ISP's settings say where it isn't told."""


def input_by_journey() -> dict[str, Any]:
    """The body of `POST /runs`: a journey, and what that one is told."""
    return {
        "oneOf": [
            _told(journey, {"journey": {"const": journey}, "input": data_of(event_type)})
            for event_type, (journey, _shape) in TELLS.items()
        ]
    }


def data_by_type() -> dict[str, Any]:
    """The body of `POST /events`: what has happened, and what is told of that."""
    names = {"subject": {"type": "string"}, "key": {"type": "string"}}
    return {
        "oneOf": [
            _told(event_type, {"type": {"const": event_type}, **names, "data": data_of(event_type)})
            for event_type in TELLS
        ]
    }


def data_of(event_type: str) -> dict[str, Any]:
    """The shape of what is told of such an event."""
    shape = inlined(TELLS[event_type][1].model_json_schema())
    optional = SETTLED_HERE.get(event_type, set[str]())
    return {**shape, "required": [name for name in shape["required"] if name not in optional]}


def _told(title: str, properties: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "type": "object", "properties": properties, "required": list(properties)}


def body_of(schema: dict[str, Any]) -> dict[str, Any]:
    """What a route's description says of its body beside the shape that the route itself reads."""
    return {"requestBody": {"content": {"application/json": {"schema": schema}}}}


def require_to_cause(call: Call, event_type: str) -> None:
    """Raises: Forbidden."""
    call.caller.require(ASKED_FOR[event_type])
