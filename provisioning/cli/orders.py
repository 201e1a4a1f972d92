"""``firstlight orders``: what customers have bought, and how far each order is."""

from __future__ import annotations

from typing import Annotated
from uuid import uuid4

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, clock_minute, print_indented, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.cli.sold import print_lines
from provisioning.commercial import OrderRecord
from provisioning.commercial.money import in_words
from provisioning.days import minute
from workflows.answers import OrderState, PaymentMethod

app = typer.Typer(no_args_is_help=True, help="Orders: list them, look at one, say how one is paid.")


@app.command("list")
def list_(
    state: Annotated[
        str | None, typer.Option(help="Only acknowledged, inProgress, completed, cancelled or failed ones.")
    ] = None,
    customer: Annotated[int | None, typer.Option(help="Only this customer's.")] = None,
    before: Annotated[int | None, typer.Option(help="Only orders older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List orders, the newest first: for whom, how much, since when, and how each stands."""

    async def act(appliance: Appliance) -> None:
        wanted: OrderState | None = chosen("state", state, OrderState)
        async with appliance.database.read() as db:
            found = await appliance.sales(db).orders(state=wanted, customer_id=customer, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no orders")
        else:
            print_list(("order", "state", "customer", "total", "since"), [_entry(order) for order in found])

    run(act, as_json=json_)


@app.command()
def show(order: Annotated[int, typer.Argument(help="The order's number.")], json_: AsJson = False) -> None:
    """Show one order with its lines."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.sales(db).order(order)
        if json_:
            print_json(found)
            return
        say(f"order {order}  customer {found['customer_id']}  quote {found['quote_id']}  {found['payment_terms']}")
        since = minute(found["ended_at"] or found["ordered_at"])
        say(state_text(found["state"]).append(f" since {since}", style="default"))
        print_indented(found["reason"] or "")
        print_lines(found["lines"], total_minor=found["total_minor"], currency=found["currency"])

    run(act, as_json=json_)


@app.command()
def pay_by(
    order: Annotated[int, typer.Argument(help="The order's number.")],
    method: Annotated[str, typer.Argument(help="invoice, cash, bank or card.")],
    key: Annotated[
        str | None, typer.Option(help="The same key again is the same word; without one it is a new word.")
    ] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Say how the customer pays, until the order is paid; what was asked for before is taken back first."""

    async def act(appliance: Appliance) -> None:
        way: PaymentMethod = chosen("method", method, PaymentMethod)
        said = key or uuid4().hex
        async with appliance.database.begin() as db:
            paid_by, run_id = await appliance.order_desk(db).pay_by(order, way, key=said, by=by)
            tells(customer_id=paid_by.customer_id, run_id=run_id)
        if json_:
            print_json({"order": order, "payment_method": way, "run": run_id})
        else:
            say(f"order {order} is paid by {way}: run {run_id} was told")

    run(act, as_json=json_)


def _entry(order: OrderRecord) -> Entry:
    return Entry(
        (
            str(order["order_id"]),
            state_text(order["state"]),
            str(order["customer_id"]),
            in_words(order["total_minor"], order["currency"]),
            clock_minute(order["ended_at"] or order["ordered_at"]),
        ),
        order["reason"] or "",
    )
