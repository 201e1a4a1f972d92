"""``/addresses``: who has an address or had it at a time, what a service holds, how full the pools are."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query

from ipam import AllocatedResources, PoolUsage, ServiceAt
from provisioning.api.calls import InCall
from provisioning.api.pages import Moment, Number
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish

doors = Doors(prefix="/addresses", tags=["addresses"])


class Holder(Wish):
    """Who had it; null: nobody."""

    holder: ServiceAt | None


@doors.get("/holder", permission="addresses.read")
async def holder(
    call: InCall,
    address: Annotated[str, Query(min_length=2, max_length=64, description="IPv4 or IPv6, or a prefix")],
    at: Annotated[Moment | None, Query(description="When; now, if left out")] = None,
    vrf: Annotated[str | None, Query(max_length=64, description="Which, if several have the address")] = None,
) -> Holder:
    """Who has this address, or had it then."""
    network = call.appliance.services(call.db).network_service
    return Holder(holder=await network.service_at(address=address, at=at, vrf=vrf))


@doors.get("/pools", permission="addresses.read")
async def pools(call: InCall) -> list[PoolUsage]:
    """How full each pool is; what cools off in quarantine counts as used."""
    return await call.appliance.services(call.db).network_service.utilisation()


@doors.get("/services/{service_id}", permission="addresses.read")
async def of_service(call: InCall, service_id: Number) -> AllocatedResources:
    """Addresses, prefixes and VLANs of one service."""
    return await call.appliance.services(call.db).network_service.resources(service_id)
