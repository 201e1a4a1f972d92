"""``firstlight subscriptions``: what customers have bought, for which term, and what comes to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer
from rich.text import Text

from provisioning.bootstrap import Appliance
from provisioning.cli.moments import as_day
from provisioning.cli.printing import Entry, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.cli.sold import months_in_words
from provisioning.commercial.bills.subscriptions import SubscriptionView, list_subscriptions, show_subscription
from provisioning.commercial.bills.term_ends import SubscriptionEnds
from provisioning.commercial.payments.rows import shown_amount
from provisioning.days import minute

app = typer.Typer(no_args_is_help=True, help="Subscriptions: what was sold, and until when it is paid for.")


@app.command("list")
def list_(
    customer: Annotated[int | None, typer.Option(help="Only this customer's.")] = None,
    state: Annotated[str | None, typer.Option(help="Only in this state.")] = None,
    ends_by: Annotated[
        datetime | None, typer.Option(help="Only running ones that end by this day.", parser=as_day)
    ] = None,
    before: Annotated[int | None, typer.Option(help="Only those with a lower number: the next page.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    json_: AsJson = False,
) -> None:
    """List subscriptions, the newest first: whose, of what, from when and until when."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await list_subscriptions(
                db,
                tenant_id=appliance.tenant_id,
                customer_id=customer,
                state=state,
                ends_by=None if ends_by is None else ends_by.date(),
                before_id=before,
                limit=limit,
            )
        if json_:
            print_json(found)
        elif not found:
            say("no subscriptions")
        else:
            headings = ("subscription", "customer", "state", "from", "until")
            print_list(headings, [Entry(_cells(each), _below(each)) for each in found])

    run(act, as_json=json_)


@app.command()
def show(
    subscription: Annotated[int, typer.Argument(help="The subscription's number.")], json_: AsJson = False
) -> None:
    """Show one subscription: its service, price and term."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await show_subscription(db, subscription, tenant_id=appliance.tenant_id)
        if json_:
            print_json(found)
            return
        service = f"service {found.service_id}" if found.service_id is not None else "no service"
        say(f"subscription {found.subscription_id} of customer {found.customer_id}: {_what(found)}, {service}")
        term = "until further notice" if found.term_months is None else months_in_words(found.term_months)
        say(f"  {found.state}; {_price(found) or 'no price'}, {term}, {_dates(found)}")
        if found.renewed_at is not None:
            say(f"  renewed {minute(found.renewed_at)}")
        if found.to_end_on is not None and found.state != "cancelled":
            say(f"  to end after {found.to_end_on}: {found.to_end_because}")
        if found.billing_stopped_at is not None:
            say(f"  stopped {minute(found.billing_stopped_at)}: {found.stop_reason}")

    run(act, as_json=json_)


@app.command()
def cancel(
    subscription: Annotated[int, typer.Argument(help="The subscription's number.")],
    reason: Annotated[str, typer.Option(help="Why, in one line.")],
    on: Annotated[datetime | None, typer.Option(help="The last day that is served and billed.", parser=as_day)] = None,
    now: Annotated[bool, typer.Option("--now", help="At once, in the day's place.")] = False,
    json_: AsJson = False,
) -> None:
    """End a subscription that needs no line; a line ends by ``firstlight subscribers terminate``."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            ends = SubscriptionEnds(db, tenant_id=appliance.tenant_id, now=appliance.clock, zone=appliance.zone)
            ends_on = None if on is None else on.date()
            found = await ends.end(subscription_id=subscription, reason=reason, ends_on=ends_on, at_once=now)
        if json_:
            print_json(found)
        elif found.state == "cancelled":
            say(f"subscription {subscription} has ended: {found.stop_reason}")
        else:
            say(f"subscription {subscription} ends after {found.to_end_on}: {found.to_end_because}")

    run(act, as_json=json_)


def _cells(view: SubscriptionView) -> tuple[str | Text, ...]:
    return (
        str(view.subscription_id),
        str(view.customer_id),
        state_text(view.state),
        str(view.starts_on or ""),
        str(view.ends_on or ""),
    )


def _below(view: SubscriptionView) -> str:
    return "; ".join(filter(None, (_what(view), _price(view), view.stop_reason)))


def _what(view: SubscriptionView) -> str:
    return view.title or view.plan or "the installed service"


def _price(view: SubscriptionView) -> str:
    return shown_amount(view.price_minor, view.currency) if view.price_minor is not None and view.currency else ""


def _dates(view: SubscriptionView) -> str:
    if view.starts_on is None:
        return "not begun"
    return f"from {view.starts_on}" + (f" until {view.ends_on}" if view.ends_on is not None else "")
