"""``firstlight offers``: what is sold."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.printing import Entry, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.cli.sold import months_in_words
from provisioning.commercial import OfferRecord
from provisioning.commercial.money import in_words

app = typer.Typer(no_args_is_help=True, help="Offers: what is sold, and at which price.")


@app.command("list")
def list_(
    everything: Annotated[bool, typer.Option("--all", help="Also what isn't sold any more.")] = False,
    json_: AsJson = False,
) -> None:
    """List the offers by number: what each sells, at which price, for how long."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.offers(db).offers(active=None if everything else True)
        if json_:
            print_json(found)
        elif not found:
            say("no offers")
        else:
            print_list(("offer", "price", "every", "term", "paid", "title"), [_entry(offer) for offer in found])

    run(act, as_json=json_)


def _entry(offer: OfferRecord) -> Entry:
    sells = f"plan {offer['plan']}" if offer["plan"] else "no network service"
    setup = f", setup {in_words(offer['setup_fee_minor'], offer['currency'])}" if offer["setup_fee_minor"] else ""
    return Entry(
        (
            str(offer["offer_id"]),
            in_words(offer["price_minor"], offer["currency"]),
            months_in_words(offer["billing_period_months"]),
            months_in_words(offer["term_months"]),
            offer["payment_terms"],
            offer["title"],
        ),
        sells + setup + ("" if offer["active"] else "; not sold any more"),
    )
