"""``firstlight quotes``: what a customer is offered, and what they say to it."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.account import or_the_account
from provisioning.cli.audited import tells
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, clock_minute, print_indented, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.cli.sold import months_in_words, print_lines
from provisioning.commercial import LineWish, QuoteRecord, QuoteWithLines
from provisioning.commercial.money import in_words
from provisioning.days import minute
from provisioning.errors import Fault, InvalidRequest
from workflows.answers import PaymentTerms, QuoteState

app = typer.Typer(no_args_is_help=True, help="Quotes: draft, send, accept or withdraw them.")

QuoteId = Annotated[int, typer.Argument(help="The quote's number.")]
Version = Annotated[
    int | None, typer.Option(help="Only if this is still its version: nobody else has changed it meanwhile.")
]
By = Annotated[
    str,
    typer.Option(
        help="Who does this, if not the account that types it; it stands with the event.", callback=or_the_account
    ),
]
OFFER = re.compile(r"(\d{1,18})(?:x(\d{1,9}))?")


@app.command()
def draft(
    customer: Annotated[int, typer.Argument(help="The customer's number.")],
    offer: Annotated[list[str], typer.Option(help="An offer's number, or 2x3 for offer 2 three times; repeatable.")],
    payment_terms: Annotated[str | None, typer.Option(help="prepaid or postpaid; the offers' own if left out.")] = None,
    valid_days: Annotated[int, typer.Option(min=1, max=366, help="For how many days it can be accepted.")] = 30,
    json_: AsJson = False,
) -> None:
    """Write a quote at today's prices."""

    async def act(appliance: Appliance) -> None:
        terms: PaymentTerms | None = chosen("payment_terms", payment_terms, PaymentTerms)
        async with appliance.database.begin() as db:
            quote = await appliance.quotes(db).draft(
                customer_id=customer,
                lines=_lines(offer),
                valid_until=appliance.clock().replace(microsecond=0) + timedelta(days=valid_days),
                payment_terms=terms,
            )
            tells(subject=subject_of("quote", quote["quote_id"]), after={"quote": quote})
        print_json(quote) if json_ else _print_whole(quote)

    run(act, as_json=json_)


@app.command()
def send(quote: QuoteId, version: Version = None, json_: AsJson = False) -> None:
    """Say that the customer has it, and may accept it from now on."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.quotes(db).send(quote_id=quote, version=version)
        _print(found, json_)

    run(act, as_json=json_)


@app.command()
def accept(  # noqa: PLR0913, PLR0917 - each is a fact about the order
    quote: QuoteId,
    accepted_by: Annotated[str, typer.Option(help="Who said yes on the customer's side.")],
    payment_method: Annotated[str | None, typer.Option(help="invoice, cash, bank or card.")] = None,
    scheduled_date: Annotated[
        str | None, typer.Option(help="When the technician comes: 2026-03-09, or a moment with its zone.")
    ] = None,
    installation_address: Annotated[str | None, typer.Option(help="Where, if not at the survey's place.")] = None,
    priority: Annotated[str | None, typer.Option(help="How urgent the visit is: low, normal, high or urgent.")] = None,
    team: Annotated[str | None, typer.Option(help="Who is told of the order; with --channel.")] = None,
    channel: Annotated[str | None, typer.Option(help="By which of the team's channels.")] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Keep the customer's yes; the order, or the run that waits for it, starts from that."""

    said = {
        "payment_method": payment_method,
        "scheduled_date": scheduled_date,
        "installation_address": installation_address,
        "priority": priority,
        "team": team,
        "channel": channel,
    }
    wishes = {name: value for name, value in said.items() if value is not None}

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            accepted, told = await appliance.quote_desk(db).accept(
                quote_id=quote, accepted_by=accepted_by, wishes=wishes, by=by
            )
        if json_:
            print_json({"accepted": accepted, "runs": told})
            return
        total = in_words(accepted["total_minor"], accepted["currency"])
        runs = "; told: " + ", ".join(f"run {number}" for number in told) if told else ""
        say(f"quote {quote} is accepted by {accepted['accepted_by']}: {total}, {accepted['payment_terms']}{runs}")

    run(act, as_json=json_)


@app.command()
def withdraw(
    quote: QuoteId,
    reason: Annotated[str, typer.Option(help="Why; it stands with the quote.")],
    version: Version = None,
    json_: AsJson = False,
) -> None:
    """Take back a quote that nobody has accepted."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.quotes(db).withdraw(quote_id=quote, reason=reason, version=version)
        _print(found, json_)

    run(act, as_json=json_)


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="Only draft, sent, accepted, withdrawn or expired ones.")] = None,
    customer: Annotated[int | None, typer.Option(help="Only this customer's.")] = None,
    before: Annotated[int | None, typer.Option(help="Only quotes older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List quotes, the newest first: for whom, how much, until when, and how each stands."""

    async def act(appliance: Appliance) -> None:
        wanted: QuoteState | None = chosen("state", state, QuoteState)
        async with appliance.database.read() as db:
            found = await appliance.quotes(db).quotes(state=wanted, customer_id=customer, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no quotes")
        else:
            print_list(("quote", "state", "customer", "total", "valid until"), [_entry(quote) for quote in found])

    run(act, as_json=json_)


@app.command()
def show(quote: QuoteId, json_: AsJson = False) -> None:
    """Show one quote with its lines."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.quotes(db).quote(quote)
        print_json(found) if json_ else _print_whole(found)

    run(act, as_json=json_)


def _lines(offers: list[str]) -> list[LineWish]:
    """Raises: InvalidRequest with every offer that isn't written as one."""
    read = [(text, OFFER.fullmatch(text)) for text in offers]
    faults = [Fault("offer", f"{text} is neither a number nor NUMBERxQUANTITY") for text, match in read if not match]
    if faults:
        raise InvalidRequest("The quote", faults)
    return [LineWish(int(match[1]), int(match[2] or 1)) for _, match in read if match]


def _print(quote: QuoteRecord, json_: bool) -> None:
    print_json(quote) if json_ else say(f"quote {quote['quote_id']} is {quote['state']} (version {quote['version']})")


def _print_whole(quote: QuoteWithLines) -> None:
    say(f"quote {quote['quote_id']}  customer {quote['customer_id']}  {quote['payment_terms']}")
    say(state_text(quote["state"]).append(f", valid until {minute(quote['valid_until'])}", style="default"))
    print_indented(_about(quote))
    print_lines(quote["lines"], total_minor=quote["total_minor"], currency=quote["currency"])


def _entry(quote: QuoteRecord) -> Entry:
    return Entry(
        (
            str(quote["quote_id"]),
            state_text(quote["state"]),
            str(quote["customer_id"]),
            in_words(quote["total_minor"], quote["currency"]),
            clock_minute(quote["valid_until"]),
        ),
        _about(quote),
    )


def _about(quote: QuoteRecord) -> str:
    months = quote["renewal_term_months"]
    facts = (
        f"renews subscription {quote['subscription_id']} for {months_in_words(months)}" if months is not None else None,
        f"accepted by {quote['accepted_by']} at {minute(quote['accepted_at'])}" if quote["accepted_at"] else None,
        quote["reason"],
    )
    return "; ".join(fact for fact in facts if fact)
