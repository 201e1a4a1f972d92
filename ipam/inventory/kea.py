"""Host reservations for Kea, of the lines whose plan gets its addresses by DHCP.

A line is known by what its access node tells of it: the circuit-id (RFC 3046 s3.1) in DHCPv4, and in DHCPv6 the
interface-id (RFC 8415 s21.18), which Kea's flex-id hook makes an identifier (``relay6[0].option[18].hex``). Addresses
stand under their subnet, which has its pool's number (Kea 3 asks for one); delegated prefixes are global, since the
subnet of the link isn't the prefix they come from.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import value_of
from ipam.tables import ASSIGNED, AddressPlan, Allocation, Location, Pool, Prefix, Service
from ipam.upkeep.answers import KeaExport, LeftOut


async def reservations(db: AsyncSession, tenant_id: str) -> KeaExport:
    """What Kea is to hand out to whom, as parts of its configuration."""
    lines: dict[int, tuple[str, str | None]] = {}
    held: dict[int, dict[str, tuple[int, str, str]]] = {}
    for row in await db.execute(_held(tenant_id)):
        lines[row.service_id] = (row.name, row.circuit_id)
        value = value_of(row.first_address, row.unit_length, row.unit)
        held.setdefault(row.service_id, {})[row.kind] = (row.pool_id, row.network, value)
    times = Counter(circuit_id for _, circuit_id in lines.values())
    subnets: dict[tuple[int, str], list[dict[str, Any]]] = {}
    delegated: list[dict[str, Any]] = []
    left_out: list[LeftOut] = []
    for service_id, (location, circuit_id) in lines.items():
        if circuit_id is None or times[circuit_id] > 1:
            left_out.append(LeftOut(service_id=service_id, location=location, why=_why(circuit_id)))
            continue
        identifier = circuit_id.encode().hex(":")
        mine = held[service_id]
        if "ipv4" in mine:
            pool_id, network, address = mine["ipv4"]
            subnets.setdefault((pool_id, network), []).append({"circuit-id": identifier, "ip-address": address})
        if "ipv6_pd" in mine:
            delegated.append({"flex-id": identifier, "prefixes": [mine["ipv6_pd"][2]]})
    subnet4 = [{"id": pool_id, "subnet": of, "reservations": hosts} for (pool_id, of), hosts in subnets.items()]
    return KeaExport(
        dhcp4={"host-reservation-identifiers": ["circuit-id"], "subnet4": subnet4},
        dhcp6={
            "host-reservation-identifiers": ["flex-id"],
            "reservations-global": True,
            "reservations": delegated,
        },
        left_out=left_out,
    )


def _why(circuit_id: str | None) -> str:
    if circuit_id is None:
        return "the premise has no circuit_id, so Kea could not tell the line from others"
    return f"several services share the circuit_id {circuit_id}, which Kea knows once"


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
            Allocation.unit,
        )
        .join(AddressPlan, AddressPlan.id == Service.plan_id)
        .join(Location, Location.id == Service.location_id)
        .join(Allocation, Allocation.service_id == Service.service_id)
        .join(Pool, Pool.id == Allocation.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(Service.tenant_id == tenant_id, AddressPlan.addressing == "dhcp", ASSIGNED)
        .order_by(Pool.kind, Prefix.first_address, Allocation.unit)
    )
