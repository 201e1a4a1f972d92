"""``firstlight partners``: who sells for the ISP, what they have left, what they have earned."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli import partner_domains
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.commercial import Partners, PartnerService
from provisioning.json_files import read_json
from workflows.answers import PartnerRecord

app = typer.Typer(no_args_is_help=True, help="Partners: their licences, customers, commissions and host names.")
app.add_typer(partner_domains.app, name="domains")

Partner = Annotated[int, typer.Argument(help="The partner's number.")]


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List the partners: state, licences left and granted, and what was agreed as commission."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await Partners(db, tenant_id=appliance.tenant_id, now=appliance.clock).partners()
        if json_:
            print_json(found)
            return
        if not found:
            say("no partners")
            return
        entries = [
            Entry(
                (
                    str(partner["partner_id"]),
                    state_text(partner["state"]),
                    f"{partner['quota_remaining']} of {partner['license_quota']}",
                    _terms(partner),
                    partner["name"],
                )
            )
            for partner in found
        ]
        print_list(("partner", "state", "licences", "commission", "name"), entries)

    run(act, as_json=json_)


@app.command()
def show(partner: Partner, json_: AsJson = False) -> None:
    """Show a partner with the ledger of their licences, their customers and their commissions."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            service = PartnerService(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            record = await service.partner(partner)
            ledger = await service.ledger(partner)
            customers = await service.customers(partner)
            commissions = await service.commissions(partner)
        if json_:
            print_json({"partner": record, "ledger": ledger, "customers": customers, "commissions": commissions})
            return
        say(f"partner {partner}: {record['name']}, {record['email']}, {record['state']}")
        say(f"licences: {record['quota_remaining']} of {record['license_quota']} left; commission: {_terms(record)}")
        for entry in ledger:
            moved = f"{entry['licenses']:+d}, {entry['balance_after']} left"
            say(f"  {clock_minute(entry['at'])}  {entry['movement']} {moved}: {entry['note']} ({entry['by']})")
        for customer in customers:
            say(f"customer {customer['customer_id']}: {customer['name']}, {customer['email']}")
        for each in commissions:
            amount = f"{each['amount']} {each['currency']}"
            say(f"commission {each['commission_id']}: {amount} with customer {each['customer_id']}, {each['state']}")

    run(act, as_json=json_)


@app.command()
def grant(
    partner: Partner,
    number: Annotated[int, typer.Argument(help="How many licences more.")],
    note: Annotated[str, typer.Option(help="Why; it is kept in the ledger.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Put more licences into a partner's pool; each time it is typed."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            service = PartnerService(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            record = await service.grant(partner_id=partner, licenses=number, note=note, by=by)
        if json_:
            print_json(record)
        else:
            say(f"partner {partner}: {record['quota_remaining']} of {record['license_quota']} licences left")

    run(act, as_json=json_)


@app.command()
def order(
    partner: Partner,
    file: Annotated[Path, typer.Argument(help="JSON file of the order; see docs/journeys.md.")],
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Take a partner's order of a new customer; its provisioning starts from that. The same order again is the same."""

    async def act(appliance: Appliance) -> None:
        data = read_json(file, "The partner's order")
        async with appliance.database.begin() as db:
            taken = await appliance.partner_desk(db).submit(partner, data, by=by)
        print_json(taken) if json_ else say(f"order {taken['order_ref']} of partner {partner} is taken")

    run(act, as_json=json_)


@app.command()
def paid(
    commission: Annotated[int, typer.Argument(help="The commission's number.")],
    reference: Annotated[str, typer.Option(help="Under which reference the money was sent.")],
    json_: AsJson = False,
) -> None:
    """Keep that a commission was paid out; it can't be reversed any more."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            service = PartnerService(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            record = await service.pay_commission(commission_id=commission, reference=reference)
        if json_:
            print_json(record)
        else:
            amount = f"{record['amount']} {record['currency']}"
            say(f"commission {commission}: {amount} to partner {record['partner_id']}, paid")

    run(act, as_json=json_)


def _terms(partner: PartnerRecord) -> str:
    if partner["commission_basis_points"] is not None:
        return f"{partner['commission_basis_points'] / 100:g} %"
    return f"{partner['commission_fixed_minor']} {partner['currency']} minor units"
