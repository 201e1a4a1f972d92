"""``firstlight campaigns``: a change for many CPEs, a few first, then batches, until too many fail."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from acs import CampaignRecord, CampaignService, CampaignState, Group, MemberRecord, MemberState, Pace
from provisioning.access import subject_of
from provisioning.act_previews import CAMPAIGN_VERBS, CampaignVerb, campaign_preview
from provisioning.bootstrap import Appliance
from provisioning.campaigns import planned
from provisioning.cli.account import account
from provisioning.cli.audited import tells
from provisioning.cli.choices import chosen
from provisioning.cli.faults import reason_faults, unless_faulty
from provisioning.cli.printing import Entry, clock_time, err, print_json, print_list, say, say_touches, state_text
from provisioning.cli.running import AsJson, run
from provisioning.days import second
from provisioning.errors import Fault, InvalidRequest

app = typer.Typer(no_args_is_help=True, help="Campaigns: a change for many CPEs, carefully.")

Name = Annotated[str, typer.Argument(help="The campaign's name.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
LOOK_AGAIN_SECONDS = 2.0
ENDS = ("stopped", "cancelled", "completed", "paused")


@app.command()
def plan(  # noqa: PLR0913, PLR0917 - each is a term of the campaign
    name: Name,
    template: Annotated[str | None, typer.Option(help="The template they are to have, as it is now.")] = None,
    firmware: Annotated[str | None, typer.Option(help="In its place: a firmware, by its file at the ACS.")] = None,
    of_template: Annotated[str | None, typer.Option(help="Those that have this template.")] = None,
    model: Annotated[str | None, typer.Option(help="Those that report this product class.")] = None,
    serial: Annotated[list[str] | None, typer.Option(help="Those of these serial numbers; may be repeated.")] = None,
    serials: Annotated[Path | None, typer.Option(help="A file of serial numbers, one a line.")] = None,
    canary: Annotated[int, typer.Option(help="How many go first, alone; 0 for none.")] = 5,
    batch: Annotated[int, typer.Option(help="How many are under way at once after that.")] = 50,
    most_failed: Annotated[int, typer.Option(help="It stops when more than this percentage fails.")] = 10,
    patience_hours: Annotated[float, typer.Option(help="After this a CPE that isn't heard is left behind.")] = 24.0,
    window: Annotated[
        str | None, typer.Option(help="When CPEs may be sent anything, by the ISP's clock: 23:00-05:00.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """Plan to give a group of bound CPEs a template or a firmware; all that is said of the group must be so of each."""

    async def act(service: CampaignService) -> CampaignRecord:
        wanted = [*(serial or ()), *(_lines_of(serials) if serials is not None else ())]
        pace = Pace(
            canary=canary,
            batch_size=batch,
            most_failed_percent=most_failed,
            patience_seconds=round(patience_hours * 3600),
        )
        group = Group(template=of_template, model=model, serials=tuple(wanted))
        return await planned(
            service,
            name=name,
            template=template,
            file=firmware,
            group=group,
            by=account(),
            pace=pace,
            window=window,
        )

    _change(act, as_json=json_)


@app.command()
def start(name: Name, json_: AsJson = False) -> None:
    """Let a planned campaign run."""
    _change(lambda service: service.start(name=name), as_json=json_)


@app.command()
def pause(name: Name, json_: AsJson = False) -> None:
    """Begin no further CPE; those under way go on."""
    _change(lambda service: service.pause(name=name), as_json=json_)


@app.command()
def resume(name: Name, reason: Reason, json_: AsJson = False) -> None:
    """Go on after a pause or a stop; after a stop the faults so far are not held against it again."""
    _change(lambda service: service.resume(name=name), faults=reason_faults(reason), as_json=json_)


@app.command()
def cancel(name: Name, reason: Reason, json_: AsJson = False) -> None:
    """End it: what has begun goes on by itself, what waits is left alone."""
    _change(lambda service: service.cancel(name=name), faults=reason_faults(reason), as_json=json_)


@app.command("list")
def list_(
    state: Annotated[CampaignState | None, typer.Option(help="Only those in this state.")] = None,
    before: Annotated[int | None, typer.Option(help="Only campaigns behind this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """List the campaigns, the newest first."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.campaigns(db).campaigns(state=state, before_id=before, limit=limit)
        if json_:
            print_json(found)
        elif not found:
            say("no campaigns")
        else:
            print_list(("#", "campaign", "state", "done", "failed", "of"), [_entry(campaign) for campaign in found])

    run(act, as_json=json_)


@app.command()
def show(
    name: Name,
    state: Annotated[MemberState | None, typer.Option(help="Only CPEs in this state.")] = None,
    after: Annotated[int | None, typer.Option(help="Only CPEs behind this number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="How many CPEs at most.")] = 50,
    json_: AsJson = False,
) -> None:
    """Show one campaign, and its CPEs in the order of their turns."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            service = appliance.campaigns(db)
            campaign = await service.campaign(name=name)
            members = await service.members(name=name, states=[state] if state else (), after_id=after, limit=limit)
        if json_:
            print_json({"campaign": campaign, "devices": members})
            return
        _print_campaign(campaign)
        if members:
            print_list(("#", "serial", "state", "begun", "ended"), [_member(member) for member in members])

    run(act, as_json=json_)


@app.command()
def watch(name: Name, json_: AsJson = False) -> None:
    """Show how far a campaign is until it has ended, stopped or been paused; leaving it disturbs nothing."""

    async def act(appliance: Appliance) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[now]}"),
        )
        with Progress(*columns, console=err, transient=True) as progress:
            bar = progress.add_task(name, total=None, now="")
            while True:
                async with appliance.database.read() as db:
                    campaign = await appliance.campaigns(db).campaign(name=name)
                total, devices = _total(campaign), campaign["devices"]
                ended = total - devices["waiting"] - devices["under_way"]
                progress.update(bar, total=total, completed=ended, now=campaign["reason"])
                if campaign["state"] in ENDS:
                    break
                await asyncio.sleep(LOOK_AGAIN_SECONDS)
        print_json(campaign) if json_ else _print_campaign(campaign)

    run(act, as_json=json_)


@app.command()
def preview(
    name: Name,
    verb: Annotated[str, typer.Argument(help=f"What is to be done with it: {', '.join(CAMPAIGN_VERBS)}.")],
    json_: AsJson = False,
) -> None:
    """Say what this would touch; nothing is changed."""

    async def act(appliance: Appliance) -> None:
        wanted: CampaignVerb = chosen("verb", verb, CampaignVerb)
        async with appliance.database.read() as db:
            found = campaign_preview(await appliance.campaigns(db).campaign(name=name), wanted)
        print_json(found) if json_ else say_touches(found.touches, found.refused)

    run(act, as_json=json_)


def _change(
    act: Callable[[CampaignService], Awaitable[CampaignRecord]], *, faults: Sequence[Fault] = (), as_json: bool
) -> None:
    async def change(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            campaign = await unless_faulty(act(appliance.campaigns(db)), faults, what="The request")
            tells(subject=subject_of("campaign", campaign["campaign_id"]), after={"state": campaign["state"]})
        print_json(campaign) if as_json else _print_campaign(campaign)

    run(change, as_json=as_json)


def _lines_of(file: Path) -> list[str]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest("The campaign", [Fault("serials", f"{file} can't be read: {error}")]) from error
    return [line.strip() for line in lines if line.strip()]


def _print_campaign(campaign: CampaignRecord) -> None:
    devices = campaign["devices"]
    say(f"{campaign['name']}  {_what(campaign)}, planned by {campaign['planned_by']}")
    say(state_text(campaign["state"]))
    stopped_at = campaign["stopped_at"]
    say(campaign["reason"] + (f" Since {second(stopped_at)}." if stopped_at else ""))
    counted = ", ".join(f"{count} {state.replace('_', ' ')}" for state, count in devices.items() if count)
    say(f"{_total(campaign)} CPEs: {counted}")
    window = f", between {campaign['window']}" if campaign["window"] else ""
    say(
        f"{campaign['canary']} first, then {campaign['batch_size']} at once{window};"
        f" it stops when more than {campaign['most_failed_percent']} % fail"
    )


def _total(campaign: CampaignRecord) -> int:
    return sum(Counter(campaign["devices"]).values())


def _what(campaign: CampaignRecord) -> str:
    arguments = campaign["arguments"]
    return f"{campaign['kind']} {arguments.get('template') or arguments.get('file')}"


def _entry(campaign: CampaignRecord) -> Entry:
    devices = campaign["devices"]
    cells = (
        str(campaign["campaign_id"]),
        campaign["name"],
        state_text(campaign["state"]),
        str(devices["done"]),
        str(devices["failed"]),
        str(_total(campaign)),
    )
    return Entry(cells, campaign["reason"])


def _member(member: MemberRecord) -> Entry:
    cells = (
        str(member["member_id"]),
        member["device_serial"],
        state_text(member["state"]),
        clock_time(member["begun_at"]),
        clock_time(member["ended_at"]),
    )
    return Entry(cells, member["reason"])
