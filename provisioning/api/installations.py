"""``/installation-tickets``: the orders that start an installation."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import RootModel

from provisioning.api.calls import InCall
from provisioning.api.openapi import inlined
from provisioning.api.routes import Doors
from provisioning.api.runs import StartedRun, started
from workflows.definitions.installation import InstallTicket

doors = Doors(prefix="/installation-tickets", tags=["installation tickets"])


class Ticket(RootModel[dict[str, Any]]):
    """As ``InstallTicket`` is; the desk reads it, so that every fault is named at once."""


@doors.post(
    "",
    permission="installations.order",
    status_code=201,
    openapi_extra={
        "requestBody": {"content": {"application/json": {"schema": inlined(InstallTicket.model_json_schema())}}}
    },
)
async def order(call: InCall, ticket: Ticket, response: Response) -> StartedRun:
    """Starts the installation that a ticket asks for, if every part of it is known; the same again is the same run."""
    begun = await call.appliance.desk(call.db).accept(ticket.root, by=call.by)
    customer = ticket.root.get("customer_id")
    call.tells(customer_id=customer if isinstance(customer, int) else None)
    return started(call, response, begun.run_id, begun.is_new)
