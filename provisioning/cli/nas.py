"""``firstlight nas``: who may ask FreeRADIUS, with which secret, and whether the two understand each other.

``nas_looks`` has what only looks.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, cast

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli import nas_looks
from provisioning.cli.audited import carrying, changes_nothing, tells
from provisioning.cli.nas_looks import Name, say_terms
from provisioning.cli.plans import say_untold
from provisioning.cli.printing import print_json, say
from provisioning.cli.running import AsJson, By, Reason, ReasonToSee, run
from provisioning.days import second
from provisioning.errors import Fault, InvalidRequest
from provisioning.nas_desk import ChangedNas, NasWithSecret, coa_said, in_audit, newly_called, taken_up
from provisioning.vault import VaultError
from radius import (
    LOGIN_METHODS,
    CoaTerms,
    DefinedNas,
    NasChange,
    RadiusError,
    UntoldPlan,
    is_left_by_others,
)

app = typer.Typer(no_args_is_help=True, help="NASes: who may ask FreeRADIUS, with which secret, and does it work.")
nas_looks.add_to(app)

CoaPort = typer.Option(min=1, max=65535, help="Where it takes requests about sessions.")
Methods = Annotated[
    list[str] | None,
    typer.Option("--login-method", help="How its subscribers may log in, once or more: pap, chap, mschapv2."),
]
CallsItself = Annotated[
    list[str] | None,
    typer.Option(
        "--calls-itself",
        help="What it says in NAS-IP-Address (or NAS-IPv6-Address) where that isn't its address; once for each.",
    ),
]
Keys = Annotated[
    list[str] | None,
    typer.Option("--coa-key", help="What names a session to it, once or more: Acct-Session-Id, User-Name, ..."),
]
EventTimestamp = Annotated[
    bool | None,
    typer.Option(
        "--coa-event-timestamp/--no-coa-event-timestamp", help="It takes an Event-Timestamp (--no-...: refuses one)."
    ),
]
PerSecond = Annotated[
    int | None, typer.Option("--coa-per-second", min=0, help="How many requests it is sent at most; 0: no limit.")
]
MayEnd = Annotated[
    bool | None,
    typer.Option(
        "--coa-may-end/--no-coa-may-end", help="A session that it refuses to change is ended (--no-...: left)."
    ),
]


@app.command()
def add(  # noqa: PLR0913, PLR0917 - each is a fact about the NAS
    name: Name,
    address: Annotated[str, typer.Argument(help="The IPv4 address its packets come from.")],
    dialect: Annotated[str, typer.Option(help="In whose words it is told a plan: mikrotik, cisco, ...")],
    reason: ReasonToSee,
    coa_port: Annotated[int, CoaPort] = 3799,
    login_method: Methods = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="It tells of lines that log in by themselves (IPoE); never of a hotspot.")
    ] = False,
    calls_itself: CallsItself = None,
    coa_key: Keys = None,
    coa_event_timestamp: EventTimestamp = None,
    coa_per_second: PerSecond = None,
    coa_may_end: MayEnd = None,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Add a NAS with a secret of its own, which is shown this once; FreeRADIUS answers its first packet."""
    said = coa_said(
        keys=coa_key or None, event_timestamp=coa_event_timestamp, per_second=coa_per_second, may_end=coa_may_end
    )

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            added = await appliance.nas_desk(db).add(
                name=name,
                address=address,
                dialect=dialect,
                coa_port=coa_port,
                login_methods=login_method or LOGIN_METHODS,
                lines=lines,
                calls_itself=calls_itself or (),
                coa=replace(CoaTerms(), **said),
                by=by,
                reason=reason,
            )
            tells(subject=subject_of("nas", added["nas"]["nas_id"]))
        await _show_secret(appliance, added, as_json=json_)

    run(act, as_json=json_)


@app.command()
def change(  # noqa: PLR0913, PLR0917 - each is a fact about the NAS
    name: Name,
    reason: Reason,
    address: Annotated[str | None, typer.Option(help="The IPv4 address its packets come from.")] = None,
    dialect: Annotated[str | None, typer.Option(help="In whose words it is told a plan: mikrotik, cisco, ...")] = None,
    coa_port: Annotated[int | None, CoaPort] = None,
    login_method: Methods = None,
    lines: Annotated[
        bool | None,
        typer.Option(
            "--lines/--no-lines", help="It tells of lines that log in by themselves (--no-lines: it does not)."
        ),
    ] = None,
    calls_itself: CallsItself = None,
    no_calls_itself: Annotated[
        bool, typer.Option("--no-calls-itself", help="It calls itself by its address, and by nothing else.")
    ] = False,
    coa_key: Keys = None,
    coa_dialect_keys: Annotated[
        bool, typer.Option("--coa-dialect-keys", help="A session is named to it by the keys of its dialect again.")
    ] = False,
    coa_event_timestamp: EventTimestamp = None,
    coa_per_second: PerSecond = None,
    coa_may_end: MayEnd = None,
    leave_sessions: Annotated[
        bool,
        typer.Option(
            "--leave-sessions",
            help="Another address also where sessions are open under its own: no CoA reaches them any more.",
        ),
    ] = False,
    json_: AsJson = False,
) -> None:
    """Bring a NAS to what is said of it; the rest stays as it is, its secret too."""
    keys = [] if coa_dialect_keys else coa_key or None
    coa = coa_said(keys=keys, event_timestamp=coa_event_timestamp, per_second=coa_per_second, may_end=coa_may_end)
    terms: dict[str, Any] = {"address": address, "dialect": dialect, "coa_port": coa_port, "lines": lines}
    terms["login_methods"] = tuple(login_method) if login_method else None
    terms["calls_itself"] = () if no_calls_itself else tuple(calls_itself) if calls_itself else None
    said = cast(NasChange, {"coa": coa} | {term: value for term, value in terms.items() if value is not None})

    async def act(appliance: Appliance) -> None:
        _refuse_both(
            ("coa_key", coa_key, coa_dialect_keys, "--coa-dialect-keys: the keys are one or the other"),
            ("calls_itself", calls_itself, no_calls_itself, "--no-calls-itself: it is one or the other"),
        )
        async with appliance.database.begin() as db:
            changed = await appliance.nas_desk(db).change(name, said, leave_sessions=leave_sessions)
            nas, before = changed["nas"], changed["before"]
            if nas["version"] == before["version"]:
                changes_nothing(db)
            told = {"nas": in_audit(nas), "sessions_left": changed["sessions_left"]}
            tells(subject=subject_of("nas", nas["nas_id"]), before=in_audit(before), after=told)
        await _show_changed(appliance, changed, as_json=json_)

    run(act, as_json=json_)


@app.command()
def rotate_secret(name: Name, reason: ReasonToSee, by: By = "", json_: AsJson = False) -> None:
    """Give a NAS another secret, which is shown this once, and say when FreeRADIUS goes by it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            rotated = await appliance.nas_desk(db).rotate_secret(name, by=by, reason=reason)
            tells(subject=subject_of("nas", rotated["nas"]["nas_id"]))
        await _show_secret(appliance, rotated, as_json=json_)

    run(act, as_json=json_)


@app.command()
def adopt(name: Name, reason: Reason, json_: AsJson = False) -> None:
    """Take over a NAS that FreeRADIUS knows from before Firstlight, with the secret that it has there."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            nas, is_new = await appliance.nas_desk(db).adopt(name)
            if not is_new:
                changes_nothing(db)
            tells(subject=subject_of("nas", nas["nas_id"]), after={"nas": nas["name"], "adopted": True})
        nas, not_carried = await _carried(appliance, nas)
        if json_:
            print_json({"nas": nas, "is_new": is_new, "not_carried_over": not_carried})
            return
        if is_new:
            say(f"{nas['name']} at {nas['address']} goes on with the secret that FreeRADIUS had for it")
        else:
            say(f"{nas['name']} at {nas['address']} is Firstlight's already: nothing of it has changed")
        if not_carried is not None:
            say(f"committed, not carried over yet: {not_carried}")
        elif is_new:
            say("`firstlight doctor` says if that is a short one, or that of others as well")

    run(act, as_json=json_)


@app.command()
def remove(
    name: Name,
    reason: Reason,
    leave_sessions: Annotated[
        bool,
        typer.Option(
            "--leave-sessions", help="Also where sessions are open under its address: nothing reaches them any more."
        ),
    ] = False,
    json_: AsJson = False,
) -> None:
    """Remove a NAS and its secret, and say until when FreeRADIUS may go on answering it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            removed = await appliance.nas_desk(db).remove(name, leave_sessions=leave_sessions)
            nas, left = removed["nas"], removed["sessions_left"]
            after = {"nas": nas["name"], "removed": True, "sessions_left": left}
            tells(subject=subject_of("nas", nas["nas_id"]), before=in_audit(nas), after=after)
        not_carried = await _carried_over(appliance, nas)
        is_left = not_carried is None and await is_left_by_others(appliance.radius_database.read, nas["address"])
        until = None if not_carried is not None or is_left else appliance.clock() + _remembered(appliance)
        if json_:
            said = {"not_carried_over": not_carried, "answered_until": until, "left_by_others": is_left}
            print_json({**removed, **said})
            return
        say(f"{nas['name']} at {nas['address']} is removed, and its secret is gone")
        if left:
            many = "s" if left != 1 else ""
            say(f"out of reach, and no accounting of theirs is heard: {left} session{many} open under {nas['address']}")
            say(f"  if they are over: `firstlight sessions close {nas['address']} --reason ...`")
        if is_left:
            say(f"FreeRADIUS has a row of {nas['address']} in its table nas that Firstlight did not write, and goes on")
            say("  answering it by the secret there: remove that row")
        elif until is None:
            say(f"committed, FreeRADIUS still knows it until the worker has taken it away: {not_carried}")
        else:
            say(f"FreeRADIUS may answer it until {second(until)}")

    run(act, as_json=json_)


def _refuse_both(*options: tuple[str, list[str] | None, bool, str]) -> None:
    """Each with what it says, and whether another one is given that says the opposite."""
    twice = [
        Fault(name, f"can't be given together with {other}")
        for name, said, is_given, other in options
        if said and is_given
    ]
    if twice:
        raise InvalidRequest("The NAS", twice)


async def _carried(appliance: Appliance, nas: DefinedNas) -> tuple[DefinedNas, str | None]:
    """As it is when FreeRADIUS was told, and why that failed."""
    not_carried = await _carried_over(appliance, nas)
    async with appliance.database.read() as db:
        return await appliance.services(db).radius_service.nas_named(name=nas["name"]), not_carried


async def _carried_over(appliance: Appliance, nas: DefinedNas) -> str | None:
    """Committed it is; now FreeRADIUS is told, and if that fails the worker goes on with it. Why it failed."""
    try:
        with carrying(appliance):
            await appliance.projector.project_one("nas", nas["nas_id"])
    except (RadiusError, VaultError) as error:  # what is committed stands
        return str(error)
    return None


async def _untold(appliance: Appliance, name: str) -> list[UntoldPlan]:
    async with appliance.database.read() as db:
        return await appliance.services(db).radius_service.untold_plans(nas=name)


async def _show_changed(appliance: Appliance, changed: ChangedNas, *, as_json: bool) -> None:
    nas, not_carried = await _carried(appliance, changed["nas"])
    before, left, found = changed["before"], changed["sessions_left"], changed["sessions_to_be_found"]
    when = taken_up(nas, remembered=_remembered(appliance))
    untold = await _untold(appliance, nas["name"])
    if as_json:
        how_far = {"taken_up": when, "not_carried_over": not_carried}
        counts = {"sessions_left": left, "sessions_to_be_found": found}
        print_json({"nas": nas, **how_far, **counts, "untold": untold})
        return
    say_terms(nas)
    say_untold(untold)
    if left:
        many = "s" if left != 1 else ""
        say(f"out of CoA's reach until they log in again: {left} session{many} open under {before['address']}")
    if found:
        _say_when_found(found, newly_called(before, nas))
    if not_carried is not None:
        say(f"committed, not carried over yet: {not_carried}")
    elif when["latest"] is not None:
        say(f"what FreeRADIUS has to know of it counts from {second(when['latest'])} at the latest")


async def _show_secret(appliance: Appliance, made: NasWithSecret, *, as_json: bool) -> None:
    made["nas"], not_carried = await _carried(appliance, made["nas"])
    untold = await _untold(appliance, made["nas"]["name"])
    when = taken_up(made["nas"], remembered=_remembered(appliance))
    if as_json:
        print_json({**made, "taken_up": when, "untold": untold})
        return
    nas = made["nas"]
    say_untold(untold)
    if made["secret"] is None:
        say(f"{nas['name']} is there already; `firstlight keys reveal {nas['secret']} --reason ...` shows its secret")
        if not_carried is not None:
            say(f"not carried over yet: {not_carried}")
        return
    say(f"{nas['name']} at {nas['address']}: keep its secret now, it is not shown again:")
    say(made["secret"])
    if not_carried is not None:
        say(f"committed, not carried over yet: {not_carried}")
    elif made["is_new"]:
        say("FreeRADIUS answers its first packet")
    elif when["latest"] is not None:
        say(f"FreeRADIUS goes by the new secret from {second(when['latest'])} at the latest: change it there then")


def _remembered(appliance: Appliance) -> timedelta:
    return timedelta(seconds=appliance.settings.radius_nas_lifetime_seconds)


def _say_when_found(count: int, addresses: list[str]) -> None:
    many = "s" if count != 1 else ""
    say(f"found with their next interim: {count} session{many} open under {' and '.join(addresses)}")
    closes = " and ".join(f"`firstlight sessions close {each} --reason ...`" for each in addresses)
    say(f"  what a restart of the NAS ends before that is closed with {closes}")
