"""``firstlight notices``: what teams were told, and what could not be told."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import tells
from provisioning.cli.printing import Entry, clock_time, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, run
from provisioning.commercial import NotificationsService

app = typer.Typer(no_args_is_help=True, help="Notices to teams: what was told, what failed.")


@app.command("list")
def list_(
    failed: Annotated[bool, typer.Option("--failed", help="Only those that nobody tries any more.")] = False,
    team: Annotated[str | None, typer.Option(help="Only notices to this team.")] = None,
    before: Annotated[int | None, typer.Option(help="Only notices older than this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List notices, the newest first: to whom, how each stands, and why it was not taken."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await NotificationsService(db, tenant_id=appliance.tenant_id, now=appliance.clock).notices(
                states=("failed",) if failed else (), team=team, before=before, limit=limit
            )
        if json_:
            print_json(found)
            return
        if not found:
            say("no notices")
            return
        entries = [
            Entry(
                (
                    str(notice["notice_id"]),
                    clock_time(notice["queued_at"]),
                    state_text(notice["state"]),
                    f"{notice['team']}/{notice['channel']}",
                    notice["subject"],
                ),
                f"attempt {notice['attempts']}: {notice['last_error']}" if notice["last_error"] else "",
            )
            for notice in found
        ]
        print_list(("notice", "queued", "state", "to", "subject"), entries)

    run(act, as_json=json_)


@app.command()
def send(
    team: Annotated[str, typer.Argument(help="The team, as the estate file names it.")],
    channel: Annotated[str, typer.Argument(help="One of its channels; email is its own address.")],
    subject: Annotated[str, typer.Argument(help="What it is about.")],
    message: Annotated[str, typer.Argument(help="What to tell.")],
    json_: AsJson = False,
) -> None:
    """Queue a notice by hand, for instance to see whether a channel works; the worker delivers it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            queued = await appliance.services(db).notifications_service.notify_team(
                team=team, channel=channel, subject=subject, message=message
            )
            tells(subject=subject_of("notice", queued["notice_id"]), after={"notice": queued})
        print_json(queued) if json_ else say(f"notice {queued['notice_id']} is queued for {team}/{channel}")

    run(act, as_json=json_)


@app.command()
def retry(notice: Annotated[int, typer.Argument(help="The notice's number.")], json_: AsJson = False) -> None:
    """Try a notice again from now on, as if for the first time."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            queued = await NotificationsService(db, tenant_id=appliance.tenant_id, now=appliance.clock).retry_notice(
                notice_id=notice
            )
        print_json(queued) if json_ else say(f"notice {notice} is queued for {queued['team']}/{queued['channel']}")

    run(act, as_json=json_)
