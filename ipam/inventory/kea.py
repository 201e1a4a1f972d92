"""Host reservations for Kea, of the lines whose plan gets its addresses by DHCP.

A line is known by what its access node tells of it: the circuit-id (RFC 3046 s3.1) in DHCPv4, and in DHCPv6 the
interface-id (RFC 8415 s21.18), which Kea's flex-id hook makes an identifier (``relay6[-1].option[18].hex``: of the
relay next to the line, which the access node is also where the BNG relays once more). Addresses stand under their
subnet, which has its pool's number (Kea 3 asks for one) and tells its gateway; delegated prefixes are global, since the
subnet of the link isn't the prefix they come from.

Kea takes the subnet by the relay's address, which lies in one of those that a BNG serves; a line's address may come
from another one. So subnets behind one BNG are a shared network, in all of which Kea looks for the line; among them
those that have none yet, since the relay's may be one of these. Kea knows an address or prefix once: of networks that
lie across one another, in several routing tables, the pool that was made first is told, as far as it has a line that
is told, and the lines of the others take a server of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import Network, format_address, parse_network
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

_KINDS = ("ipv4", "ipv6_pd")
"""What it hands out."""


async def reservations(db: AsyncSession, tenant_id: str) -> KeaExport:
    """What Kea is to hand out to whom, as parts of its configuration."""
    lines: dict[int, _Line] = {}
    for row in await db.execute(_held(tenant_id)):
        line = lines.setdefault(row.service_id, _Line(row.service_id, row.name, row.circuit_id, row.bng))
        line.held[row.kind] = row
    times = Counter(line.circuit_id for line in lines.values())
    why = {line.service_id: _why(line.circuit_id, times) for line in lines.values()}
    having = [line for line in lines.values() if not why[line.service_id]]
    pools, left_out = _told(line.pools for line in having)
    why |= {line.service_id: left_out.get(tuple(line.pools), "") for line in having}
    subnets: dict[int, dict[str, Any]] = {}
    behind: dict[int, set[str]] = {}
    delegated: list[dict[str, Any]] = []
    for line in lines.values():
        if why[line.service_id]:
            continue
        if "ipv4" in line.held:
            address = line.held["ipv4"]
            subnet = subnets.setdefault(address.pool_id, _subnet(address))
            subnet["reservations"].append({"circuit-id": line.identifier, "ip-address": _value(address)})
            behind.setdefault(address.pool_id, set()).add(line.bng)
        if "ipv6_pd" in line.held:
            delegated.append({"flex-id": line.identifier, "prefixes": [_value(line.held["ipv6_pd"])]})
    bngs = {bng for served in behind.values() for bng in served}
    bound = [row for row in await db.execute(_bound(tenant_id)) if row.bng in bngs]
    for row in sorted(bound, key=lambda row: row.pool_id):
        pools.add({row.pool_id: row.network})
    for row in bound:
        if pools.has(row.pool_id):
            subnets.setdefault(row.pool_id, _subnet(row))
            behind.setdefault(row.pool_id, set()).add(row.bng)
    return KeaExport(
        dhcp4={"host-reservation-identifiers": ["circuit-id"], **_linked(subnets, behind)},
        dhcp6={
            "host-reservation-identifiers": ["flex-id"],
            "reservations-global": True,
            "reservations": delegated,
        },
        left_out=[line.left_out(reason) for line in lines.values() if (reason := why[line.service_id])],
    )


@dataclass(eq=False)
class _Line:
    """A service, and what it has of each kind."""

    service_id: int
    location: str
    circuit_id: str | None
    bng: str
    held: dict[str, Any] = field(default_factory=dict)

    @property
    def identifier(self) -> str:
        assert self.circuit_id is not None, "Kea would not know it"
        return self.circuit_id.encode().hex(":")

    @property
    def pools(self) -> dict[int, str]:
        """Of which it has something that Kea hands out, each with its network."""
        held = [self.held[kind] for kind in _KINDS if kind in self.held]
        return {row.pool_id: row.network for row in held}

    def left_out(self, why: str) -> LeftOut:
        return LeftOut(service_id=self.service_id, location=self.location, why=why)


class _Told:
    """Pools of which Kea is told: none of them lies across another one, which they may in several routing tables."""

    def __init__(self) -> None:
        self._networks: dict[int, Network] = {}

    def has(self, pool_id: int) -> bool:
        return pool_id in self._networks

    def add(self, pools: Mapping[int, str]) -> None:
        """All of them, or none."""
        if not self.why_not(pools):
            self._networks |= {pool_id: parse_network(network) for pool_id, network in pools.items()}

    def why_not(self, pools: Mapping[int, str]) -> str:
        """Of the first that lies across another one; empty: they can be told."""
        for pool_id, written in pools.items():
            network = parse_network(written)
            others = (told for pool, told in self._networks.items() if pool != pool_id)
            if (told := next((told for told in others if _overlap(network, told)), None)) is not None:
                across = "" if written == str(told) else f" lies across {told}, which"
                knows = "a subnet" if told.family == 4 else "a prefix"
                return f"{written}{across} is told for another routing table already, and Kea knows {knows} once"
        return ""


def _told(pools_of_lines: Iterable[dict[int, str]]) -> tuple[_Told, dict[tuple[int, ...], str]]:
    """Those that were made first, then what else there is room for: whoever is left out for one of its pools takes the
    place of another one from nobody. And by the pools of a line why they are not told."""
    sets = {tuple(pools): pools for pools in pools_of_lines}
    first, told = _Told(), _Told()
    why: dict[tuple[int, ...], str] = {}
    for pool_id, network in sorted(each for pools in sets.values() for each in pools.items()):
        first.add({pool_id: network})
    for key in sorted(sets, key=lambda key: (not all(first.has(pool_id) for pool_id in key), key)):
        why[key] = told.why_not(sets[key])
        told.add(sets[key])
    return told, why


def _overlap(one: Network, other: Network) -> bool:
    return one.family == other.family and one.first <= other.last and other.first <= one.last


def _value(row: Any) -> str:
    return value_of(row.first_address, row.unit_length, row.unit)


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


def _why(circuit_id: str | None, times: Mapping[str | None, int]) -> str:
    """Empty: Kea can tell the line from others."""
    if circuit_id is None:
        return "the premise has no circuit_id, so Kea could not tell the line from others"
    return "" if times[circuit_id] == 1 else f"several services share the circuit_id {circuit_id}, which Kea knows once"


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
