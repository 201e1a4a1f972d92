"""``firstlight orders``: what customers have bought, and how far each order is."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, clock_minute, print_indented, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.cli.sold import print_lines
from provisioning.commercial import OrderRecord
from provisioning.commercial.money import in_words
from workflows.answers import OrderState

app = typer.Typer(no_args_is_help=True, help="Orders: list them, look at one.")


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
        since = clock_minute(found["ended_at"] or found["ordered_at"])
        say(state_text(found["state"]).append(f" since {since}", style="default"))
        print_indented(found["reason"] or "")
        print_lines(found["lines"], total_minor=found["total_minor"], currency=found["currency"])

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
