"""``firstlight payments``: what is paid and what isn't, and the word of whoever saw the money come."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, clock_time, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.commercial.payments import PaymentView, list_payments, show_payment
from provisioning.days import minute

app = typer.Typer(no_args_is_help=True, help="Payments: list and show them, settle invoices, cash and bank transfers.")

Payment = Annotated[int, typer.Argument(help="The payment's number.")]
Reference = Annotated[str, typer.Option(help="Where that can be looked up: a bank statement, a receipt.")]


@app.command("list")
def list_(
    state: Annotated[list[str] | None, typer.Option(help="Only in this state; may be given again.")] = None,
    customer: Annotated[int | None, typer.Option(help="Only this customer's.")] = None,
    before: Annotated[int | None, typer.Option(help="Only those with a lower number: the next page.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    json_: AsJson = False,
) -> None:
    """List payments, the newest first: for what, of whom, how, and what came of it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await list_payments(
                db,
                tenant_id=appliance.tenant_id,
                states=state or (),
                customer_id=customer,
                before_id=before,
                limit=limit,
            )
        if json_:
            print_json(found)
        elif not found:
            say("no payments")
        else:
            headings = ("payment", "for", "customer", "amount", "by", "state")
            print_list(headings, [Entry(_cells(each), _below(each)) for each in found])

    run(act, as_json=json_)


@app.command()
def show(payment: Payment, json_: AsJson = False) -> None:
    """Show one payment, with every talk with its gateway and all that the gateway told by itself."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await show_payment(db, payment, tenant_id=appliance.tenant_id)
        if json_:
            print_json(found)
            return
        view = found.payment
        say(
            f"payment {view.payment_id} of {_subject(view)}, customer {view.customer_id}: {view.amount} {view.currency}"
        )
        say(f"  {view.method} through {view.provider}, {view.state}; reference {view.reference or 'none yet'}")
        for words in (view.reason, view.settled_by and f"settled by {view.settled_by}", view.action_url):
            if words:
                say(f"  {words}")
        for step in found.history:
            say(f"  {clock_time(step.at)}  {step.what}: {step.outcome}" + (f" ({step.words})" if step.words else ""))

    run(act, as_json=json_)


@app.command()
def settle(payment: Payment, reference: Reference, by: By = "", json_: AsJson = False) -> None:
    """Say that the money of an invoice, cash or bank payment has come; the run that waits for it goes on."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            told = await appliance.payment_desk(db).settle(payment_id=payment, reference=reference, by=by)
        if json_:
            print_json({"payment": payment, "runs": told})
        else:
            runs = ", ".join(f"run {number}" for number in told) or "no run"
            say(f"payment {payment} is captured ({reference}); told: {runs}")

    run(act, as_json=json_)


@app.command()
def refunded(payment: Payment, reference: Reference, by: By = "", json_: AsJson = False) -> None:
    """Say that money which has to go back was paid back by hand; then the held undo can be retried."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            await appliance.payment_desk(db).paid_back(payment_id=payment, reference=reference, by=by)
        if json_:
            print_json({"payment": payment, "refunded": True})
        else:
            say(f"payment {payment} is paid back ({reference})")

    run(act, as_json=json_)


@app.command("keep-card")
def keep_card(
    customer: Annotated[int, typer.Argument(help="The customer's number.")],
    holder: Annotated[str, typer.Option(help="The gateway's number of the customer: cus_...")],
    method: Annotated[str, typer.Option(help="The gateway's number of the stored card: pm_...")],
    json_: AsJson = False,
) -> None:
    """Keep a customer's stored card, for payments by card; never a card's own number."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            await appliance.cards(db).keep(customer_id=customer, holder=holder, method=method)
        if json_:
            print_json({"customer": customer, "card": "kept"})
        else:
            say(f"customer {customer} has a card on file")

    run(act, as_json=json_)


def _cells(view: PaymentView) -> tuple[str | Text, ...]:
    return (
        str(view.payment_id),
        _subject(view),
        str(view.customer_id),
        f"{view.amount} {view.currency}",
        view.method,
        state_text(view.state),
    )


def _below(view: PaymentView) -> str:
    return f"asked for {minute(view.requested_at)}" + (f"; {view.reason}" if view.reason else "")


def _subject(view: PaymentView) -> str:
    return f"order {view.order_id}" if view.order_id is not None else f"quote {view.quote_id}"
