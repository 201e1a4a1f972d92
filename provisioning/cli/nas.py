"""``firstlight nas``: who may ask FreeRADIUS, with which secret, and whether the two understand each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

import typer

from provisioning.access import subject_of
from provisioning.bootstrap import Appliance
from provisioning.cli.audited import carrying, tells
from provisioning.cli.printing import Entry, clock_time, print_indented, print_json, print_list, say
from provisioning.cli.running import AsJson, By, ReasonToSee, run
from provisioning.nas_desk import NasWithSecret, taken_up
from provisioning.nas_probes import probe
from provisioning.vault import VaultError
from radius import LOGIN_METHODS, DefinedNas, RadiusError, UnknownNas

app = typer.Typer(no_args_is_help=True, help="NASes: who may ask FreeRADIUS, with which secret, and does it work.")

Name = Annotated[str, typer.Argument(help="The NAS's name.")]


@app.command("list")
def list_(json_: AsJson = False) -> None:
    """List the NASes, and when each was heard last."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).radius_service.nas_list()
        if json_:
            print_json(found)
        elif not found:
            say("no NASes")
        else:
            heard = (await appliance.logins.heard([nas["address"] for nas in found])).at
            headings = ("nas", "address", "dialect", "coa port", "last login")
            print_list(headings, [_entry(nas, clock_time(heard.get(nas["address"]))) for nas in found])

    run(act, as_json=json_)


@app.command()
def show(name: Name, json_: AsJson = False) -> None:
    """Show one NAS as it shall be, and whether FreeRADIUS has been told."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            nas = await appliance.services(db).radius_service.nas_named(name=name)
        if json_:
            print_json(nas)
            return
        heard = await appliance.logins.heard([nas["address"]])
        none = "none that is kept" if heard.looked_back is None else f"none among the last {heard.looked_back}"
        say(f"{nas['name']}  {nas['address']}, dialect {nas['dialect']}, CoA port {nas['coa_port']}")
        say(f"logins by: {', '.join([*nas['login_methods'], *(['line'] if nas['lines'] else [])])}")
        say(f"secret: {nas['secret']}")
        say(f"last login heard from it: {clock_time(heard.at.get(nas['address'])) or none}")
        say("carried over to FreeRADIUS" if nas["projected"] else "its last change is not carried over yet")

    run(act, as_json=json_)


@app.command()
def add(
    name: Name,
    address: Annotated[str, typer.Argument(help="The IPv4 address its packets come from.")],
    dialect: Annotated[str, typer.Option(help="In whose words it is told a plan: mikrotik, cisco, ...")],
    reason: ReasonToSee,
    coa_port: Annotated[int, typer.Option(min=1, max=65535, help="Where it takes requests about sessions.")] = 3799,
    login_method: Annotated[
        list[str] | None, typer.Option(help="How its subscribers may log in, once or more: pap, chap, mschapv2.")
    ] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="It tells of lines that log in by themselves (IPoE); never of a hotspot.")
    ] = False,
    by: By = "",
    json_: AsJson = False,
) -> None:
    """Add a NAS with a secret of its own, which is shown this once; FreeRADIUS answers its first packet."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            added = await appliance.nas_desk(db).add(
                name=name,
                address=address,
                dialect=dialect,
                coa_port=coa_port,
                login_methods=login_method or LOGIN_METHODS,
                lines=lines,
                by=by,
                reason=reason,
            )
            tells(subject=subject_of("nas", added["nas"]["nas_id"]))
        await _carried(appliance, added, as_json=json_)

    run(act, as_json=json_)


@app.command()
def rotate_secret(name: Name, reason: ReasonToSee, by: By = "", json_: AsJson = False) -> None:
    """Give a NAS another secret, which is shown this once, and say when FreeRADIUS goes by it."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            rotated = await appliance.nas_desk(db).rotate_secret(name, by=by, reason=reason)
            tells(subject=subject_of("nas", rotated["nas"]["nas_id"]))
        await _carried(appliance, rotated, as_json=json_)

    run(act, as_json=json_)


@app.command()
def test(name: Name, json_: AsJson = False) -> None:
    """Ask FreeRADIUS as this NAS, and this NAS about a session of nobody; status 1 unless both that could, answered."""

    async def act(appliance: Appliance) -> bool:
        probes = await probe(appliance, name)
        if json_:
            print_json(probes)
        else:
            for each in probes:
                print_indented(each["words"], first=f"{each['asked']}: ")
        return all(each["heard"] != "silent" for each in probes)

    if not run(act, as_json=json_):
        raise typer.Exit(1)


@app.command()
def unknown(json_: AsJson = False) -> None:
    """List the addresses that asked FreeRADIUS and are no NAS, who asked last first."""

    async def act(appliance: Appliance) -> None:
        found = await appliance.logins.unknown_nases()
        if json_:
            print_json(found)
        elif not found:
            say("nobody has asked who is no NAS")
        else:
            print_list(("address", "last", "first", "seconds"), [_unknown(each) for each in found])

    run(act, as_json=json_)


async def _carried(appliance: Appliance, made: NasWithSecret, *, as_json: bool) -> None:
    """Committed it is; now FreeRADIUS is told, and if that fails the worker goes on with it."""
    not_carried = None
    try:
        with carrying(appliance):
            await appliance.projector.project_one("nas", made["nas"]["nas_id"])
    except (RadiusError, VaultError) as error:  # what is committed stands
        not_carried = str(error)
    async with appliance.database.read() as db:
        made["nas"] = await appliance.services(db).radius_service.nas_named(name=made["nas"]["name"])
    when = taken_up(made["nas"], remembered=timedelta(seconds=appliance.settings.radius_nas_lifetime_seconds))
    if as_json:
        print_json({**made, "taken_up": when})
        return
    nas = made["nas"]
    if made["secret"] is None:
        say(f"{nas['name']} is there already; `firstlight keys reveal {nas['secret']}` shows its secret")
        return
    say(f"{nas['name']} at {nas['address']}: keep its secret now, it is not shown again:")
    say(made["secret"])
    if not_carried is not None:
        say(f"committed, not carried over yet: {not_carried}")
    elif made["is_new"]:
        say("FreeRADIUS answers its first packet")
    else:
        say(f"FreeRADIUS goes by the new secret from {clock_time(when['latest'])} at the latest: change it there then")


def _entry(nas: DefinedNas, heard: str) -> Entry:
    return Entry((nas["name"], nas["address"], nas["dialect"], str(nas["coa_port"]), heard or "none"))


def _unknown(nas: UnknownNas) -> Entry:
    return Entry((nas["address"], clock_time(nas["last_at"]), clock_time(nas["first_at"]), str(nas["times"])))
