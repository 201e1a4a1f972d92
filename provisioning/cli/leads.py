"""``firstlight leads``: who may become a customer."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.account import or_the_account
from provisioning.cli.audited import tells
from provisioning.cli.choices import chosen
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.commercial import LeadRecord
from provisioning.commercial.selling.selling_tables import LeadState

app = typer.Typer(no_args_is_help=True, help="Leads: keep them, qualify them, or say why not.")

LeadId = Annotated[int, typer.Argument(help="The lead's number.")]
By = Annotated[
    str,
    typer.Option(
        help="Who does this, if not the account that types it; it stands with the event.", callback=or_the_account
    ),
]


@app.command()
def add(  # noqa: PLR0913, PLR0917 - each is a fact about the lead
    name: Annotated[str, typer.Option(help="Who it is.")],
    email: Annotated[str, typer.Option(help="Their mail address.")],
    source: Annotated[str, typer.Option(help="Where the lead comes from: web, phone, fair, ...")],
    phone: Annotated[str | None, typer.Option(help="Their telephone number.")] = None,
    language: Annotated[str | None, typer.Option(help="What they are written to in, such as de or de-AT.")] = None,
    company: Annotated[str | None, typer.Option(help="The firm, if it is one.")] = None,
    address: Annotated[str | None, typer.Option(help="Where the service is wanted.")] = None,
    location: Annotated[str | None, typer.Option(help="The same as a location, such as LOC-10293.")] = None,
    offer: Annotated[int | None, typer.Option(help="The number of the offer they want.")] = None,
    customer: Annotated[int | None, typer.Option(help="Which customer it is, if they are one already.")] = None,
    request_id: Annotated[str | None, typer.Option(help="The same id again is the same lead.")] = None,
    json_: AsJson = False,
) -> None:
    """Keep a lead."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            lead = await appliance.leads(db).register(
                source=source,
                name=name,
                email=email,
                phone=phone,
                language=language,
                company=company,
                address=address,
                service_location=location,
                offer_id=offer,
                existing_customer_id=customer,
                request_id=request_id,
            )
            number, customer_id = lead["lead_id"], lead["existing_customer_id"]
            tells(subject=subject_of("lead", number), customer_id=customer_id, after={"lead": lead})
        print_json(lead) if json_ else say(f"lead {lead['lead_id']} is {lead['state']}")

    run(act, as_json=json_)


@app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help="Only new, qualified, converted or disqualified ones.")] = None,
    before: Annotated[int | None, typer.Option(help="Only leads older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List leads, the newest first: who, since when, and how each stands."""

    async def act(appliance: Appliance) -> None:
        wanted: LeadState | None = chosen("state", state, LeadState)
        async with appliance.database.read() as db:
            found = await appliance.leads(db).leads(state=wanted, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no leads")
        else:
            print_list(("lead", "state", "since", "source", "name"), [_entry(lead) for lead in found])

    run(act, as_json=json_)


@app.command()
def qualify(
    lead: LeadId,
    customer: Annotated[int | None, typer.Option(help="Which customer it is, if they are one already.")] = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Say that a lead is worth a customer; its onboarding starts from that."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.leads(db).qualify(lead_id=lead, by=by, existing_customer_id=customer)
        _print(found, json_)

    run(act, as_json=json_)


@app.command()
def disqualify(
    lead: LeadId, reason: Annotated[str, typer.Option(help="Why it leads nowhere.")], json_: AsJson = False
) -> None:
    """Say that a lead leads nowhere."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.leads(db).disqualify(lead_id=lead, reason=reason)
        _print(found, json_)

    run(act, as_json=json_)


def _print(lead: LeadRecord, json_: bool) -> None:
    if json_:
        print_json(lead)
        return
    customer = f" as customer {lead['customer_id']}" if lead["customer_id"] else ""
    say(f"lead {lead['lead_id']} is {lead['state']}{customer}")


def _entry(lead: LeadRecord) -> Entry:
    facts = (
        lead["email"],
        lead["company"],
        lead["address"] or lead["service_location"],
        f"wants offer {lead['offer_id']}" if lead["offer_id"] else None,
        f"customer {lead['customer_id'] or lead['existing_customer_id']}"
        if lead["customer_id"] or lead["existing_customer_id"]
        else None,
        lead["reason"],
    )
    return Entry(
        (
            str(lead["lead_id"]),
            state_text(lead["state"]),
            clock_minute(lead["registered_at"]),
            lead["source"],
            lead["name"],
        ),
        "; ".join(fact for fact in facts if fact),
    )
