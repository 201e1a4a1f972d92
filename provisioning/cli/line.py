"""``firstlight line``: what the OLT is to be told, and what it answered, where a person is the adapter."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import print_json, say
from provisioning.cli.running import AsJson, By, run

app = typer.Typer(no_args_is_help=True, help="Lines on the OLT: confirm what was configured by hand.")

Order = Annotated[int, typer.Argument(help="The line order's number.")]


@app.command()
def answer(
    order: Order,
    port: Annotated[str, typer.Option(help="The PON port the ONU came up at.")],
    onu_id: Annotated[int | None, typer.Option(help="The ONU's number on that port.")] = None,
    power: Annotated[float | None, typer.Option(help="Received power in dBm.")] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Say that a line is configured; the run that waits for it goes on."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            told = await appliance.line_desk(db).answer(
                line_order_id=order, actual_port=port, onu_id=onu_id, received_power_dbm=power, by=by
            )
        if json_:
            print_json({"line_order": order, "runs": told})
        else:
            runs = ", ".join(f"run {number}" for number in told) or "no run"
            say(f"line order {order} is authorised at {port}; told: {runs}")

    run(act, as_json=json_)


@app.command()
def removed(order: Order, by: By = "", json_: AsJson = False) -> None:
    """Say that a line has been taken off the OLT by hand; what waits for it goes on, a held undo as well."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            told = await appliance.line_desk(db).removed(line_order_id=order, by=by)
        if json_:
            print_json({"line_order": order, "removed": True, "runs": told})
        else:
            runs = f"; told: {', '.join(f'run {number}' for number in told)}" if told else ""
            say(f"line order {order} is off the OLT{runs}")

    run(act, as_json=json_)


@app.command()
def found(
    serial: Annotated[str, typer.Argument(help="The ONT's serial number, in any spelling of it.")],
    node: Annotated[str, typer.Option(help="The access node that shows it.")],
    port: Annotated[str, typer.Option(help="The port that it is at.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Say that the OLT shows an ONT nobody has let in: the one visit at work at that port gets it, as by a scan."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            bound = await appliance.found_ont_desk(db).found(serial=serial, access_node=node, port=port, by=by)
        if json_:
            print_json(bound)
        else:
            known = "" if bound["is_new"] else ", as was known"
            told = ", ".join(f"run {number}" for number in bound["runs"])
            say(
                f"ONT {bound['device_serial']} belongs to visit {bound['visit_id']} of customer"
                f" {bound['customer_id']}{known}{f'; told: {told}' if told else ''}"
            )

    run(act, as_json=json_)
