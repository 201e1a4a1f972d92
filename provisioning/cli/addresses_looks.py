"""``firstlight addresses show | holder | history | preview | left-behind | kea``: what only looks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from shlex import quote
from typing import Annotated, Any, Literal

import typer

from ipam import (
    AddressFacts,
    AllocatedResources,
    KeaExport,
    LeftBehind,
    NatHolder,
    PreviewedUnit,
    ServiceAt,
    ServiceFacts,
    ServiceReleased,
    StaticResources,
    UnitEvent,
)
from provisioning.bootstrap import Appliance
from provisioning.cli.choices import chosen
from provisioning.cli.moments import as_moment
from provisioning.cli.printing import (
    Entry,
    at_second,
    clock_time,
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


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    app.command()(show)
    app.command()(holder)
    app.command("history")(history_)
    app.command()(preview)
    app.command("left-behind")(left_behind)
    app.command()(kea)


def static_of(ip: str | None, wan6: str | None, pd: str | None, cvlan: int | None) -> StaticResources | None:
    """What is asked for by its number; nothing of it is nothing."""
    wanted = StaticResources(ip_address=ip, ipv6_wan_prefix=wan6, delegated_prefix=pd, cvlan=cvlan)
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
            print_json(facts) if json_ else _print_facts(facts)

    run(act, as_json=json_, looks=True)


def holder(
    address: Annotated[str, typer.Argument(help="An address or prefix; with --port the outside address of a CGNAT.")],
    port: Annotated[int | None, typer.Option(help="Which port of it.")] = None,
    at: At = None,
    vrf: Vrf = None,
    json_: AsJson = False,
) -> None:
    """Say who has an address, or had it then; with --port, who was behind that port of a CGNAT."""

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
            _print_facts(facts)
        _print_events(found)

    run(act, as_json=json_, looks=True)


def preview(
    customer: Annotated[int, typer.Option(help="The customer's number.")],
    location: Annotated[str, typer.Option(help="The premise, by its id or an alias.")],
    plan: Annotated[str, typer.Option(help="The network plan.")],
    ip: Ip = None,
    wan6: Wan6 = None,
    pd: DelegatedPrefix = None,
    cvlan: Cvlan = None,
    json_: AsJson = False,
) -> None:
    """Say what this customer would be given there now; nothing is written, and nothing is kept for them."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.read() as db:
            found = await appliance.services(db).network_service.preview(
                customer_id=customer,
                service_location=location,
                bandwidth_plan=plan,
                static=static_of(ip, wan6, pd, cvlan),
            )
        if json_:
            print_json(found)
        else:
            entries = [Entry((each["kind"], each["pool"], each["how"], _which(each))) for each in found]
            print_list(("kind", "pool", "how", "value"), entries)

    run(act, as_json=json_, looks=True)


def _which(previewed: PreviewedUnit) -> str:
    if previewed["drawn_from"] is not None:
        return f"one of {previewed['drawn_from']} never used, drawn when it is taken"
    return previewed["value"] or ""


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
            print_list(("value", "state", "service", "location"), [_left(each) for each in found])
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
            parts = {"service_id": service, "address": asked, "vrf": vrf}
            found = await appliance.address_lookup(db).faults_in(parts)
        raise InvalidRequest("The look-up", [*mixed, *(Fault(*fault) for fault in found)])


async def _show_holder(
    appliance: Appliance, address: str, port: int | None, at: datetime | None, vrf: str | None, *, as_json: bool
) -> None:
    async with appliance.database.read() as db:
        if port is not None:
            behind = await appliance.port_blocks(db).holder(outside=address, port=port, at=at, vrf=vrf)
            held = None
        else:
            behind = None
            held = await appliance.services(db).network_service.service_at(address=address, at=at, vrf=vrf)
    if as_json:
        print_json({"holder": behind["holder"] if behind else held, "behind": behind})
    elif port is not None:
        _print_behind(address, port, behind)
    else:
        say(f"{address}: nobody" if held is None else f"{address}: {_holder_in_words(held)}")


def _print_behind(address: str, port: int, behind: NatHolder | None) -> None:
    if behind is None:
        say(f"{address}:{port}: nobody")
        return
    block, held = behind["block"], behind["holder"]
    who = "no service" if held is None else _holder_in_words(held)
    say(f"{address}:{port}: {block['inside']}, {who}")
    say(f"  ports {block['first_port']} to {block['last_port']} by {block['source']}")


async def _show_service(appliance: Appliance, service_id: int, *, as_json: bool) -> None:
    async with appliance.database.read() as db:
        facts = await appliance.address_lookup(db).service(service_id)
        try:
            held = await appliance.services(db).network_service.resources(service_id)
        except ServiceReleased as released:
            print_json(gone(facts, released.released_at)) if as_json else _print_service(facts, None)
            return
    print_json(in_full(facts, held)) if as_json else _print_service(facts, held)


def _print_service(facts: ServiceFacts, held: AllocatedResources | None) -> None:
    say(f"service {facts['service_id']} of customer {facts['customer_id']}: {facts['username']}, plan {facts['plan']}")
    if held is None:
        say(f"  released {at_second(facts['released_at'])}; it was at {facts['location']}")
        return
    where = held["access_node"] if held["port"] is None else f"{held['access_node']} {held['port']}"
    say(f"  {facts['state']} at {facts['location']}: {where}, {held['bng']}")
    vlan = str(held["svlan"]) if held["cvlan"] is None else f"{held['svlan']}.{held['cvlan']}"
    named = {
        "IPv4": held["ip_address"],
        "pool of the BNG": held["framed_pool"],
        "IPv6 WAN": held["ipv6_wan_prefix"],
        "delegated": held["delegated_prefix"],
        "VLAN": vlan,
        "routed": ", ".join([*held.get("framed_routes", ()), *held.get("framed_ipv6_routes", ())]),
    }
    for name, value in named.items():
        if value:
            say(f"  {name}: {value}")


def _print_facts(facts: AddressFacts) -> None:
    where = f", pool {facts['pool']}" if facts["pool"] else ""
    inside = f" in {facts['network']} ({facts['role']})" if facts["network"] else ""
    note = f": {facts['note']}" if facts["note"] else ""
    state = facts["state"]
    cools = f" until {at_second(facts['available_at'])}" if facts["available_at"] else ""
    until = cools if state == "cooling" else ""
    if state == "unpooled":
        state = "of no pool as a whole, with these in it" if facts["pools"] else "of no pool here"
    say(f"{facts['value']}: {state}{until}{note}{where}{inside}")
    if cools and not until:
        say(f"  cools off{cools} all the same")
    if facts["drained"] is not None and facts["state"] != "draining":
        say(f"  in a part of the pool that is being drained ({facts['drained']}): nobody is given it after that")
    if facts["holder"] is not None:
        say(f"  {_holder_in_words(facts['holder'])}")
    _print_cgnat(facts)
    for pool in facts["pools"]:
        vrf = "" if pool["vrf"] == (facts["vrf"] or "default") else f" in VRF {pool['vrf']}"
        say(f"  pool {pool['pool']}: {pool['network']}{vrf}")
    for each in facts["within"]:
        say(f"  {each['value']}: {each['state']}{_by(each)}")
    if more := facts["within_total"] - len(facts["within"]):
        whole = f"firstlight addresses export --pool {quote(str(facts['pool']))}"
        say(f"  and {more} more: `{whole}` writes all of that pool")
    _print_events(facts["history"])


def _print_cgnat(facts: AddressFacts) -> None:
    for block in facts["outside"]:
        say(f"  outside {block['outside']} ports {block['first_port']} to {block['last_port']} by {block['source']}")
    if facts["cgnat_of"]:
        say(f"  the CGNAT of pool {facts['cgnat_of']} has it outside: with :PORT after it, who is behind that port")
    elif facts["cgnat_logged"]:
        say("  the log of a CGNAT has it outside: with :PORT after it, who is behind that port (or was, --at TIME)")


def _by(each: LeftBehind) -> str:
    if each["service_id"] is None:
        until = f" until {at_second(each['available_at'])}" if each["available_at"] else ""
        return f"{until}: {each['note']}" if each["note"] else until
    return f", service {each['service_id']} of customer {each['customer_id']} at {each['location']}"


def _left(each: LeftBehind) -> Entry:
    service = "" if each["service_id"] is None else f"{each['service_id']} of customer {each['customer_id']}"
    until = f" until {at_second(each['available_at'])}" if each["available_at"] else ""
    return Entry((each["value"], f"{each['state']}{until}", service, each["location"] or ""), each["note"] or "")


def _holder_in_words(held: ServiceAt) -> str:
    until = f" until {at_second(held['until'])}" if held["until"] else ""
    return (
        f"service {held['service_id']} of customer {held['customer_id']}, {held['username']} at {held['location']}"
        f" since {at_second(held['since'])}{until}"
    )


def _print_events(events: Sequence[UnitEvent]) -> None:
    for each in events:
        who = f" service {each['service_id']} of customer {each['customer_id']}" if each["service_id"] else ""
        note = f": {each['note']}" if each["note"] else ""
        print_indented(f"{clock_time(each['at'])}  {each['what']}{who}{note}", indent=4, first="  ")
