"""``firstlight tenants``: customers' pages, where they answer and what they show."""

from __future__ import annotations

from typing import Annotated

import typer
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.commercial import HostedTenants, TenantUnknown, tenant_url
from provisioning.days import minute

app = typer.Typer(no_args_is_help=True, help="Customers' pages: list them, show one.")


@app.command("list")
def list_(
    partner: Annotated[int | None, typer.Option(help="Only pages under this partner's brand.")] = None,
    after: Annotated[int, typer.Option(help="Only those after this number; a list has 500 at most.")] = 0,
    json_: AsJson = False,
) -> None:
    """List customers' pages in the order in which they were provisioned: whose, and where they answer."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            pages = HostedTenants(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            found = await pages.tenants(partner_id=partner, after_id=after)
        if json_:
            base = appliance.settings.public_url
            print_json([{**page, "tenant_url": tenant_url(base, page["tenant_id"])} for page in found])
            return
        if not found:
            say("no pages")
            return
        entries = [
            Entry(
                (
                    str(page["deployment_id"]),
                    str(page["customer_id"]),
                    str(page["partner_id"] or ""),
                    state_text(page["state"]),
                    page["tenant_id"],
                ),
                page["withdraw_reason"] or "",
            )
            for page in found
        ]
        print_list(("page", "customer", "partner", "state", "name"), entries)

    run(act, as_json=json_)


@app.command()
def show(name: Annotated[str, typer.Argument(help="The name in the page's address.")], json_: AsJson = False) -> None:
    """Show a customer's page: its record, where it answers, and what it says at this moment."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            record = await HostedTenants(db, tenant_id=appliance.tenant_id, now=appliance.clock).by_slug(name)
            live = record["state"] == "active"
            page = await appliance.tenant_pages.find(db, slug=name) if live else None
            named = record["domain"] is not None and await _answers_at(appliance, db, record["domain"])
        url = tenant_url(appliance.settings.public_url, name)
        if json_:
            print_json({**record, "tenant_url": url, "page": page})
            return
        say(f"page {record['deployment_id']} of customer {record['customer_id']}: {record['state']}")
        say(f"  {url}" + (f" and https://{record['domain']}" if named else ""))
        if live and record["domain"] is not None and not named:
            say(f"  not at {record['domain']}: it is not proven to be partner {record['partner_id']}'s")
        since = minute(record["provisioned_at"])
        say(f"  {record['deployment_type']}, licence {record['license_id']}, since {since}")
        if page is not None:
            say(f"  shows {page.brand}: service {page.service_state}, order {page.order_state}")
        else:
            say(f"  withdrawn: {record['withdraw_reason']}")

    run(act, as_json=json_)


async def _answers_at(appliance: Appliance, db: AsyncSession, host: str) -> bool:
    try:
        await appliance.tenant_pages.find(db, host=host)
    except TenantUnknown:
        return False
    return True
