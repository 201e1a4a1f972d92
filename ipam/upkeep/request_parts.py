"""What speaks against a request by its parts: all of them are looked at before any is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from ipam import holdings
from ipam.addresses import parse_network, parse_span, parse_vids, unit_numbered
from ipam.allocation.orders import check_customer, check_request_id, check_text
from ipam.allocation.places import find_place, find_plan
from ipam.allocation.static_requests import STATIC, StaticResources
from ipam.errors import RequestInvalid, ServiceReleased
from ipam.estate.rows import EstateRows
from ipam.lookup.asked import ipv4, looked_for
from ipam.lookup.history import must_be_known
from ipam.request_faults import RequestFaults
from ipam.upkeep.pool_units import all_pools, checked_note, find_pool
from ipam.upkeep.routing import check_count, check_taking, checked_prefix
from ipam.upkeep.shrinking import checked_network

WHYS = ("note", "reason")
NAMES = {
    "service_location": "service_location",
    "bandwidth_plan": "bandwidth_plan",
    "vrf": "vrf",
    "bng": "bng",
    "access_nodes": "access_nodes",
    "pool": "pool",
    "leaving_pool": "pool",
}
"""What is looked for by its name, and what it is called in the request."""
"""Whoever asks knows both as the reason; what is kept of it is a note."""


class RequestParts(TypedDict, total=False):
    """What is known of a request; what is None says nothing.

    They are named as in the verbs of the face. Where one of these means something else, it has another name here:
    ``units`` is a ``value`` that may also be several of the pool, ``leaving_pool`` a ``pool`` that may be one which the
    BNG hands out, ``live_service_id`` a ``service_id`` of a service that must hold something still.
    """

    customer_id: int | None
    request_id: str | None
    service_id: int | None
    live_service_id: int | None
    service_location: str | None
    bandwidth_plan: str | None
    ip_address: str | None
    ipv6_wan_prefix: str | None
    delegated_prefix: str | None
    cvlan: int | None
    take_reserved: bool | None
    prefix: str | None
    count: int | None
    address: str | None
    inside: str | None
    vrf: str | None
    bng: str | None
    access_nodes: Sequence[str] | None
    pool: str | None
    leaving_pool: str | None
    value: str | None
    units: str | None
    span: str | None
    network: str | None
    note: str | None
    reason: str | None


async def refuse_faults(db: AsyncSession, tenant_id: str, parts: RequestParts) -> None:
    """
    Raises:
        RequestInvalid: with all that ``faults_in`` finds; where that is one thing alone, its own error.
        TypeError: a request has no such part, so that nothing would be looked at.
    """
    faults, said = await _faults(db, tenant_id, parts)
    if faults.all:  # else a number that no pool has is refused with the pools that serve the premise
        await _look_at_numbers(faults, db, tenant_id, said)
    faults.refuse_if_any()


async def faults_in(db: AsyncSession, tenant_id: str, parts: RequestParts) -> RequestFaults:
    """All that speaks against a request of which these parts are known.

    Raises:
        TypeError: a request has no such part, so that nothing would be looked at.
    """
    faults, said = await _faults(db, tenant_id, parts)
    await _look_at_numbers(faults, db, tenant_id, said)
    return faults


async def _faults(db: AsyncSession, tenant_id: str, parts: RequestParts) -> tuple[RequestFaults, Mapping[str, Any]]:
    """All but what ``_look_at_numbers`` finds, and the parts that say something."""
    if unknown := parts.keys() - RequestParts.__optional_keys__:
        raise TypeError(f"A request about addresses has no {' and no '.join(sorted(unknown))}")
    faults = RequestFaults()
    said = {name: value for name, value in parts.items() if value is not None}
    said = {name: value for name, value in said.items() if _is_text(faults, name, value)}  # else nobody can be asked
    _check(faults, said)
    await _look(faults, db, tenant_id, said)
    await _look_at_pool(faults, db, tenant_id, said)
    return faults, said


def _is_text(faults: RequestFaults, name: str, value: Any) -> bool:
    """Whether a name may be looked for; true of what is no name. That it may not is noted."""
    if (where := NAMES.get(name)) is None:
        return True
    texts = (value,) if isinstance(value, str) else value
    checked = [faults.check(where, partial(check_text, where, each)) for each in texts]
    return None not in checked


def _check(faults: RequestFaults, said: Mapping[str, Any]) -> None:
    """What can be told without asking."""
    for name in WHYS:
        if name in said:
            faults.check("reason", partial(checked_note, said[name]))
    if "customer_id" in said:
        faults.check("customer_id", partial(check_customer, said["customer_id"]))
    if "request_id" in said:
        faults.check("request_id", partial(check_request_id, said["request_id"]))
    numbers = {name: said[name] for name in STATIC if name in said}
    takes_reserved, is_of_routes = said.get("take_reserved") is True, "count" in said
    faults.check("static", StaticResources(**numbers, take_reserved=takes_reserved and not is_of_routes).checked)
    if "prefix" in said:
        faults.check("prefix", partial(checked_prefix, said["prefix"]))
    if is_of_routes:
        faults.check("count", partial(check_count, said["count"], said.get("prefix")))
        faults.check("take_reserved", partial(check_taking, takes_reserved, said.get("prefix")))
    if "address" in said:
        faults.check("address", partial(looked_for, said["address"]))
    if "inside" in said:
        faults.check("inside", partial(ipv4, "inside", said["inside"]))


async def _look(faults: RequestFaults, db: AsyncSession, tenant_id: str, said: Mapping[str, Any]) -> None:
    rows = EstateRows(db, tenant_id)
    if "service_id" in said:
        await faults.look("service_id", holdings.find_service(db, tenant_id, said["service_id"]))
    if "live_service_id" in said:
        await faults.look("service_id", _live(db, tenant_id, said["live_service_id"]))
    if "service_location" in said:
        await faults.look("service_location", find_place(db, tenant_id, said["service_location"]))
    if "bandwidth_plan" in said:
        await faults.look("bandwidth_plan", find_plan(db, tenant_id, said["bandwidth_plan"]))
    if "vrf" in said:
        await faults.look("vrf", must_be_known(db, tenant_id, said["vrf"]))
    if "bng" in said:
        await faults.look("bng", rows.id_of("bng", said["bng"]))
    for name in dict.fromkeys(said.get("access_nodes", ())):
        await faults.look("access_nodes", rows.id_of("access_node", name))


async def _look_at_numbers(faults: RequestFaults, db: AsyncSession, tenant_id: str, said: Mapping[str, Any]) -> None:
    """What no pool has, wherever it is asked for. A usable C-VLAN may be of any S-VLAN."""
    for name in STATIC:
        if name in said and name != "cvlan":
            await faults.look(name, _in_some_pool(db, tenant_id, name, said[name]))


async def _in_some_pool(db: AsyncSession, tenant_id: str, name: str, number: Any) -> None:
    """
    Raises:
        RequestInvalid: it is in none.
    """
    try:
        static = StaticResources(**{name: number}).checked()
    except RequestInvalid:
        return  # which is told already
    for kind, value in (static.by_kind() if static else {}).items():
        pools = [pool for pool in await all_pools(db, tenant_id, kind) if pool.framed_pool is None]
        if all(unit_numbered(pool.base, pool.prefix_length, pool.unit_length, value) is None for pool in pools):
            raise RequestInvalid(name, f"{value} is nothing that a pool here hands out")


async def _live(db: AsyncSession, tenant_id: str, service_id: int) -> None:
    line = await holdings.find_service(db, tenant_id, service_id)
    if line.released_at is not None:
        raise ServiceReleased(service_id, line.released_at)


async def _look_at_pool(faults: RequestFaults, db: AsyncSession, tenant_id: str, said: Mapping[str, Any]) -> None:
    """A pool, and what is said of it; of a pool that there isn't, at least whether that can be meant at all."""
    if "leaving_pool" in said:
        await faults.look("pool", find_pool(db, tenant_id, said["leaving_pool"], include_framed=True))
    pool = await faults.look("pool", find_pool(db, tenant_id, said["pool"])) if "pool" in said else None
    if pool is None:
        _check_spelling(faults, said)
        return
    if "value" in said:
        faults.check("value", partial(pool.unit, said["value"]))
    if "units" in said:
        faults.check("value", partial(pool.units, said["units"]))
    if "span" in said:
        faults.check("span", partial(pool.interval, said["span"]))
    if "network" in said:
        await faults.look("network", checked_network(EstateRows(db, tenant_id), pool, said["network"]))


def _check_spelling(faults: RequestFaults, said: Mapping[str, Any]) -> None:
    for name, told_as in (("value", "value"), ("units", "value"), ("span", "span")):
        if name in said:
            faults.check(told_as, partial(_some, told_as, said[name]))
    if "network" in said:
        faults.check("network", partial(_network, said["network"]))


def _some(field: str, text: str) -> None:
    """
    Raises:
        RequestInvalid: these are neither addresses nor VLAN numbers.
    """
    try:
        parse_span(text) if set(text) & set(".:") else parse_vids([text])
    except ValueError as exc:
        raise RequestInvalid(field, f"can't be meant: {exc}") from exc


def _network(text: str) -> None:
    """
    Raises:
        RequestInvalid: it is no prefix.
    """
    try:
        parse_network(text)
    except ValueError as exc:
        raise RequestInvalid("network", str(exc)) from exc
