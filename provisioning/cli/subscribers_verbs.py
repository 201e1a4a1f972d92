"""``firstlight subscribers change-plan | suspend | resume | disconnect | set-right | lift-cap | rotate-password |
rename | bind | unbind | changes``: what is done to who is served.

A command commits, then goes to FreeRADIUS and to each open session at once and says what each did. What it could not
bring about, the worker goes on with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from acs import command_about
from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, changes_nothing, tells
from provisioning.cli.printing import print_json, say
from provisioning.cli.running import AsJson, Reason, run
from provisioning.cli.whom import ByExternalId, ById, Username, whom
from provisioning.days import second
from provisioning.subscriber_desk import ChangedSubscriber, SubscriberDesk, was_so_already
from provisioning.subscriber_looks import SubscriberNumber, Who
from provisioning.vault import VaultError
from radius import (
    LineIdentity,
    RadiusError,
    Retransmission,
    SessionChangeView,
    SubscriberRenamed,
    SubscriberUnknown,
    SubscriberView,
)

AT_ONCE = Retransmission(sends=2)
"""Who types waits; what needs longer is the worker's."""
PAUSES = (0.1, 0.2, 0.3, 0.5, 0.8, 1.0, 1.5, 2.0)
"""Seconds between looks where the worker was quicker and is at it."""

Request = Annotated[str | None, typer.Option(help="Names this act: the same again changes nothing.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (
        change_plan,
        suspend,
        resume,
        activate,
        disconnect,
        set_right,
        lift_cap,
        rotate_password,
        rename,
        bind,
        unbind,
        changes,
    ):
        app.command()(command)


def change_plan(
    username: Username,
    plan: Annotated[str, typer.Argument(help="The plan by its name.")],
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Give another plan, to the next login and to the sessions that are open."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.change_plan(who, plan=plan, request_id=request),
        as_json=json_,
    )


def suspend(
    username: Username,
    reason: Reason,
    garden: Annotated[
        str | None, typer.Option(help="The plan of a walled garden; left out, every login is refused.")
    ] = None,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Refuse logins and end the sessions that are open, or keep the line in a walled garden; the password stays."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.suspend(who, garden=garden, request_id=request),
        as_json=json_,
    )


def resume(
    username: Username,
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """End a suspension: the same password, plan and addresses as before."""
    change(
        lambda: whom(username, external_id, id_), lambda desk, who: desk.resume(who, request_id=request), as_json=json_
    )


def activate(
    username: Username,
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Let in one that was brought in as pending, or has no service: whom no run lets in."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.activate(who, request_id=request),
        as_json=json_,
    )


def disconnect(
    username: Username,
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """End the sessions that are open; whoever logs in anew is served as before."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.disconnect(who, request_id=request),
        as_json=json_,
    )


def set_right(
    username: Username,
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Bring FreeRADIUS and the open sessions to what is wanted already, whoever has changed them."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.set_right(who, request_id=request),
        as_json=json_,
    )


def lift_cap(
    username: Username,
    reason: Reason,
    octets: Annotated[
        int | None, typer.Option(min=1, help="So many octets more; left out, as many as it likes until the month ends.")
    ] = None,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Let it use more than its data cap in this billing month, and serve it by its own plan if that is enough."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.lift_cap(who, octets=octets, request_id=request),
        as_json=json_,
    )


def rotate_password(
    username: Username,
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Make a new random password, which is sealed and not shown; sessions go on, and its CPE is told it."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.rotate_password(who, request_id=request),
        as_json=json_,
    )


def rename(
    username: Username,
    new_username: Annotated[str, typer.Argument(help="The name it logs in by from now on, realm included.")],
    reason: Reason,
    end_sessions: Annotated[
        bool, typer.Option("--end-sessions", help="End the sessions that are open; else they go on until they end.")
    ] = False,
    cpe_by_hand: Annotated[
        bool,
        typer.Option("--cpe-by-hand", help="You tell the CPE the new name; else its settings get it, to be applied."),
    ] = False,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Let it log in under another name alone; the former one is free when no session is open under it."""
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.rename(
            who, username=new_username, end_sessions=end_sessions, cpe_by_hand=cpe_by_hand, request_id=request
        ),
        as_json=json_,
    )


def bind(  # noqa: PLR0913, PLR0917 - each is a fact about the line
    username: Username,
    reason: Reason,
    station: Annotated[str | None, typer.Option(help="Its Calling-Station-Id; a MAC address in any spelling.")] = None,
    port: Annotated[str | None, typer.Option(help="Its NAS-Port-Id.")] = None,
    circuit: Annotated[
        str | None, typer.Option(help="Its Agent-Circuit-Id, as the access node sends it: text, or 0x and hex digits.")
    ] = None,
    remote: Annotated[str | None, typer.Option(help="Its Agent-Remote-Id, likewise.")] = None,
    ipoe: Annotated[bool, typer.Option("--ipoe", help="The line logs in by itself, without a password.")] = False,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Let it log in from one line alone, in place of the one it was bound to."""
    line = LineIdentity(station, port, circuit, remote)
    change(
        lambda: whom(username, external_id, id_),
        lambda desk, who: desk.bind(who, line=line, logs_in=ipoe, request_id=request),
        as_json=json_,
    )


def unbind(
    username: Username,
    reason: Reason,
    request: Request = None,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Let it log in from any line, with its password."""
    change(
        lambda: whom(username, external_id, id_), lambda desk, who: desk.unbind(who, request_id=request), as_json=json_
    )


def changes(
    username: Annotated[str | None, typer.Argument(help="The RADIUS username; left out, everybody's.")] = None,
    pending: Annotated[bool, typer.Option("--pending", help="Those that some session has not followed yet.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, the newest first.")] = 20,
    external_id: ByExternalId = False,
    id_: ById = False,
    json_: AsJson = False,
) -> None:
    """Show what was changed of subscribers and how far their sessions have followed."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            number = None
            if username is not None:
                number = (await appliance.subscriber_desk(db).named(whom(username, external_id, id_)))["subscriber_id"]
            found = await appliance.subscriber_verbs(db).changes(subscriber_id=number, pending=pending, limit=limit)
        if json_:
            print_json(found)
            return
        for each in found:
            print_change(each)

    run(act, as_json=json_)


def change(
    whose: Callable[[], Who], act: Callable[[SubscriberDesk, Who], Awaitable[ChangedSubscriber]], *, as_json: bool
) -> None:
    """Commits an act, carries it over at once and says what came of it. ``whose``: may refuse what was typed."""

    async def done(appliance: Appliance) -> None:
        who = whose()
        async with appliance.database.begin() as db:
            desk = appliance.subscriber_desk(db)
            before = await _before(desk, who)
            changed = await act(desk, who)
            subscriber = changed["subscriber"]
            if was_so_already(before, changed):
                changes_nothing(db)
            tells(subject=subject_of("subscriber", subscriber["subscriber_id"]), customer_id=subscriber["customer_id"])
        changed["change"], not_carried = await carried(appliance, changed["change"])
        if not_carried is None:
            async with appliance.database.read() as db:
                desk = appliance.subscriber_desk(db)
                changed["subscriber"] = await desk.named(SubscriberNumber(changed["subscriber"]["subscriber_id"]))
        if as_json:
            print_json({**changed, "not_carried_over": not_carried})
            return
        _print(changed)
        if not_carried is not None:
            say(f"  committed, not carried over yet: {not_carried}")

    run(done, as_json=as_json)


async def _before(desk: SubscriberDesk, who: Who) -> SubscriberView | None:
    """None: nobody, which the act says. Who asks for a rename again may know it by the name that it gave up."""
    try:
        return await desk.named(who)
    except SubscriberRenamed as renamed:
        return await desk.named(renamed.present)
    except SubscriberUnknown:
        return None


async def carried(appliance: Appliance, change: SessionChangeView) -> tuple[SessionChangeView, str | None]:
    """What has come of a committed change at once, and why it could not be carried over; the worker goes on with it."""
    try:
        with carrying(appliance):
            return await appliance.session_changes(AT_ONCE).deliver(change["change_id"], pauses=PAUSES), None
    except (RadiusError, VaultError) as error:
        return change, str(error)


def _print(changed: ChangedSubscriber) -> None:
    found = changed["subscriber"]
    garden = f" in garden {found['garden']}" if found["garden"] else ""
    capped = f", served by {found['capped']} since its data cap is used up" if found["capped"] else ""
    say(f"{found['username']}: {found['state']}{garden} on plan {found['plan']}{capped}")
    if changed["billed_as"] is not None:
        say(f"  the bill goes on for plan {changed['billed_as']}: this changes what the line gets, and no subscription")
    if changed["addressed_as"] is not None:
        say(
            f"  its addresses and VLAN stay as plan {changed['addressed_as']} gave them: nothing of them follows a plan"
        )
    for serial in changed["cpes_to_be_told"]:
        say(f"  CPE {serial} is to be told: its settings are written down, and not applied yet")
    for serial in changed["cpes_held_back"]:
        say(
            f"  CPE {serial} is held back by its campaign, which has stopped or waits for its window, and so does this."
        )
        say(f"  To send it all now: {command_about('devices converge', serial)}")
    print_change(changed["change"])


def print_change(change: SessionChangeView) -> None:
    """How far a change is, and what each session did."""
    act = change["act"].replace("_", " ")
    say(f"  change {change['change_id']} of subscriber {change['subscriber_id']}, {act}: {change['state']}")
    if change["carried_at"] is not None and not change["sessions"]:
        say("  no session was open")
    if change["carried_at"] is None and change["state"] == "pending":
        say("  its sessions are not asked yet")
    for each in change["sessions"]:
        proof = "" if each["confirmed_at"] is None else ", and accounting bears it out"
        if proof and each["said"] == "unknown_to_nas":
            proof = ", and it is closed in accounting"
        if not proof and each["said"] in ("changed", "disconnected") and change["state"] == "pending":
            proof = ", which accounting has yet to bear out"
        said = each["said"].replace("_", " ")
        say(f"  session {each['session_id']} at {each['nas_address']}: {said} ({each['reason']}){proof}")
    if change["state"] == "superseded":
        say("  a later change takes over what is left of it")
    if change["next_at"] is not None:
        is_borne_out = change["carried_at"] is not None and all(each["confirmed_at"] for each in change["sessions"])
        why = ": one that began before may turn up in accounting until then" if is_borne_out else ""
        say(f"  the worker looks again {second(change['next_at'])}{why}")
