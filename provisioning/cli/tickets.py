"""``firstlight tickets``: what teams are to do, and until when."""

from __future__ import annotations

from typing import Annotated, get_args

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, clock_minute, print_indented, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.commercial import TicketDesk, TicketRecord
from provisioning.days import minute
from provisioning.errors import Fault, InvalidRequest
from workflows.answers import TicketState

app = typer.Typer(no_args_is_help=True, help="Tickets: what teams are to do, for whom, until when.")

TicketId = Annotated[int, typer.Argument(help="The ticket's number.")]


@app.command()
def add(
    title: Annotated[str, typer.Argument(help="What is to be done, in one line.")],
    team: Annotated[str, typer.Option(help="Who is to do it.")],
    description: Annotated[str, typer.Option(help="Everything they need to know.")],
    priority: Annotated[
        str, typer.Option(help="low, normal, high or urgent: due in 7, 3, 1 days or 4 hours.")
    ] = "normal",
    customer: Annotated[int | None, typer.Option(help="The customer's number, if it is about one.")] = None,
    json_: AsJson = False,
) -> None:
    """Open a ticket."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            opened = await _desk(appliance, db).open(
                title=title, description=description, customer_id=customer, priority=priority, assigned_team=team
            )
            tells(subject=subject_of("ticket", opened["ticket_id"]), after={"ticket": opened})
        _print(opened, json_)

    run(act, as_json=json_)


@app.command("list")
def list_(
    state: Annotated[
        list[str] | None, typer.Option(help="Only tickets in this state; may be given several times.")
    ] = None,
    team: Annotated[str | None, typer.Option(help="Only this team's.")] = None,
    customer: Annotated[int | None, typer.Option(help="Only tickets about this customer.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what should have been done by now.")] = False,
    after: Annotated[int | None, typer.Option(help="Only what comes after this ticket: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List tickets in the order in which they are due."""

    async def act(appliance: Appliance) -> None:
        wanted = _states(state or [])
        async with appliance.database.read() as db:
            found = await _desk(appliance, db).tickets(
                states=wanted, team=team, customer_id=customer, overdue=overdue, after=after, limit=limit
            )
        if json_:
            print_json(found)
            return
        if not found:
            say("no tickets")
            return
        entries = [
            Entry(
                (
                    str(ticket["ticket_id"]),
                    clock_minute(ticket["due_at"]),
                    ticket["priority"],
                    state_text(ticket["state"]),
                    ticket["assigned_team"],
                    ticket["title"],
                )
            )
            for ticket in found
        ]
        print_list(("ticket", "due", "priority", "state", "team", "title"), entries)

    run(act, as_json=json_)


@app.command()
def show(ticket: TicketId, json_: AsJson = False) -> None:
    """Show one ticket."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            _print(await _desk(appliance, db).ticket(ticket), json_)

    run(act, as_json=json_)


@app.command()
def move(
    ticket: TicketId,
    state: Annotated[str, typer.Argument(help="open, inProgress, resolved, closed or cancelled.")],
    note: Annotated[str | None, typer.Option(help="Why, or what was done.")] = None,
    team: Annotated[str | None, typer.Option(help="Give it to another team.")] = None,
    priority: Annotated[str | None, typer.Option(help="Another priority; counted from when it was opened.")] = None,
    version: Annotated[int | None, typer.Option(help="Only if it still is this version.")] = None,
    json_: AsJson = False,
) -> None:
    """Move a ticket to another state; to the one it is in, if only team, priority or note change."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            moved = await _desk(appliance, db).update(
                ticket_id=ticket, state=state, note=note, assigned_team=team, priority=priority, version=version
            )
        _print(moved, json_)

    run(act, as_json=json_)


def _desk(appliance: Appliance, db: AsyncSession) -> TicketDesk:
    return TicketDesk(db, tenant_id=appliance.tenant_id, now=appliance.clock)


def _print(ticket: TicketRecord, as_json: bool) -> None:
    if as_json:
        print_json(ticket)
        return
    whom = f" for customer {ticket['customer_id']}" if ticket["customer_id"] is not None else ""
    say(f"ticket {ticket['ticket_id']}: {ticket['title']}")
    say(
        f"{ticket['state']}, {ticket['priority']}, due {minute(ticket['due_at'])}, with {ticket['assigned_team']}"
        f"{whom} (version {ticket['version']})"
    )
    for line in ticket["description"].split("\n"):
        print_indented(line)
    print_indented(ticket["note"] or "", first="  note: ")


def _states(wanted: list[str]) -> list[TicketState]:
    known: tuple[TicketState, ...] = get_args(TicketState)
    if unknown := [state for state in wanted if state not in known]:
        raise InvalidRequest("The list", [Fault("state", f"{one} is none of {', '.join(known)}") for one in unknown])
    return [state for state in known if state in wanted]
