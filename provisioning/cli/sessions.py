"""``firstlight sessions``: who is online, what a subscriber had and used, who had an address; and what is left at a NAS
that is gone.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.addresses_looks import At
from provisioning.cli.audited import changes_elsewhere, tells
from provisioning.cli.data_cap_words import cap_of
from provisioning.cli.moments import as_day
from provisioning.cli.printing import Entry, at_second, clock_minute, print_json, print_list, say, state_text
from provisioning.cli.running import AsJson, Reason, run
from provisioning.cli.whom import ByExternalId, ById, Username, held_names_of
from provisioning.days import second
from provisioning.holders import HolderView
from provisioning.holders import who_had as who_had_it
from provisioning.nas_desk import address_said
from radius import DataCapView, SessionView, SubscriberUnknown, UnsplitUsage, UsageView, UsedOctets

app = typer.Typer(no_args_is_help=True, help="RADIUS sessions: who is online, who was, and what was used.")

Before = Annotated[int | None, typer.Option(help="Only sessions behind this number: the next page.")]
Limit = Annotated[int, typer.Option(min=1, max=500, help="How many at most.")]


@app.command("list")
def list_(
    nas: Annotated[str | None, typer.Option(help="Only those at this NAS, by its name or address.")] = None,
    plan: Annotated[str | None, typer.Option(help="Only those of subscribers of this plan.")] = None,
    doubtful: Annotated[bool, typer.Option("--doubtful", help="Only those that have missed three interims.")] = False,
    before: Before = None,
    limit: Limit = 50,
    json_: AsJson = False,
) -> None:
    """List the sessions that have not stopped, the newest first."""

    async def act(appliance: Appliance) -> None:
        looks = appliance.session_looks
        async with appliance.database.read() as db:
            radius = appliance.services(db).radius_service
            at = None if nas is None else await address_said(radius, nas)
            if plan is not None:
                await radius.plan(name=plan)
        found = await looks.online(nas_address=at, plan=plan, doubtful=doubtful, before=before, limit=limit)
        if json_:
            print_json(found)
        else:
            _print_sessions(found, "no such session" if nas or plan or doubtful else "nobody is online")

    run(act, as_json=json_)


@app.command()
def show(
    username: Username,
    before: Before = None,
    limit: Limit = 20,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """List the sessions of one subscriber, open and past, the newest first; those under its former names too."""

    async def act(appliance: Appliance) -> None:
        held = await held_names_of(appliance, username, external_id, id_)
        found = await appliance.session_looks.of_subscriber(held, before=before, limit=limit)
        print_json(found) if json_ else _print_sessions(found, f"no session of {held[0].username} is known")

    run(act, as_json=json_)


@app.command()
def usage(
    username: Username,
    from_: Annotated[
        datetime | None, typer.Option("--from", help="The first day (UTC); 30 days back if left out.", parser=as_day)
    ] = None,
    to: Annotated[datetime | None, typer.Option(help="The last day (UTC); today if left out.", parser=as_day)] = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Say how much a username used on these days (UTC); a session is split at midnight."""

    async def act(appliance: Appliance) -> None:
        last = appliance.clock().date() if to is None else to.date()
        first = last - timedelta(days=30) if from_ is None else from_.date()
        names = await held_names_of(appliance, username, external_id, id_)
        found = await appliance.usage_looks.of_user(*names, first_day=first, last_day=last)
        cap, in_words = await _cap_of(appliance, names[0].username)
        if json_:
            print_json({**found, "data_cap": cap})
            return
        _print_usage(found)
        if in_words is not None:
            say(in_words)

    run(act, as_json=json_)


@app.command("who-had")
def who_had(
    address: Annotated[str, typer.Argument(help="An IPv4 or IPv6 address, or a prefix.")],
    at: At = None,
    json_: AsJson = False,
) -> None:
    """Say whose session has an address, or had it then, or a prefix that contains it."""

    async def act(appliance: Appliance) -> None:
        found = await who_had_it(appliance, address, at=at or appliance.clock())
        if json_:
            print_json(found)
        elif found:
            _print_entries([_holder(each) for each in found])
        else:
            say(f"{address}: no session {'has it now; --at TIME says who had it' if at is None else 'had it'}")

    run(act, as_json=json_)


@app.command()
def guard(json_: AsJson = False) -> None:
    """Say of each NAS with open sessions whether accounting comes from it; while it is silent, none is closed."""

    async def act(appliance: Appliance) -> None:
        found = await appliance.session_looks.guards()
        if json_:
            print_json(found)
            return
        for each in found:
            say(each["sentence"])
        if not found:
            say("no NAS with open sessions was looked at: the worker does that every minute")

    run(act, as_json=json_)


@app.command()
def close(
    nas: Annotated[str, typer.Argument(help="The NAS that does not come back, by its name or address.")],
    reason: Reason,
    json_: AsJson = False,
) -> None:
    """Close in accounting what is open at a NAS that is silent: a newer interim opens a session again."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            address = await address_said(appliance.services(db).radius_service, nas)
            closed = await appliance.silent_sessions.close_at(address)
            tells(
                subject=subject_of("nas_address", address), before={"open_sessions": closed}, after={"closed": closed}
            )
            if closed:
                await changes_elsewhere(db)
        if json_:
            print_json({"nas_address": address, "closed": closed})
        else:
            say(f"{closed} session{'' if closed == 1 else 's'} closed at {address}, as of the last sign of life")

    run(act, as_json=json_)


async def _cap_of(appliance: Appliance, name: str) -> tuple[DataCapView | None, str | None]:
    """Of whoever has the name; nobody may have it any more."""
    async with appliance.database.read() as db:
        try:
            subscriber = await appliance.subscriber_desk(db).named(name)
        except SubscriberUnknown:
            return None, None
    return await cap_of(appliance, subscriber["subscriber_id"])


def _print_sessions(found: Sequence[SessionView], nothing: str) -> None:
    if not found:
        say(nothing)
        return
    _print_entries([_entry(each) for each in found])


def _print_entries(entries: Sequence[Entry]) -> None:
    print_list(("number", "state", "username", "nas", "since"), entries)


def _holder(session: HolderView) -> Entry:
    entry, whose = _entry(session), session["subscriber"]
    if whose is None:
        return entry
    renamed = "" if whose["username"] == session["username"] else f", who is {whose['username']} now"
    return Entry(entry.cells, f"{entry.below}; of subscriber {whose['subscriber_id']}{renamed}")


def _entry(session: SessionView) -> Entry:
    since = "" if session["started_at"] is None else clock_minute(session["started_at"])
    cells = (str(session["number"]), state_text(session["state"]), session["username"])
    return Entry((*cells, session["nas"] or session["nas_address"], since), _in_words(session))


def _in_words(session: SessionView) -> str:
    addresses = (session["ipv4"], session["ipv6"], session["ipv6_wan_prefix"], session["delegated_prefix"])
    where = (session["nas_port"] and f"port {session['nas_port']}", session["calling_station"])
    facts = [
        ", ".join(each for each in addresses if each) or "no address",
        f"{session['output_octets']:,} octets down, {session['input_octets']:,} up",
        " ".join(each for each in where if each),
    ]
    if session["stopped_at"] is not None:
        facts.append(f"ended {second(session['stopped_at'])} ({session['terminate_cause'] or 'no cause told'})")
    else:
        facts.append(f"last heard of {at_second(session['updated_at'])}")
    if session["uncertain"]:
        facts.append("perhaps still up then: that is its last word, and its Stop never came")
    return "; ".join(each for each in facts if each)


def _print_usage(found: UsageView) -> None:
    say(f"{found['username']} from {found['first_day']} to {found['last_day']} (UTC): {_octets(found)}")
    for day in found["days"]:
        say(f"  {day['day']}: {_octets(day)}")
    for each in found["unsplit"]:
        say(f"  {_days(each)}, not split by days: {_octets(each)}")
    for each in found["across"]:
        say(f"  not counted, since it is partly of other days: {_days(each)}: {_octets(each)}")


def _days(part: UnsplitUsage) -> str:
    return f"{part['first_day']} to {part['last_day']}"


def _octets(used: UsedOctets) -> str:
    return f"{used['output_octets']:,} octets down, {used['input_octets']:,} up"
