"""``/tickets``: what teams are to do, and until when; a ticket is moved, and given to others, on its page."""

from __future__ import annotations

import re
from typing import Annotated, get_args

from fastapi import Query, Response

from provisioning.access import subject_of
from provisioning.api import Call, InCall
from provisioning.api.pages import After, Number, page_of, row_of
from provisioning.commercial import TICKET_MOVES, TicketDesk
from provisioning.console.doors import ConsoleDoors, form_of
from provisioning.console.lists import one_of
from provisioning.console.pages import show, to
from provisioning.console.run_pages import read_customer
from provisioning.errors import Fault, InvalidRequest
from workflows.answers import TicketPriority, TicketState

ON_A_PAGE = 50
STATES: tuple[TicketState, ...] = get_args(TicketState)
STILL_TO_DO: tuple[TicketState, ...] = ("open", "inProgress")
PRIORITIES: tuple[TicketPriority, ...] = get_args(TicketPriority)
ALL = "all"
VERSION = re.compile("[0-9]{1,18}")

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
        teams=await _teams(call),
        still_to_do=STILL_TO_DO,
        wanted={"state": state, "team": team, "customer": customer, "overdue": bool(overdue)},
    )


@doors.page("/tickets/{ticket_id}", permission="tickets.read")
async def ticket(call: InCall, ticket_id: Number) -> Response:
    """One ticket, whole, and the form that moves it where it can still be moved."""
    found = await _desk(call).ticket(ticket_id)
    return show(
        call,
        "ticket.html.j2",
        f"Ticket {ticket_id}",
        ticket=found,
        still_to_do=STILL_TO_DO,
        moves=TICKET_MOVES[found["state"]],
        priorities=PRIORITIES,
        teams=await _teams(call),
    )


@doors.act("/tickets/{ticket_id}", permission="tickets.write")
async def change(call: InCall, ticket_id: Number) -> Response:
    """Moves the ticket, or gives it to another team, if it still is what was seen."""
    form, desk = form_of(call), _desk(call)
    before = await desk.ticket(ticket_id)
    faults = [] if form.text("note") else [Fault("note", "is missing")]
    if not VERSION.fullmatch(form.text("seen")):
        faults.append(Fault("seen", "is no number"))
    if faults:
        raise InvalidRequest("The change", faults)
    wanted = {name: form.text(name) or None for name in ("state", "priority", "assigned_team", "note")}
    after = await desk.update(ticket_id=ticket_id, version=int(form.text("seen")), **wanted)
    call.tells(
        action="tickets change",
        subject=subject_of("ticket", ticket_id),
        customer_id=after["customer_id"],
        reason=form.text("note"),
        before=before,
        after=after,
    )
    return to(f"/tickets/{ticket_id}")


async def _teams(call: Call) -> list[str]:
    return [each["team"] for each in await call.appliance.teams(call.db).teams()]


def _desk(call: Call) -> TicketDesk:
    return TicketDesk(call.db, tenant_id=call.tenant_id, now=call.appliance.clock)
