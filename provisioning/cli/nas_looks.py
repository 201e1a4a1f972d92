"""``firstlight nas list | show | test | unknown``: what only looks."""

from __future__ import annotations

from typing import Annotated

import typer

from provisioning import strangers
from provisioning.bootstrap import Appliance
from provisioning.cli.plans import say_untold
from provisioning.cli.printing import Entry, at_second, clock_time, err, print_indented, print_json, print_list, say
from provisioning.cli.running import AsJson, run
from provisioning.nas_probes import probe
from radius import DefinedNas, UnknownNas, how_called, wrong_clock_of

Name = Annotated[str, typer.Argument(help="The NAS's name.")]


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command("list")(list_)
    for command in (show, test, unknown):
        app.command()(command)


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


def show(name: Name, json_: AsJson = False) -> None:
    """Show one NAS as it shall be, and whether FreeRADIUS has been told."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            radius = appliance.services(db).radius_service
            nas, untold = await radius.nas_named(name=name), await radius.untold_plans(nas=name)
        if json_:
            print_json({**nas, "untold": untold})
            return
        heard = await appliance.logins.heard([nas["address"]])
        none = "none that is kept" if heard.looked_back is None else f"none among the last {heard.looked_back}"
        say_terms(nas)
        say(f"secret: {nas['secret']}")
        say(f"last login heard from it: {at_second(heard.at.get(nas['address'])) or none}")
        if clock := await wrong_clock_of(appliance.radius_database.read, nas["address"], now=appliance.clock()):
            print_indented(clock.sentence, first="")
        for called in await how_called(appliance.radius_database.read, nas["address"], now=appliance.clock()):
            print_indented(called.sentence, first="")
        say_untold(untold)
        say("carried over to FreeRADIUS" if nas["projected"] else "its last change is not carried over yet")

    run(act, as_json=json_)


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


def unknown(json_: AsJson = False) -> None:
    """List the addresses that asked FreeRADIUS and are no NAS, who asked last first."""

    async def act(appliance: Appliance) -> None:
        found, left_out = await strangers.unknown_nases(appliance)
        if json_:
            print_json(found)
        elif not found:
            say("nobody has asked who is no NAS")
        else:
            print_list(("address", "last", "first", "seconds"), [_unknown(each) for each in found])
        if left_out is not None:
            err.print(f"who asks from outside of FreeRADIUS' network of NASes is not known: {left_out}")

    run(act, as_json=json_)


def say_terms(nas: DefinedNas) -> None:
    """A NAS as it shall be."""
    coa = nas["coa"]
    keys = f"by {', '.join(coa['keys'])}" if coa["keys"] else "by the keys of its dialect"
    most = "as many as it answers" if coa["per_second"] is None else f"{coa['per_second']} a second at most"
    stamp = "with" if coa["event_timestamp"] else "without"
    ends = "ended" if coa["may_end"] else "left as it is"
    say(f"{nas['name']}  {nas['address']}, dialect {nas['dialect']}, CoA port {nas['coa_port']}")
    if nas["calls_itself"]:
        say(f"calls itself {' and '.join(nas['calls_itself'])}")
    say(f"logins by: {', '.join([*nas['login_methods'], *(['line'] if nas['lines'] else [])])}")
    say(f"asked about sessions {keys}, {stamp} Event-Timestamp, {most}; what it refuses to change is {ends}")


def _entry(nas: DefinedNas, heard: str) -> Entry:
    return Entry((nas["name"], nas["address"], nas["dialect"], str(nas["coa_port"]), heard or "none"))


def _unknown(nas: UnknownNas) -> Entry:
    return Entry((nas["address"], clock_time(nas["last_at"]), clock_time(nas["first_at"]), str(nas["times"])))
