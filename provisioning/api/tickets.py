"""``/tickets``: what teams are to do, and until when. An order for an installation is an *installation ticket*."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import After, Limit, Number, Page, Wanted, page_of, row_of
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.commercial import TicketDesk, TicketRecord
from workflows.answers import TicketState

doors = Doors(prefix="/tickets", tags=["tickets"])


class Open(Wish):
    """What is to be done, by whom, how urgently: low, normal, high, urgent."""

    title: str
    description: str
    assigned_team: str
    priority: str = "normal"
    customer_id: int | None = None


class TicketChange(Wish):
    """What is to be otherwise; what is left out stays."""

    state: str | None = None
    priority: str | None = None
    assigned_team: str | None = None
    note: str | None = Field(default=None)


@doors.get("", permission="tickets.read", responses={404: problem(WORDS[404])})
async def list_(
    call: InCall,
    state: Annotated[list[TicketState] | None, Query()] = None,
    team: Annotated[str | None, Query(max_length=200)] = None,
    customer: Wanted = None,
    overdue: Annotated[bool, Query(description="Only what should have been done by now")] = False,
    after: After = None,
    limit: Limit = 50,
) -> Page[TicketRecord]:
    """Tickets in the order in which they are due."""
    found = await _desk(call).tickets(
        states=state or (),
        team=team,
        customer_id=customer,
        overdue=overdue,
        after=row_of(after),
        limit=limit + 1,
    )
    return page_of(call, found, [ticket["ticket_id"] for ticket in found], limit)


@doors.post("", permission="tickets.write", status_code=201, responses={404: problem(WORDS[404])})
async def open_(call: InCall, wish: Open, response: Response) -> TicketRecord:
    """Opens a ticket."""
    opened = await _desk(call).open(**wish.model_dump())
    response.headers["Location"] = call.address(f"tickets/{opened['ticket_id']}")
    return _told(call, opened, response)


@doors.get("/{ticket_id}", permission="tickets.read")
async def show(call: InCall, ticket_id: Number, response: Response) -> TicketRecord:
    """One ticket; its ETag goes with a change of it."""
    found = await _desk(call).ticket(ticket_id)
    response.headers["ETag"] = _etag(found)
    return found


@doors.patch("/{ticket_id}", permission="tickets.write", if_match=True)
async def change(call: InCall, ticket_id: Number, wish: TicketChange, response: Response) -> TicketRecord:
    """Moves a ticket, or gives it to another team."""
    before = await _desk(call).ticket(ticket_id)
    call.require_match(_etag(before))
    call.tells(before=before, reason=wish.note)
    changed = await _desk(call).update(ticket_id=ticket_id, version=before["version"], **wish.model_dump())
    return _told(call, changed, response)


def _told(call: Call, ticket: TicketRecord, response: Response) -> TicketRecord:
    call.tells(subject=f"ticket/{ticket['ticket_id']}", customer_id=ticket["customer_id"])
    response.headers["ETag"] = _etag(ticket)
    return ticket


def _desk(call: Call) -> TicketDesk:
    return TicketDesk(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)


def _etag(ticket: TicketRecord) -> str:
    return etag_of("ticket", ticket["ticket_id"], ticket["version"])
