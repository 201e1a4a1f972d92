"""``/addresses/services``: what a service holds, and what changes it. Its ETag goes with each change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Response
from pydantic import Field

from ipam import (
    MOST_ROUTED_OF_A_POOL,
    AllocatedResources,
    RequestInvalid,
    ServiceIncomplete,
    ServiceReleased,
    StaticResources,
)
from provisioning.addresses import LONGEST_REQUEST, AddressDesk, ChangedService, ReleasedService
from provisioning.api.addresses_parts import ByHand, Why, misfits, misfits_of_live, pointing
from provisioning.api.calls import Call, InCall, etag_of
from provisioning.api.idempotency import key_of
from provisioning.api.openapi import WORDS, problem
from provisioning.api.pages import Number
from provisioning.api.routes import Doors
from provisioning.api.wishes import Wish
from provisioning.intake import LARGEST_NUMBER
from provisioning.service_views import ServiceGone, ServiceHeld, gone, in_full

doors = Doors(prefix="/addresses/services", tags=["addresses"])

Prefix = Annotated[str, Field(max_length=64)]
TakeReserved = Annotated[
    bool, Field(description="Also what is reserved, of what is named by its number: it is no longer kept then")
]


class Allocation(Wish):
    """Whose service, where and on which plan; what it is to have by its number, the rest its pools choose."""

    request_id: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=LONGEST_REQUEST,
            description="Names the service: the same again is the same one, whichever key and token it comes with."
            " After it was released it comes back, with its former addresses as far as nobody else was given them."
            " Without it the Idempotency-Key names it, for that token alone.",
        ),
    ] = None
    customer_id: Annotated[int, Field(ge=1, le=LARGEST_NUMBER)]
    service_location: Annotated[str, Field(min_length=1, max_length=200)]
    bandwidth_plan: Annotated[str, Field(min_length=1, max_length=200)]
    ip_address: Prefix | None = None
    ipv6_wan_prefix: Prefix | None = None
    delegated_prefix: Prefix | None = None
    cvlan: Annotated[int, Field(ge=0, le=4095)] | None = None
    take_reserved: TakeReserved = False


class ServiceToMove(ByHand):
    """Where the service goes on, and what it is to have there by its number; the rest its pools choose."""

    service_location: Annotated[str, Field(min_length=1, max_length=200)]
    reason: Why
    ip_address: Prefix | None = None
    ipv6_wan_prefix: Prefix | None = None
    delegated_prefix: Prefix | None = None
    cvlan: Annotated[int, Field(ge=0, le=4095)] | None = None
    take_reserved: TakeReserved = False


class Route(Wish):
    """From which pool, and if it matters which prefix of it; else how many of that pool it shall have at least."""

    pool: Annotated[str, Field(min_length=1, max_length=120)]
    reason: Why
    prefix: Prefix | None = None
    count: Annotated[int, Field(ge=1, le=MOST_ROUTED_OF_A_POOL)] = 1
    take_reserved: TakeReserved = False


class Withdrawal(Wish):
    """Which routed prefix, and why."""

    prefix: Prefix
    reason: Why


class Release(Wish):
    """Why nobody makes use of it any more."""

    reason: Why


@doors.post(
    "",
    permission="addresses.write",
    status_code=201,
    responses={200: {"model": AllocatedResources, "description": "It was there already"}, 404: problem(WORDS[404])},
    shared=True,
    misfits=misfits,
)
async def allocate(call: InCall, wish: Allocation, response: Response) -> AllocatedResources:
    """Gives a service that your own system looks after its addresses, prefixes and VLANs; 409 when a pool is full. The
    same request again is answered 200, and changes nothing unless its service was released."""
    static = await _static(call, wish)
    by_key = hashlib.sha256(f"{call.caller.token_id}/{key_of(call.request)}".encode()).hexdigest()[:32]
    held, how, location = await call.appliance.address_desk(call.db).allocate(
        customer_id=wish.customer_id,
        service_location=wish.service_location,
        bandwidth_plan=wish.bandwidth_plan,
        request_id=f"api/{by_key}" if wish.request_id is None else wish.request_id,
        static=static,
    )
    before = {"state": "released"} if how == "back" else None
    call.tells(subject=f"service/{held['service_id']}", customer_id=wish.customer_id, before=before)
    if how != "new":
        response.status_code = 200
    if how == "held":
        call.changes_nothing()
    response.headers["Location"] = call.address(f"addresses/services/{held['service_id']}")
    response.headers["ETag"] = _etag(location, held)
    return held


@doors.get(
    "/{service_id}",
    permission="addresses.read",
    responses={409: problem("It lacks a part of what its plan needs (`ipam.service_incomplete`)")},
)
async def of_service(
    call: InCall, service_id: Number, response: Response
) -> Annotated[ServiceHeld | ServiceGone, Field(discriminator="state")]:
    """Whose a service is, with its addresses, prefixes and VLANs; its ETag goes with a change of them, and with a
    move. Of one that was released, whose it was."""
    facts = await call.appliance.address_lookup(call.db).service(service_id)
    told: ServiceHeld | ServiceGone
    try:
        held = await call.appliance.services(call.db).network_service.resources(service_id)
    except ServiceReleased as released:
        told = gone(facts, released.released_at)
        response.headers["ETag"] = _etag(facts["location"], told)
        return told
    response.headers["ETag"] = _etag(facts["location"], held)
    told = in_full(facts, held)
    return told


@doors.post("/{service_id}/move", permission="addresses.write", if_match=True, misfits=misfits_of_live)
async def move(call: InCall, service_id: Number, wish: ServiceToMove, response: Response) -> ChangedService:
    """Lets it go on at another premise; named where it is, it gets out of what is being drained."""
    static = await _static(call, wish, live_service_id=service_id)
    desk = await _seen(call, service_id, wish, reason=wish.reason, going_to=wish.service_location)
    changed = await desk.move(
        service_id=service_id, service_location=wish.service_location, note=wish.reason, static=static
    )
    return await _changed(call, changed, response)


@doors.post("/{service_id}/route", permission="addresses.write", if_match=True, misfits=misfits_of_live)
async def route(call: InCall, service_id: Number, wish: Route, response: Response) -> ChangedService:
    """Routes a prefix to it besides what its plan gives it, or as many as it lacks to have `count` of the pool; what is
    being drained isn't counted."""
    desk = await _seen(call, service_id, wish, reason=wish.reason)
    return await _done(call, await desk.route(service_id=service_id, **wish.model_dump()), response)


@doors.post("/{service_id}/withdraw", permission="addresses.write", if_match=True, misfits=misfits_of_live)
async def withdraw(call: InCall, service_id: Number, wish: Withdrawal, response: Response) -> ChangedService:
    """Takes a routed prefix back, into its pool's quarantine; one that was taken back already stays there."""
    desk = await _seen(call, service_id, wish, reason=wish.reason)
    return await _done(call, await desk.withdraw(service_id=service_id, **wish.model_dump()), response)


@doors.post("/{service_id}/release", permission="addresses.write", if_match=True, misfits=misfits)
async def release(call: InCall, service_id: Number, wish: Release) -> ReleasedService:
    """Takes back what nobody makes use of any more; again: it was so already. One in use ends by its termination."""
    facts = await call.appliance.network_upkeep(call.db).hold_service(service_id=service_id)
    if facts["released_at"] is not None:
        call.changes_nothing()
        return await call.appliance.address_desk(call.db).release(service_id=service_id, reason=wish.reason)
    desk = await _seen(call, service_id, wish, reason=wish.reason)
    return await desk.release(service_id=service_id, reason=wish.reason)


async def _static(
    call: Call, wish: Allocation | ServiceToMove, *, live_service_id: int | None = None
) -> StaticResources | None:
    """What it asks for by its number.

    Raises: RequestInvalid, with whatever else speaks against the request.
    """
    numbers = (wish.ip_address, wish.ipv6_wan_prefix, wish.delegated_prefix, wish.cvlan)
    try:
        return StaticResources(*numbers, wish.take_reserved).checked()
    except RequestInvalid:
        with pointing(of=type(wish).model_fields):
            await call.appliance.address_lookup(call.db).refuse_faults(
                live_service_id=live_service_id, **wish.model_dump()
            )
        raise


async def _seen(
    call: Call,
    service_id: int,
    wish: ServiceToMove | Route | Withdrawal | Release,
    *,
    reason: str,
    going_to: str | None = None,
) -> AddressDesk:
    """The desk, for who has seen what the service holds now; nobody else changes that from here on.

    Raises: ServiceUnknown, ServiceReleased and whatever else speaks against the wish, all at once; PreconditionMissing,
    PreconditionFailed.
    """
    await call.appliance.address_lookup(call.db).refuse_faults(live_service_id=service_id, **wish.model_dump())
    facts = await call.appliance.network_upkeep(call.db).hold_service(service_id=service_id, going_to=going_to)
    try:
        held = await call.appliance.services(call.db).network_service.resources(service_id)
    except ServiceIncomplete:
        held = None  # nobody can have seen it; who means it says `*`
    call.require_match(etag_of("incomplete") if held is None else _etag(facts["location"], held))
    call.tells(subject=f"service/{service_id}", customer_id=facts["customer_id"], reason=reason, before=held)
    return call.appliance.address_desk(call.db)


async def _done(call: Call, changed: ChangedService, response: Response) -> ChangedService:
    """What was so already leaves nothing to audit; a move leaves at least that it was made."""
    if not changed["changed"]:
        call.changes_nothing()
    return await _changed(call, changed, response)


async def _changed(call: Call, changed: ChangedService, response: Response) -> ChangedService:
    facts = await call.appliance.address_lookup(call.db).service(changed["resources"]["service_id"])
    response.headers["ETag"] = _etag(facts["location"], changed["resources"])
    return changed


def _etag(location: str, held: Mapping[str, Any]) -> str:
    """Of two premises at one port a service may hold the same, so the premise counts too."""
    return etag_of("addresses", location, *sorted(held.items()))
