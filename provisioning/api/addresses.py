"""``/addresses``: who has an address or had it at a time, what a service holds, how full the pools are."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query, Response
from pydantic import Field

from ipam import (
    AddressFacts,
    KeaExport,
    KnownElsewhere,
    LeftBehind,
    NatHolder,
    Occupation,
    PlaceKind,
    PlaceUsage,
    PoolOutlook,
    PreviewedUnit,
    ServiceAt,
    StaticResources,
    UnitEvent,
)
from provisioning.api.addresses_parts import misfits
from provisioning.api.calls import InCall
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import Moment
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.intake import LARGEST_NUMBER
from provisioning.occupation_svg import occupation_svg

doors = Doors(prefix="/addresses", tags=["addresses"])

LOOKED_AT = {"Content-Security-Policy": "default-src 'none'; sandbox"}
"""A picture that is opened by itself can do nothing but be looked at."""
NOT_THERE = {404: problem(WORDS[404])}
Address = Annotated[str, Query(min_length=2, max_length=64, description="IPv4 or IPv6, or a prefix")]
At = Annotated[Moment | None, Query(description="When; now, if left out")]
Vrf = Annotated[str | None, Query(max_length=120, description="Which, if several have the address")]
PoolName = Annotated[str, Query(min_length=1, max_length=120, description="The pool, by its name")]


class Picture(Response):
    """SVG."""

    media_type = "image/svg+xml"


class Holder(Wish):
    """Who had it; null: nobody, or it isn't ``known`` here. ``behind`` if a port was asked for: who had that port of a
    CGNAT's outside address; null: nobody had it if it is ``known``, else nothing tells who had."""

    holder: ServiceAt | None
    behind: NatHolder | None = None
    known: Annotated[
        bool | None,
        Field(
            description="Of a port: whether a rule held for the address then, or a log gave some port of it to"
            " somebody; false: it isn't known who had the port. Without a port: false where it is `known_elsewhere`"
        ),
    ] = None
    known_from: Annotated[
        datetime | None,
        Field(
            description="Where it isn't known: when a rule or a log first tells of the address after that; null:"
            " nothing does"
        ),
    ] = None
    known_elsewhere: Annotated[
        KnownElsewhere | None,
        Field(description="What knows who had it: `bng`, which hands it out; or its `port`, which has to be said"),
    ] = None


@doors.get("/pools", permission="addresses.read")
async def pools(call: InCall) -> list[PoolOutlook]:
    """How full each pool is, how bad that is, and when it will be full; what cools off counts as used."""
    return await call.appliance.services(call.db).network_service.outlook()


@doors.get("/usage", permission="addresses.read")
async def usage(
    call: InCall, by: Annotated[PlaceKind, Query(description="The kind of place that pools are bound to")] = "site"
) -> list[PlaceUsage]:
    """How full the pools of each place are, of each kind."""
    return await call.appliance.address_lookup(call.db).usage_by_place(by)


@doors.get("/occupation", permission="addresses.read", responses=NOT_THERE)
async def occupation(call: InCall, pool: PoolName) -> Occupation:
    """Where in a pool its units are used."""
    return await call.appliance.address_lookup(call.db).occupation(pool)


@doors.get("/occupation.svg", permission="addresses.read", responses=NOT_THERE, response_class=Picture)
async def occupation_picture(call: InCall, pool: PoolName) -> Picture:
    """The same as a picture."""
    drawn = occupation_svg(await call.appliance.address_lookup(call.db).occupation(pool))
    return Picture(drawn, headers=LOOKED_AT)


@doors.get("/lookup", permission="addresses.read", responses=NOT_THERE, misfits=misfits)
async def lookup(call: InCall, address: Address, vrf: Vrf = None) -> AddressFacts:
    """An address or prefix: its pool, how it stands, who has it, what has become of it."""
    return await call.appliance.address_lookup(call.db).find(address, vrf=vrf)


@doors.get("/holder", permission="addresses.read", responses=NOT_THERE, misfits=misfits)
async def holder(
    call: InCall,
    address: Address,
    port: Annotated[int | None, Query(ge=1, le=65535, description="Of a CGNAT's outside address")] = None,
    at: At = None,
    vrf: Vrf = None,
) -> Holder:
    """Who has this address, or had it then; with a port, who was behind it."""
    if port is not None:
        ports = call.appliance.port_blocks(call.db)
        behind = await ports.holder(outside=address, port=port, at=at, vrf=vrf)
        told = await ports.is_known(outside=address, at=at)
        return Holder(holder=behind["holder"] if behind else None, behind=behind, **told)
    network = call.appliance.services(call.db).network_service
    held = await network.service_at(address=address, at=at, vrf=vrf)
    lookup = call.appliance.address_lookup(call.db)
    elsewhere = None if held else await lookup.known_elsewhere(address, at=at, vrf=vrf)
    return Holder(holder=held, known=None if elsewhere is None else False, known_elsewhere=elsewhere)


@doors.get("/history", permission="addresses.read", responses=NOT_THERE, misfits=misfits)
async def history(
    call: InCall,
    value: Annotated[str, Query(min_length=1, max_length=64, description="An address; with a pool, what it hands out")],
    pool: Annotated[str | None, Query(max_length=120, description="Needed for a C-VLAN")] = None,
    vrf: Vrf = None,
) -> list[UnitEvent]:
    """All that has become of an address, prefix or C-VLAN, the oldest first."""
    upkeep = call.appliance.network_upkeep(call.db)
    if pool is not None:
        return await upkeep.history(pool=pool, value=value, vrf=vrf)
    return await upkeep.history_of_address(address=value, vrf=vrf)


@doors.get(
    "/preview",
    permission="addresses.read",
    responses={**NOT_THERE, 409: problem("It could not be given now")},
    misfits=misfits,
)
async def preview(
    call: InCall,
    customer_id: Annotated[int, Query(ge=1, le=LARGEST_NUMBER)],
    service_location: Annotated[str, Query(min_length=1, max_length=200)],
    bandwidth_plan: Annotated[str, Query(min_length=1, max_length=200)],
    ip_address: Annotated[str | None, Query(max_length=64, description="Exactly this one")] = None,
    ipv6_wan_prefix: Annotated[str | None, Query(max_length=64)] = None,
    delegated_prefix: Annotated[str | None, Query(max_length=64)] = None,
    cvlan: Annotated[int | None, Query(ge=0, le=4095)] = None,
    take_reserved: Annotated[bool, Query(description="Also what is reserved, of what is named")] = False,
) -> list[PreviewedUnit]:
    """What this customer would be given there now; nothing is written, and nothing is kept for them."""
    return await call.appliance.services(call.db).network_service.preview(
        customer_id=customer_id,
        service_location=service_location,
        bandwidth_plan=bandwidth_plan,
        static=StaticResources(ip_address, ipv6_wan_prefix, delegated_prefix, cvlan, take_reserved),
    )


@doors.get("/left-behind", permission="addresses.read", responses=NOT_THERE)
async def left_behind(call: InCall, pool: PoolName) -> list[LeftBehind]:
    """Who still has something in what is being drained, and what has to cool off there.

    A service gets out by `move` to where it is; with a routed prefix by `route`, which doesn't count what is being
    drained, and then `withdraw`; with a C-VLAN that is computed by `move` with another `cvlan`.
    """
    return await call.appliance.network_upkeep(call.db).left_behind(pool=pool)


@doors.get("/kea", permission="addresses.read")
async def kea(call: InCall) -> KeaExport:
    """Host reservations of lines on DHCP plans, as parts of Kea's configuration."""
    return await call.appliance.services(call.db).network_service.kea_reservations()
