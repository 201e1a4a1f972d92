"""``firstlight customers``: who buys, in which language they are written to, what surveyors found at their places."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

import typer
from rich.text import Text

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import Entry, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.commercial import CustomerRecord
from workflows.services import SurveyResult

app = typer.Typer(no_args_is_help=True, help="Customers: who they are, their language, surveys of their places.")


@app.command("list")
def list_(
    email: Annotated[str | None, typer.Option(help="Only those with this very mail address.")] = None,
    before: Annotated[int | None, typer.Option(help="Only those with a lower number: the next page.")] = None,
    limit: Annotated[int, typer.Option(help="At most so many.", min=1, max=1000)] = 50,
    json_: AsJson = False,
) -> None:
    """List customers, the highest number first; a dash stands for the ISP's own language."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            found = await appliance.customers(db).customers(email=email, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no customers")
        else:
            entries = [Entry(_cells(each), each["email"]) for each in found]
            print_list(("customer", "name", "language", "state"), entries)

    run(act, as_json=json_)


@app.command()
def language(
    customer: Annotated[int, typer.Argument(help="The customer's number.")],
    language: Annotated[str | None, typer.Argument(help="Such as de or de-AT; without one, the ISP's own.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None,
    json_: AsJson = False,
) -> None:
    """Say in which language a customer is written to from now on, and their page speaks."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            said = await appliance.customers(db).speak(customer_id=customer, language=language)
            told = {"customer": said}
            tells(subject=subject_of("customer", customer), customer_id=customer, after=told, reason=reason)
        if json_:
            print_json(said)
        else:
            say(f"customer {customer} is written to in {said['language'] or 'the language of the ISP'}")

    run(act, as_json=json_)


@app.command()
def survey(
    customer: Annotated[int, typer.Argument(help="The customer's number.")],
    location: Annotated[str, typer.Argument(help="The premise, by its id or an alias.")],
    result: Annotated[str, typer.Option(help="feasible, or not_feasible.")],
    surveyed_at: Annotated[
        datetime | None,
        typer.Option(help="When, such as 2026-03-02T10:30Z; default: now.", parser=as_moment),
    ] = None,
    notes: Annotated[str, typer.Option(help="What whoever installs must know.")] = "",
    reason: Annotated[str | None, typer.Option(help="Why, for the audit.")] = None,
    json_: AsJson = False,
) -> None:
    """Keep what a completed site survey found; an installation needs one. The newest counts."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            kept = await appliance.surveys(db).record(
                customer_id=customer,
                service_location=location,
                result=cast(SurveyResult, result),  # the service refuses others
                surveyed_at=surveyed_at or appliance.clock(),
                notes=notes,
            )
            after = {"site_survey": kept["survey_id"], "result": kept["result"]}
            tells(subject=subject_of("customer", customer), customer_id=customer, after=after, reason=reason)
        if json_:
            print_json(kept)
        else:
            say(f"survey {kept['survey_id']} of {kept['service_location']} for customer {customer}: {kept['result']}")

    run(act, as_json=json_)


def _cells(customer: CustomerRecord) -> tuple[str | Text, ...]:
    return (
        str(customer["customer_id"]),
        customer["name"],
        customer["language"] or "-",
        state_text(customer["state"]),
    )
