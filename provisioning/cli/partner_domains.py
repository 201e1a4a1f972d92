"""``firstlight partners domains``: under which host names partners' pages may answer, and the proof of each."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, By, run
from provisioning.commercial import DomainRecord
from provisioning.days import minute

app = typer.Typer(no_args_is_help=True, help="The host names of partners, and the proof that they are theirs.")

Partner = Annotated[int, typer.Argument(help="The partner's number.")]
Name = Annotated[str, typer.Argument(help="The host name; what is below it is meant as well.")]


@app.command("list")
def list_(partner: Partner, json_: AsJson = False) -> None:
    """List a partner's host names, what the DNS of each must hold, and what was there last."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.partner_domains(db).domains(partner)
        if json_:
            print_json(found)
        elif not found:
            say(f"partner {partner} has claimed no host name")
        else:
            print_list(("host name", "state", "since"), [_entry(each) for each in found])

    run(act, as_json=json_)


@app.command()
def claim(partner: Partner, name: Name, by: By = "", json_: AsJson = False) -> None:
    """Claim a host name for a partner and say what proves it; the worker looks for that for 30 days.

    The same again later has it look for 30 days more.
    """

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            claimed = await appliance.partner_domains(db).claim(partner_id=partner, domain=name, by=by)
        if json_:
            print_json(claimed)
        elif claimed["state"] == "proven":
            say(f"{claimed['domain']} is proven to be partner {partner}'s")
        else:
            say(f"put into the DNS of {claimed['domain']}: {_wanted(claimed)}")

    run(act, as_json=json_)


@app.command()
def prove(partner: Partner, name: Name, json_: AsJson = False) -> None:
    """Ask the DNS now whether a host name that was claimed is the partner's, or still is."""

    async def act(appliance: Appliance) -> None:
        proven = await appliance.domain_proofs.prove(partner_id=partner, domain=name)
        print_json(proven) if json_ else say(f"{proven['domain']} is proven to be partner {partner}'s")

    run(act, as_json=json_)


@app.command()
def drop(
    partner: Partner, name: Name, reason: Annotated[str, typer.Option(help="Why; it is kept.")], json_: AsJson = False
) -> None:
    """Take a host name from a partner: pages under it answer at their own addresses alone."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            tells(subject=f"partner/{partner}", reason=reason)
            dropped = await appliance.partner_domains(db).drop(partner_id=partner, domain=name)
        print_json(dropped) if json_ else say(f"{dropped['domain']} is not partner {partner}'s any more")

    run(act, as_json=json_)


def _entry(each: DomainRecord) -> Entry:
    since = each["lost_at"] or each["missing_since"] or each["proven_at"] or each["claimed_at"]
    note = _next(each)
    if each["fault"] is not None and each["looked_at"] is not None:
        note += f"; at {minute(each['looked_at'])}: {each['fault']}"
    return Entry((each["domain"], state_text(each["state"]), clock_minute(since)), note)


def _next(each: DomainRecord) -> str:
    """What follows, or is to be done."""
    if each["lost_at"] is not None:
        return f"no page answers there; its DNS must hold {_wanted(each)} again, then claim it anew, or drop it"
    if each["proven_until"] is not None:
        until = minute(each["proven_until"])
        return f"its DNS must hold {_wanted(each)} again; without it pages answer until {until}"
    if each["looked_for_until"] is not None:
        return f"its DNS must hold {_wanted(each)}; looked for until {minute(each['looked_for_until'])}"
    return ""


def _wanted(each: DomainRecord) -> str:
    return f'{each["txt_name"]} TXT "{each["txt_value"]}"'
