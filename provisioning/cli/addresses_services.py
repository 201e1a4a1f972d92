"""``firstlight addresses allocate | move | route | withdraw | release``: what changes what a service holds."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated, Any

import typer

from ipam import MOST_ROUTED_OF_A_POOL, AllocatedResources, HowAllocated, UnitState
from provisioning.access import subject_of
from provisioning.addresses import AddressDesk, ChangedService
from provisioning.bootstrap import Appliance
from provisioning.cli.addresses_looks import Cvlan, DelegatedPrefix, Ip, TakeReserved, Wan6, static_of
from provisioning.cli.audited import tells
from provisioning.cli.printing import at_second, print_json, say
from provisioning.cli.running import AsJson, run
from provisioning.cli.subscribers_verbs import carried, print_change

Service = Annotated[int, typer.Argument(help="The service's number.")]
Reason = Annotated[str, typer.Option("--reason", "--note", help="Why, for whoever finds it later.")]


HOW: dict[HowAllocated, str] = {"new": "", "held": ", as before", "back": ", back after its release"}


def add_to(app: typer.Typer) -> None:
    """Adds these commands."""
    for command in (allocate, move, route, withdraw, release):
        app.command()(command)


def allocate(  # noqa: PLR0913, PLR0917 - each is a fact about what it is to have
    customer: Annotated[int, typer.Option(help="The customer's number.")],
    location: Annotated[str, typer.Option(help="The premise, by its id or an alias.")],
    plan: Annotated[str, typer.Option(help="The network plan.")],
    request: Annotated[str, typer.Option(help="Names the service: again it is the same one, also after its release.")],
    ip: Ip = None,
    wan6: Wan6 = None,
    pd: DelegatedPrefix = None,
    cvlan: Cvlan = None,
    take_reserved: TakeReserved = False,
    json_: AsJson = False,
) -> None:
    """Give a service that another system looks after its addresses and VLANs; an installation takes its own."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            held, how, _location = await appliance.address_desk(db).allocate(
                customer_id=customer,
                service_location=location,
                bandwidth_plan=plan,
                request_id=request,
                static=static_of(ip, wan6, pd, cvlan, take_reserved),
            )
            tells(subject=subject_of("service", held["service_id"]))
        print_json(held) if json_ else _print_held(held, HOW[how])

    run(act, as_json=json_)


def move(  # noqa: PLR0913, PLR0917 - each is a fact about what it is to have
    service: Service,
    to: Annotated[str, typer.Option(help="The premise where it goes on, by its id or an alias.")],
    reason: Reason,
    request: Annotated[str | None, typer.Option(help="Names this move: the same again changes nothing.")] = None,
    ip: Ip = None,
    wan6: Wan6 = None,
    pd: DelegatedPrefix = None,
    cvlan: Cvlan = None,
    take_reserved: TakeReserved = False,
    json_: AsJson = False,
) -> None:
    """Let a service go on at another premise; named where it is, it gets out of what is being drained."""
    static = static_of(ip, wan6, pd, cvlan, take_reserved)
    _change(
        lambda desk: desk.move(service_id=service, service_location=to, note=reason, request_id=request, static=static),
        {},
        as_json=json_,
    )


def route(
    service: Service,
    pool: Annotated[str, typer.Option(help="The pool of routed prefixes.")],
    reason: Reason,
    prefix: Annotated[str | None, typer.Option(help="Exactly this one; left out, the pool's choice.")] = None,
    count: Annotated[
        int, typer.Option(help=f"How many of that pool it shall have at least, up to {MOST_ROUTED_OF_A_POOL}.")
    ] = 1,
    take_reserved: TakeReserved = False,
    json_: AsJson = False,
) -> None:
    """Route a prefix to a service, besides what its plan gives it; one that is being drained isn't counted."""
    asked: dict[str, Any] = {"pool": pool, "prefix": prefix, "count": count, "take_reserved": take_reserved}
    _change(lambda desk: desk.route(service_id=service, reason=reason, **asked), {"pool": pool}, as_json=json_)


def withdraw(
    service: Service,
    prefix: Annotated[str, typer.Option(help="The routed prefix.")],
    reason: Reason,
    json_: AsJson = False,
) -> None:
    """Take a routed prefix back from a service, into its pool's quarantine."""
    _change(
        lambda desk: desk.withdraw(service_id=service, prefix=prefix, reason=reason),
        {"prefix": prefix},
        as_json=json_,
    )


def release(service: Service, reason: Reason, json_: AsJson = False) -> None:
    """Take back what a service holds of which nobody makes use any more; one in use ends by `subscribers terminate`."""

    async def act(appliance: Appliance) -> None:
        async with appliance.database.begin() as db:
            released = await appliance.address_desk(db).release(service_id=service, reason=reason)
        if json_:
            print_json(released)
            return
        how = "" if released["changed"] else ", as before"
        say(f"service {service}: released {at_second(released['released_at'])}{how}")
        for each in released["released"] if released["changed"] else ():
            say(f"  {each['value']} of pool {each['pool']} {_from_when(each['available_at'])}")
        for stands in released["now"]:
            say(f"  {stands['value']} of pool {stands['pool']} {_stands(stands)}")

    run(act, as_json=json_)


def _from_when(available_at: datetime | None) -> str:
    if available_at is None:
        return "is in a part that is being drained: nobody is given it"
    return f"is free from {at_second(available_at)}"


def _stands(unit: UnitState) -> str:
    """How what was given back earlier stands by now."""
    return {
        "assigned": f"is held by service {unit['service_id']} now",
        "cooling": _from_when(unit["available_at"]),
        "draining": _from_when(None),
        "free": "is free now",
        "gone": "is no longer in the network",
        "lost": "is nobody's and yet not free now: see `firstlight check` (ipam.partition)",
    }.get(unit["state"], f"is {unit['state']} now")


def _change(act: Callable[[AddressDesk], Awaitable[ChangedService]], after: dict[str, str], *, as_json: bool) -> None:
    async def done(appliance: Appliance) -> None:
        tells(after=after)
        async with appliance.database.begin() as db:
            changed = await act(appliance.address_desk(db))
        not_carried = None
        if changed["change"] is not None:
            changed["change"], not_carried = await carried(appliance, changed["change"])
            changed["projected"] = not_carried is None
        if as_json:
            print_json({**changed, "not_carried_over": not_carried})
            return
        _print(changed)
        if not_carried is not None:
            say(f"  committed, not carried over yet: {not_carried}")

    run(done, as_json=as_json)


def _print(changed: ChangedService) -> None:
    _print_held(changed["resources"], "" if changed["changed"] else ", as before")
    if changed["change"] is not None:
        print_change(changed["change"])
    elif changed["projected"] is False:
        say("FreeRADIUS is told by the worker; a session that is open keeps what it was given until it ends")


def _print_held(held: AllocatedResources, how: str = "") -> None:
    where = held["access_node"] if held["port"] is None else f"{held['access_node']} {held['port']}"
    vlan = str(held["svlan"]) if held["cvlan"] is None else f"{held['svlan']}.{held['cvlan']}"
    of_bng = f"an address of {held['bng']}'s own pool {held['framed_pool']}" if held["framed_pool"] else None
    addresses = [held["ip_address"] or of_bng, held["ipv6_wan_prefix"], held["delegated_prefix"]]
    routes = [*held.get("framed_routes", ()), *held.get("framed_ipv6_routes", ())]
    say(f"service {held['service_id']}, {held['username']}: {where}, VLAN {vlan}{how}")
    say(f"  {', '.join(each for each in addresses if each) or 'no address of ours'}")
    for each in routes:
        say(f"  routed: {each}")
