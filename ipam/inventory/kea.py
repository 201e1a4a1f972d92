"""Host reservations for Kea, of the lines whose plan gets its addresses by DHCP.

A line is known by what its access node tells of it: the circuit-id (RFC 3046 s3.1) in DHCPv4, and in DHCPv6 the
interface-id (RFC 8415 s21.18), which Kea's flex-id hook makes an identifier (``relay6[-1].option[18].hex``: of the
relay next to the line, which the access node is also where the BNG relays once more). Addresses stand under their
subnet, which has its pool's number (Kea 3 asks for one) and tells its gateway; delegated prefixes are global, since the
subnet of the link isn't the prefix they come from.

Kea takes the subnet by the relay's address, which lies in one of those that a BNG serves; a line's address may come
from another one. So subnets behind one BNG are a shared network, in all of which Kea looks for the line; among them
those that have none yet, since the relay's may be one of these. Kea knows a subnet once: of a network that stands in
several routing tables the pool that was made first is told, and the lines of the others take a server of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address
from ipam.answers import value_of
from ipam.tables import (
    ASSIGNED,
    AccessNode,
    AccessPort,
    AddressPlan,
    Allocation,
    Bng,
    Location,
    Pool,
    PoolBinding,
    Prefix,
    Service,
)
from ipam.upkeep.answers import KeaExport, LeftOut


async def reservations(db: AsyncSession, tenant_id: str) -> KeaExport:
    """What Kea is to hand out to whom, as parts of its configuration."""
    lines: dict[int, tuple[str, str | None, str]] = {}
    held: dict[int, dict[str, tuple[Any, str]]] = {}
    for row in await db.execute(_held(tenant_id)):
        lines[row.service_id] = (row.name, row.circuit_id, row.bng)
        value = value_of(row.first_address, row.unit_length, row.unit)
        held.setdefault(row.service_id, {})[row.kind] = (row, value)
    times = Counter(circuit_id for _, circuit_id, _ in lines.values())
    known = {
        service_id: (location, circuit_id, bng)
        for service_id, (location, circuit_id, bng) in lines.items()
        if circuit_id is not None and times[circuit_id] == 1
    }
    left_out = [
        LeftOut(service_id=service_id, location=location, why=_why(circuit_id))
        for service_id, (location, circuit_id, _) in lines.items()
        if service_id not in known
    ]
    told = _first_pools(held[service_id] for service_id in known)
    subnets: dict[int, dict[str, Any]] = {}
    behind: dict[int, set[str]] = {}
    delegated: list[dict[str, Any]] = []
    for service_id, (location, circuit_id, bng) in known.items():
        identifier = circuit_id.encode().hex(":")
        mine = held[service_id]
        if "ipv4" in mine:
            row, address = mine["ipv4"]
            if told[row.network] != row.pool_id:
                left_out.append(LeftOut(service_id=service_id, location=location, why=_twice(row.network)))
                continue
            subnet = subnets.setdefault(row.pool_id, _subnet(row))
            subnet["reservations"].append({"circuit-id": identifier, "ip-address": address})
            behind.setdefault(row.pool_id, set()).add(bng)
        if "ipv6_pd" in mine:
            delegated.append({"flex-id": identifier, "prefixes": [mine["ipv6_pd"][1]]})
    bngs = {bng for served in behind.values() for bng in served}
    for row in await db.execute(_bound(tenant_id)):
        if row.bng in bngs and told.setdefault(row.network, row.pool_id) == row.pool_id:
            subnets.setdefault(row.pool_id, _subnet(row))
            behind.setdefault(row.pool_id, set()).add(row.bng)
    return KeaExport(
        dhcp4={"host-reservation-identifiers": ["circuit-id"], **_linked(subnets, behind)},
        dhcp6={
            "host-reservation-identifiers": ["flex-id"],
            "reservations-global": True,
            "reservations": delegated,
        },
        left_out=left_out,
    )


def _first_pools(lines: Iterable[Mapping[str, tuple[Any, str]]]) -> dict[str, int]:
    """By network the pool that was made first of those from which lines have addresses."""
    first: dict[str, int] = {}
    for row in (held["ipv4"][0] for held in lines if "ipv4" in held):
        first[row.network] = min(row.pool_id, first.get(row.network, row.pool_id))
    return first


def _subnet(row: Any) -> dict[str, Any]:
    """Without a gateway its CPEs would have an address and no way out."""
    routers = [] if row.gateway is None else [{"name": "routers", "data": format_address(row.gateway)}]
    of_gateway = {"option-data": routers} if routers else {}
    return {"id": row.pool_id, "subnet": row.network, **of_gateway, "reservations": []}


def _linked(subnets: Mapping[int, dict[str, Any]], behind: Mapping[int, set[str]]) -> dict[str, Any]:
    """Those with a BNG in common together, also by way of a third one; a subnet by itself needs no network."""
    groups: list[tuple[set[str], list[int]]] = []
    for pool_id in subnets:
        bngs, pools = set(behind[pool_id]), [pool_id]
        for group in [group for group in groups if group[0] & bngs]:
            groups.remove(group)
            bngs, pools = bngs | group[0], [*group[1], *pools]
        groups.append((bngs, pools))
    shared = [
        {"name": " + ".join(sorted(bngs)), "subnet4": [subnets[pool_id] for pool_id in pools]}
        for bngs, pools in groups
        if len(pools) > 1
    ]
    alone = [subnets[pools[0]] for _, pools in groups if len(pools) == 1]
    return {**({"shared-networks": shared} if shared else {}), "subnet4": alone}


def _why(circuit_id: str | None) -> str:
    if circuit_id is None:
        return "the premise has no circuit_id, so Kea could not tell the line from others"
    return f"several services share the circuit_id {circuit_id}, which Kea knows once"


def _twice(network: str) -> str:
    return f"{network} is told for another routing table already, and Kea knows a subnet once"


def _bound(tenant_id: str) -> Any:
    """The IPv4 pools from which lines get addresses by DHCP, and each BNG behind which they do."""
    its_node = or_(
        PoolBinding.bng_id == AccessNode.bng_id,
        PoolBinding.site_id == AccessNode.site_id,
        PoolBinding.node_id == AccessNode.id,
        PoolBinding.port_id.in_(select(AccessPort.id).where(AccessPort.node_id == AccessNode.id)),
    )
    by_dhcp = exists().where(
        AddressPlan.tenant_id == tenant_id,
        AddressPlan.addressing == "dhcp",
        AddressPlan.ipv4,
        or_(PoolBinding.plan_id.is_(None), PoolBinding.plan_id == AddressPlan.id),
    )
    return (
        select(Pool.id.label("pool_id"), Prefix.first_address, Prefix.network, Prefix.gateway, Bng.name.label("bng"))
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .join(PoolBinding, PoolBinding.pool_id == Pool.id)
        .join(AccessNode, its_node)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .where(Pool.tenant_id == tenant_id, Pool.kind == "ipv4", Pool.framed_pool.is_(None), by_dhcp)
        .order_by(Prefix.first_address, Pool.id, Bng.name)
        .distinct()
    )


def _held(tenant_id: str) -> Any:
    """In the order of addresses, so that the same lines always make the same text."""
    return (
        select(
            Service.service_id,
            Location.name,
            Location.circuit_id,
            Pool.id.label("pool_id"),
            Pool.kind,
            Pool.unit_length,
            Prefix.first_address,
            Prefix.network,
            Prefix.gateway,
            Bng.name.label("bng"),
            Allocation.unit,
        )
        .join(AddressPlan, AddressPlan.id == Service.plan_id)
        .join(Location, Location.id == Service.location_id)
        .join(AccessNode, AccessNode.id == Location.node_id)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .join(Allocation, Allocation.service_id == Service.service_id)
        .join(Pool, Pool.id == Allocation.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(Service.tenant_id == tenant_id, AddressPlan.addressing == "dhcp", ASSIGNED)
        .order_by(Pool.kind, Prefix.first_address, Allocation.unit)
    )
