"""``/addresses/services``: what a service holds, and what changes it. Its ETag goes with each change."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response
from pydantic import Field

from ipam import AllocatedResources, ReleasedResources, ServiceIncomplete, StaticResources
from provisioning.addresses import AddressDesk, ChangedService
from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.pages import Number
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish

doors = Doors(prefix="/addresses/services", tags=["addresses"])

Why = Annotated[str, Field(min_length=1, max_length=500, description="Why, for whoever finds it later")]
Prefix = Annotated[str, Field(max_length=64)]


class Move(Wish):
    """Where the service goes on, and what it is to have there by its number; the rest its pools choose."""

    service_location: Annotated[str, Field(min_length=1, max_length=200)]
    note: Why
    ip_address: Prefix | None = None
    ipv6_wan_prefix: Prefix | None = None
    delegated_prefix: Prefix | None = None
    cvlan: Annotated[int, Field(ge=0, le=4095)] | None = None


class Route(Wish):
    """From which pool, and if it matters which prefix of it."""

    pool: Annotated[str, Field(min_length=1, max_length=120)]
    reason: Why
    prefix: Prefix | None = None


class Withdrawal(Wish):
    """Which routed prefix, and why."""

    prefix: Prefix
    reason: Why


class Release(Wish):
    """Why nobody makes use of it any more."""

    reason: Why


@doors.get("/{service_id}", permission="addresses.read")
async def of_service(call: InCall, service_id: Number, response: Response) -> AllocatedResources:
    """Addresses, prefixes and VLANs of one service; its ETag goes with a change of them."""
    held = await call.appliance.services(call.db).network_service.resources(service_id)
    response.headers["ETag"] = _etag(held)
    return held


@doors.post("/{service_id}/move", permission="addresses.write", if_match=True)
async def move(call: InCall, service_id: Number, wish: Move, response: Response) -> ChangedService:
    """Lets it go on at another premise; named where it is, it gets out of what is being drained."""
    desk = await _seen(call, service_id, reason=wish.note)
    numbers = StaticResources(wish.ip_address, wish.ipv6_wan_prefix, wish.delegated_prefix, wish.cvlan)
    changed = await desk.move(
        service_id=service_id, service_location=wish.service_location, note=wish.note, static=numbers
    )
    return _changed(changed, response)


@doors.post("/{service_id}/route", permission="addresses.write", if_match=True)
async def route(call: InCall, service_id: Number, wish: Route, response: Response) -> ChangedService:
    """Routes a prefix to it besides what its plan gives it."""
    desk = await _seen(call, service_id, reason=wish.reason)
    return _changed(await desk.route(service_id=service_id, pool=wish.pool, prefix=wish.prefix), response)


@doors.post("/{service_id}/withdraw", permission="addresses.write", if_match=True)
async def withdraw(call: InCall, service_id: Number, wish: Withdrawal, response: Response) -> ChangedService:
    """Takes a routed prefix back, into its pool's quarantine."""
    desk = await _seen(call, service_id, reason=wish.reason)
    return _changed(await desk.withdraw(service_id=service_id, prefix=wish.prefix), response)


@doors.post("/{service_id}/release", permission="addresses.write", if_match=True)
async def release(call: InCall, service_id: Number, wish: Release) -> ReleasedResources:
    """Takes back what nobody makes use of any more; again: the same answer. One in use ends by its termination."""
    facts = await call.appliance.address_lookup(call.db).service(service_id)
    if facts["released_at"] is not None:
        call.changes_nothing()
        return await call.appliance.address_desk(call.db).release(service_id=service_id)
    desk = await _seen(call, service_id, reason=wish.reason)
    return await desk.release(service_id=service_id)


async def _seen(call: Call, service_id: int, *, reason: str) -> AddressDesk:
    """The desk, for who has seen what the service holds now.

    Raises: ServiceUnknown, ServiceReleased, PreconditionMissing, PreconditionFailed.
    """
    facts = await call.appliance.address_lookup(call.db).service(service_id)
    try:
        held = await call.appliance.services(call.db).network_service.resources(service_id)
    except ServiceIncomplete:
        held = None  # nobody can have seen it; who means it says `*`
    call.require_match(etag_of("incomplete") if held is None else _etag(held))
    call.tells(subject=f"service/{service_id}", customer_id=facts["customer_id"], reason=reason, before=held)
    return call.appliance.address_desk(call.db)


def _changed(changed: ChangedService, response: Response) -> ChangedService:
    response.headers["ETag"] = _etag(changed["resources"])
    return changed


def _etag(held: AllocatedResources) -> str:
    return etag_of("addresses", *sorted(held.items()))
