"""``firstlight technicians stock``: what vans hold by serial, booked in and out."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say
from provisioning.cli.running import AsJson, By, run
from provisioning.field import IN_A_VAN, StockItem, StockState, Technicians

app = typer.Typer(no_args_is_help=True, help="What technicians' vans hold, by serial.")

Number = Annotated[int, typer.Argument(help="The technician's number.")]
Serials = Annotated[list[str], typer.Argument(help="As they are printed on the labels; several are one booking.")]


@app.command("list")
def list_(
    technician: Number,
    state: Annotated[str | None, typer.Option(help="Only what is owned, installed, returned or out.")] = None,
    json_: AsJson = False,
) -> None:
    """List what is in a technician's van: what they have to install, and what they took back."""

    async def act(appliance: Appliance) -> None:
        wanted = chosen("state", state, StockState)
        async with appliance.database.read() as db:
            await Technicians(db, tenant_id=appliance.tenant_id).technician(technician)
            found = await appliance.van_stock(db).stock(technician, states=[wanted] if wanted else IN_A_VAN)
        _show(found, json_=json_)

    run(act, as_json=json_)


@app.command("in")
def in_(
    technician: Number,
    serials: Serials,
    reason: Annotated[str | None, typer.Option(help="Needed where one is at a customer's; it is kept.")] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Book serials into a technician's van, all or none; what is in another one is refused."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.van_stock(db).book_in(
                technician_id=technician, serials=serials, reason=reason, by=by
            )
        _show(found, json_=json_)

    run(act, as_json=json_)


@app.command()
def out(
    technician: Number,
    serials: Serials,
    reason: Annotated[str, typer.Option(help="In words; it is kept.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Book serials out of a technician's van, all or none: they were handed back."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.van_stock(db).book_out(
                technician_id=technician, serials=serials, reason=reason, by=by
            )
        _show(found, json_=json_)

    run(act, as_json=json_)


@app.command()
def history(serial: Annotated[str, typer.Argument(help="The serial, in any spelling.")], json_: AsJson = False) -> None:
    """Show where one CPE or ONT is by the stock, and how it came there, the oldest first."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.van_stock(db).history(serial)
        if json_:
            print_json(found)
            return
        entries = [
            Entry(
                (
                    clock_minute(one["at"]),
                    one["state"],
                    str(one["technician_id"]),
                    str(one["visit_id"] or "-"),
                    one["by"],
                ),
                one["reason"] or "",
            )
            for one in found["movements"]
        ]
        say(found["item"]["serial"])
        print_list(("at", "state", "technician", "visit", "by"), entries)

    run(act, as_json=json_)


def _show(items: list[StockItem], *, json_: bool) -> None:
    if json_:
        print_json(items)
    elif not items:
        say("nothing")
    else:
        entries = [
            Entry((one["serial"], one["state"], str(one["visit_id"] or "-"), clock_minute(one["since"])))
            for one in items
        ]
        print_list(("serial", "state", "visit", "since"), entries)
