"""``firstlight audit``: who has changed what, for whom and why."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.access import AuditView, list_audit
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import COMMAND_LINE
from provisioning.cli.printing import Entry, clock_time, print_json, print_list, say
from provisioning.cli.running import AsJson, run

app = typer.Typer(no_args_is_help=True, help="The audit: every change through a door, for ever.")


@app.command("list")
def list_(
    subject: Annotated[str | None, typer.Option(help="What was changed, such as run/7 or quote/3.")] = None,
    customer: Annotated[int | None, typer.Option(help="Only changes for this customer.")] = None,
    run_: Annotated[int | None, typer.Option("--run", help="Only what concerned this run.")] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this person or token did.")] = None,
    before: Annotated[int | None, typer.Option(help="Only entries older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List changes, the newest first: when, who, what, through which door, why."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await list_audit(
                db,
                tenant_id=appliance.tenant_id,
                subject=subject,
                customer_id=customer,
                run_id=run_,
                actor=actor,
                before_id=before,
                limit=limit,
            )
        if json_:
            print_json(found)
        elif not found:
            say("no changes")
        else:
            print_list(("entry", "at", "who", "did", "door"), [_entry(each) for each in found])

    run(act, as_json=json_)


def _entry(view: AuditView) -> Entry:
    said = (view.after or {}).get("typed", {}).get("by") if view.door == COMMAND_LINE else None
    about = (
        f"by {said}" if said else None,
        view.subject,
        f"customer {view.customer_id}" if view.customer_id is not None else None,
        f"run {view.run_id}" if view.run_id is not None and view.subject != f"run/{view.run_id}" else None,
        view.reason,
    )
    cells = (str(view.audit_id), clock_time(view.at), view.actor, view.action, view.door)
    return Entry(cells, "; ".join(each for each in about if each))
