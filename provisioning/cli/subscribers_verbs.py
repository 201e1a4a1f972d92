"""``firstlight subscribers change-plan | suspend | resume | rotate-password | changes``: what is done to who is served.

A command commits, then goes to FreeRADIUS and to each open session at once and says what each did. What it could not
bring about, the worker goes on with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.printing import clock_time, print_json, say
from provisioning.cli.running import AsJson, run
from provisioning.subscriber_desk import ChangedSubscriber, SubscriberDesk
from radius import RadiusError, Retransmission, SessionChangeView

AT_ONCE = Retransmission(sends=3, first_wait_seconds=1.0)
"""Who types waits; what needs longer is the worker's."""

Username = Annotated[str, typer.Argument(help="The RADIUS username, realm included.")]
Reason = Annotated[str, typer.Option(help="Why, for the audit.")]
Request = Annotated[str | None, typer.Option(help="Names this act: the same again changes nothing.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (change_plan, suspend, resume, rotate_password, changes):
        app.command()(command)


def change_plan(
    username: Username,
    plan: Annotated[str, typer.Argument(help="The plan by its name.")],
    reason: Reason,
    request: Request = None,
    json_: AsJson = False,
) -> None:
    """Give another plan, to the next login and to the sessions that are open."""
    _change(username, lambda desk: desk.change_plan(username, plan=plan, request_id=request), as_json=json_)


def suspend(
    username: Username,
    reason: Reason,
    garden: Annotated[
        str | None, typer.Option(help="The plan of a walled garden; left out, every login is refused.")
    ] = None,
    request: Request = None,
    json_: AsJson = False,
) -> None:
    """Refuse logins and end the sessions that are open, or keep the line in a walled garden; the password stays."""
    _change(username, lambda desk: desk.suspend(username, garden=garden, request_id=request), as_json=json_)


def resume(username: Username, reason: Reason, request: Request = None, json_: AsJson = False) -> None:
    """End a suspension: the same password, plan and addresses as before."""
    _change(username, lambda desk: desk.resume(username, request_id=request), as_json=json_)


def rotate_password(username: Username, reason: Reason, request: Request = None, json_: AsJson = False) -> None:
    """Make a new random password, which is sealed and not shown; sessions go on, and the CPE needs to be told."""
    _change(username, lambda desk: desk.rotate_password(username, request_id=request), as_json=json_)


def changes(
    username: Annotated[str | None, typer.Argument(help="The RADIUS username; left out, everybody's.")] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Those that some session has not followed yet.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 20,
    json_: AsJson = False,
) -> None:
    """Show what was changed of subscribers and how far their sessions have followed."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            number = None
            if username is not None:
                number = (await appliance.subscriber_desk(db).named(username))["subscriber_id"]
            found = await appliance.subscriber_verbs(db).changes(subscriber_id=number, pending=pending, limit=limit)
        if json_:
            print_json(found)
            return
        for each in found:
            _print_change(each)

    run(act, as_json=json_)


def _change(username: str, act: Callable[[SubscriberDesk], Awaitable[ChangedSubscriber]], *, as_json: bool) -> None:
    async def done(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            changed = await act(appliance.subscriber_desk(db))
            subscriber = changed["subscriber"]
            tells(subject=subject_of("subscriber", subscriber["subscriber_id"]), customer_id=subscriber["customer_id"])
        not_carried = None
        try:
            with carrying(appliance):
                changes_now = appliance.session_changes(AT_ONCE)
                changed["change"] = await changes_now.deliver(changed["change"]["change_id"])
        except RadiusError as error:
            not_carried = str(error)
        if not_carried is None:
            async with appliance.database.read() as db:
                changed["subscriber"] = await appliance.subscriber_desk(db).named(username)
        if as_json:
            print_json(changed)
            return
        _print(changed)
        if not_carried is not None:
            say(f"  committed, not carried over yet: {not_carried}")

    run(done, as_json=as_json)


def _print(changed: ChangedSubscriber) -> None:
    found = changed["subscriber"]
    garden = f" in garden {found['garden']}" if found["garden"] else ""
    say(f"{found['username']}: {found['state']}{garden} on plan {found['plan']}")
    _print_change(changed["change"])


def _print_change(change: SessionChangeView) -> None:
    act = change["act"].replace("_", " ")
    say(f"  change {change['change_id']} of subscriber {change['subscriber_id']}, {act}: {change['state']}")
    if change["carried_at"] is not None and not change["sessions"]:
        say("  no session was open")
    for each in change["sessions"]:
        proof = "" if each["confirmed_at"] is None else ", and accounting bears it out"
        said = each["said"].replace("_", " ")
        say(f"  session {each['session_id']} at {each['nas_address']}: {said} ({each['reason']}){proof}")
    if change["next_at"] is not None:
        say(f"  the worker looks again {clock_time(change['next_at'])}")
