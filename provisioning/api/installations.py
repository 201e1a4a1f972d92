"""``/installation-tickets``: the orders that start an installation."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import RootModel

from provisioning.api.calls import InCall
from provisioning.api.causes import body_of, data_of
from provisioning.api.routes import Doors
from provisioning.api.runs import StartedRun, started

doors = Doors(prefix="/installation-tickets", tags=["installation tickets"])


class Ticket(RootModel[dict[str, Any]]):
    """As ``InstallTicket`` is; the desk reads it, so that every fault is named at once."""


@doors.post(
    "",
    permission="installations.order",
    status_code=201,
    openapi_extra=body_of(data_of("ticket.installation_approved")),
)
async def order(call: InCall, ticket: Ticket, response: Response) -> StartedRun:
    """Starts the installation that a ticket asks for, if every part of it is known; the same again is the same run."""
    begun = await call.appliance.desk(call.db).accept(ticket.root, by=call.by)
    return await started(call, response, begun.run_id, begun.is_new)
