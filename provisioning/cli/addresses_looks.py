"""``firstlight addresses show | holder | history | preview | left-behind | kea``: what only looks."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import typer

from ipam import (
    KeaExport,
    KnownElsewhere,
    RequestParts,
    ServiceReleased,
    StaticResources,
)
from provisioning.bootstrap import Appliance
from provisioning.cli.address_words import (
    entry_of,
    holder_in_words,
    say_behind,
    say_events,
    say_facts,
    say_service,
    which_unit,
)
from provisioning.cli.choices import chosen
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import (
    Entry,
    err,
    print_indented,
    print_json,
    print_list,
    say,
)
from provisioning.cli.running import AsJson, run
from provisioning.errors import Fault, InvalidRequest
from provisioning.service_views import gone, in_full

OF_A_PORT = re.compile(r"(?P<address>[0-9.]+):(?P<port>[0-9]{1,5})")


MOVED_OUT = "`addresses move` to where they are gets them out"
ROUTED_OUT = "`addresses route` gives them others, then `addresses withdraw` takes these"
WAYS_OUT = {
    "ipv4_routed": ROUTED_OUT,
    "ipv6_routed": ROUTED_OUT,
    "cvlan": f"{MOVED_OUT}, with --cvlan where the number is computed; where all of an S-VLAN is drained, bind another"
    " one in its place first",
}
"""By what a pool hands out, how a service gets out of a part of it that is being drained."""
KeaDaemon = Literal["dhcp4", "dhcp6"]
At = Annotated[
    datetime | None,
    typer.Option(
        help="Then, in the place of now: a moment with its zone, such as 2026-03-02T21:14Z.",
        parser=as_moment,
    ),
]
Vrf = Annotated[str | None, typer.Option(help="In which VRF, if several have it.")]
Ip = Annotated[str | None, typer.Option("--ip", help="Exactly this IPv4 address.")]
Wan6 = Annotated[str | None, typer.Option("--wan6", help="Exactly this IPv6 WAN prefix.")]
DelegatedPrefix = Annotated[str | None, typer.Option("--pd", help="Exactly this delegated prefix.")]
Cvlan = Annotated[int | None, typer.Option("--cvlan", help="Exactly this C-VLAN.")]
TakeReserved = Annotated[
    bool, typer.Option("--take-reserved", help="Also what is reserved, of what is named: it is no longer kept then.")
]


NOT_HELD: Mapping[KnownElsewhere | None, str] = {
    None: "nobody",
    "bng": "not known here: the BNG hands it out",
    "port": "not known without its port: it is a CGNAT's outside address, say --port",
}
"""In words what is told of an address that no service has or had."""


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(show)
    app.command()(holder)
    app.command("history")(history_)
    app.command()(preview)
    app.command("left-behind")(left_behind)
    app.command()(kea)


def static_of(
    ip: str | None, wan6: str | None, pd: str | None, cvlan: int | None, take_reserved: bool
) -> StaticResources | None:
    """What is asked for by its number; nothing of it is nothing."""
    wanted = StaticResources(ip, wan6, pd, cvlan, take_reserved)
    return None if wanted == StaticResources() else wanted


def show(
    address: Annotated[
        str | None, typer.Argument(help="An address, a prefix, or ADDRESS:PORT of a CGNAT's outside.")
    ] = None,
    service: Annotated[int | None, typer.Option(help="All that this service holds, in the address's place.")] = None,
    at: At = None,
    vrf: Vrf = None,
    json_: AsJson = False,
) -> None:
    """Show who has an address or prefix, how it stands and what has become of it; or all that a service holds."""

    async def act(appliance: Appliance) -> None:
        await _refuse_mixed(appliance, address, service, at, vrf)
        if service is not None:
            await _show_service(appliance, service, as_json=json_)
        elif address is not None and ((asked := OF_A_PORT.fullmatch(address)) or at is not None):
            port = int(asked["port"]) if asked else None
            await _show_holder(appliance, asked["address"] if asked else address, port, at, vrf, as_json=json_)
        else:
            async with appliance.database.read() as db:
                facts = await appliance.address_lookup(db).find(str(address), vrf=vrf)
            print_json(facts) if json_ else say_facts(facts)

    run(act, as_json=json_, looks=True)


def holder(
    address: Annotated[str, typer.Argument(help="An address or prefix; with --port the outside address of a CGNAT.")],
    port: Annotated[int | None, typer.Option(help="Which port of it.")] = None,
    at: At = None,
    vrf: Vrf = None,
    json_: AsJson = False,
) -> None:
    """Say who has an address, or had it then; with --port, who was behind that port of a CGNAT: status 1 if nothing
    tells."""

    async def act(appliance: Appliance) -> None:
        await _show_holder(appliance, address, port, at, vrf, as_json=json_)

    run(act, as_json=json_, looks=True)


def history_(
    value: Annotated[str, typer.Argument(help="An address, a prefix, or with --pool also a C-VLAN's number.")],
    pool: Annotated[str | None, typer.Option(help="In which pool; needed for a C-VLAN.")] = None,
    vrf: Vrf = None,
    json_: AsJson = False,
) -> None:
    """List all that has become of an address, prefix or C-VLAN, the oldest first."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            upkeep = appliance.network_upkeep(db)
            if pool is not None:
                found = await upkeep.history(pool=pool, value=value, vrf=vrf)
            else:
                found = await upkeep.history_of_address(address=value, vrf=vrf)
            facts = None if found or pool else await appliance.address_lookup(db).find(value, vrf=vrf)
        if json_:
            print_json(found)
            return
        if not found:
            say("nobody has had it, as far as is known here")
        if facts is not None:
            say_facts(facts)
        say_events(found)

    run(act, as_json=json_, looks=True)


def preview(
    customer: Annotated[int, typer.Option(help="The customer's number.")],
    location: Annotated[str, typer.Option(help="The premise, by its id or an alias.")],
    plan: Annotated[str, typer.Option(help="The network plan.")],
    ip: Ip = None,
    wan6: Wan6 = None,
    pd: DelegatedPrefix = None,
    cvlan: Cvlan = None,
    take_reserved: TakeReserved = False,
    json_: AsJson = False,
) -> None:
    """Say what this customer would be given there now; nothing is written, and nothing is kept for them."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).network_service.preview(
                customer_id=customer,
                service_location=location,
                bandwidth_plan=plan,
                static=static_of(ip, wan6, pd, cvlan, take_reserved),
            )
        if json_:
            print_json(found)
        else:
            entries = [Entry((each["kind"], each["pool"], each["how"], which_unit(each))) for each in found]
            print_list(("kind", "pool", "how", "value"), entries)

    run(act, as_json=json_, looks=True)


def left_behind(
    pool: Annotated[str, typer.Argument(help="The pool that is being drained.")], json_: AsJson = False
) -> None:
    """List who still has something in what is being drained, with the command that gets them out: `addresses move` to
    where they are, of routed prefixes `route`, then `withdraw`. What has to cool off there is listed too, unless it is
    lifted."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            upkeep = appliance.network_upkeep(db)
            found, drained = await upkeep.left_behind(pool=pool), await upkeep.is_drained(pool=pool)
            kind = await upkeep.kind_of(pool=pool)
        if json_:
            print_json(found)
        elif not drained:
            say(f"nothing of {pool} is being drained")
        elif not found:
            say("nobody has anything in it")
        else:
            print_list(("value", "state", "service", "location", "drained since"), [entry_of(each) for each in found])
            if any(each["service_id"] is not None for each in found):
                print_indented(WAYS_OUT.get(kind, MOVED_OUT), indent=0)

    run(act, as_json=json_, looks=True)


def kea(
    for_: Annotated[
        str | None,
        typer.Option("--for", help="As a file that `kea-dhcp4 -t` or `kea-dhcp6 -t` takes: dhcp4 or dhcp6; else both."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Write the host reservations of lines on DHCP plans as Kea's configuration; who is left out, and why, apart."""

    async def act(appliance: Appliance) -> None:
        daemon = None if for_ is None else chosen("for", for_, KeaDaemon)
        async with appliance.database.read() as db:
            found = await appliance.services(db).network_service.kea_reservations()
        if json_:
            print_json({part: said for part, said in found.items() if daemon is None or part in (daemon, "left_out")})
            return
        whole = _as_configuration(found)
        print_json(whole if daemon is None else {daemon.capitalize(): whole[daemon.capitalize()]})
        for each in found["left_out"]:
            err.print(f"left out: service {each['service_id']} at {each['location']}: {each['why']}")

    run(act, as_json=json_, looks=True)


def _as_configuration(export: KeaExport) -> dict[str, Any]:
    return {"Dhcp4": export["dhcp4"], "Dhcp6": export["dhcp6"]}


async def _refuse_mixed(
    appliance: Appliance, address: str | None, service: int | None, at: datetime | None, vrf: str | None
) -> None:
    """
    Raises:
        InvalidRequest: it isn't one address or one service that is asked for; with all else that is wrong.
    """
    mixed = []
    if (address is None) == (service is None):
        mixed.append(Fault("address", "is needed, or --service, and not both"))
    elif service is not None:
        others = {"at": at, "vrf": vrf}
        mixed += [Fault(name, "goes with an address, not with --service") for name in others if others[name]]
    if mixed:
        asked = None if address is None else address.partition(":")[0] if OF_A_PORT.fullmatch(address) else address
        async with appliance.database.read() as db:
            parts: RequestParts = {"service_id": service, "address": asked, "vrf": vrf}
            found = await appliance.address_lookup(db).faults_in(parts)
        raise InvalidRequest("The look-up", [*mixed, *(Fault(*fault) for fault in found)])


async def _show_holder(
    appliance: Appliance, address: str, port: int | None, at: datetime | None, vrf: str | None, *, as_json: bool
) -> None:
    if port is not None:
        await _show_behind(appliance, address, port, at, vrf, as_json=as_json)
        return
    async with appliance.database.read() as db:
        held = await appliance.services(db).network_service.service_at(address=address, at=at, vrf=vrf)
        lookup = appliance.address_lookup(db)
        elsewhere = None if held else await lookup.known_elsewhere(address, at=at, vrf=vrf)
    known = None if elsewhere is None else False
    if as_json:
        answer = {"holder": held, "behind": None, "known": known, "known_from": None, "known_elsewhere": elsewhere}
        print_json(answer)
    else:
        say(f"{address}: {holder_in_words(held) if held else NOT_HELD[elsewhere]}")
    if elsewhere is not None:
        raise typer.Exit(1)


async def _show_behind(
    appliance: Appliance, address: str, port: int, at: datetime | None, vrf: str | None, *, as_json: bool
) -> None:
    async with appliance.database.read() as db:
        ports = appliance.port_blocks(db)
        behind = await ports.holder(outside=address, port=port, at=at, vrf=vrf)
        told = await ports.is_known(outside=address, at=at)
    if as_json:
        print_json({"holder": behind["holder"] if behind else None, "behind": behind, **told, "known_elsewhere": None})
    else:
        say_behind(address, port, behind, told, at)
    if behind is None and not told["known"]:
        raise typer.Exit(1)


async def _show_service(appliance: Appliance, service_id: int, *, as_json: bool) -> None:
    async with appliance.database.read() as db:
        facts = await appliance.address_lookup(db).service(service_id)
        try:
            held = await appliance.services(db).network_service.resources(service_id)
        except ServiceReleased as released:
            print_json(gone(facts, released.released_at)) if as_json else say_service(facts, None)
            return
    print_json(in_full(facts, held)) if as_json else say_service(facts, held)
