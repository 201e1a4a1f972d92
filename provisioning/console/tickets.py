"""``/tickets``: what teams are to do, and until when."""

from __future__ import annotations

from typing import Annotated, get_args

from fastapi import Query, Response

from provisioning.api import Call, InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial import TicketDesk
from provisioning.console.doors import ConsoleDoors
from provisioning.console.lists import one_of
from provisioning.console.pages import show
from provisioning.console.run_pages import read_customer
from workflows.answers import TicketState

ON_A_PAGE = 50
STATES: tuple[TicketState, ...] = get_args(TicketState)
STILL_TO_DO: tuple[TicketState, ...] = ("open", "inProgress")
ALL = "all"

doors = ConsoleDoors(name="tickets")

Word = Annotated[str, Query(max_length=64)]


@doors.page("/tickets", permission="tickets.read")
async def tickets(
    call: InCall, state: Word = "", team: Word = "", customer: Word = "", overdue: Word = "", after: After = None
) -> Response:
    """Tickets in the order in which they are due; those that are still to be done, unless others are asked for."""
    wanted = None if state == ALL else one_of(STATES, state)
    found = await _desk(call).tickets(
        states=[wanted] if wanted else () if state == ALL else STILL_TO_DO,
        team=team or None,
        customer_id=read_customer(customer),
        overdue=bool(overdue),
        after=row_of(after),
        limit=ON_A_PAGE + 1,
    )
    page = page_of(call, found, [ticket["ticket_id"] for ticket in found], ON_A_PAGE)
    return show(
        call,
        "tickets.html.j2",
        "Tickets",
        tickets=page.items,
        next=page.next,
        states=(ALL, *STATES),
        teams=[each["team"] for each in await call.appliance.teams(call.db).teams()],
        still_to_do=STILL_TO_DO,
        wanted={"state": state, "team": team, "customer": customer, "overdue": bool(overdue)},
    )


@doors.page("/tickets/{ticket_id}", permission="tickets.read")
async def ticket(call: InCall, ticket_id: Number) -> Response:
    """One ticket, whole."""
    found = await _desk(call).ticket(ticket_id)
    return show(call, "ticket.html.j2", f"Ticket {ticket_id}", ticket=found, still_to_do=STILL_TO_DO)


def _desk(call: Call) -> TicketDesk:
    return TicketDesk(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
