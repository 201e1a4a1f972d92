"""The gateways that live IPoE services are told with their addresses: such a service is cut off without one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import format_address
from ipam.estate.spec import NetworkEstateSpec
from ipam.tables import ASSIGNED, AddressPlan, Allocation, Pool, Prefix, Service


@dataclass(frozen=True)
class GatewayInUse:
    """The gateway of a pool, and how many live IPoE services have addresses of it."""

    address: str
    services: int

    @property
    def change(self) -> str:
        """What must not be."""
        have = "1 live IPoE service has an address"
        if self.services > 1:
            have = f"{self.services} live IPoE services have addresses"
        return f"no gateway, while {have} of it"

    @property
    def instead(self) -> str:
        return f"keep gateway {self.address} or name another one, or release or move those services first"


async def gateways_in_use(db: AsyncSession, tenant_id: str, pools: Collection[str]) -> dict[str, GatewayInUse]:
    """Of those pools that have one which somebody needs, by their names."""
    if not pools:
        return {}
    found = await db.execute(
        select(Pool.name, Prefix.gateway, func.count(Service.service_id.distinct()))
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .join(Allocation, Allocation.pool_id == Pool.id)
        .join(Service, Service.service_id == Allocation.service_id)
        .join(AddressPlan, AddressPlan.id == Service.plan_id)
        .where(Pool.tenant_id == tenant_id, Pool.kind == "ipv4", Pool.name.in_(pools), Prefix.gateway.is_not(None))
        .where(ASSIGNED, Service.state == "active", AddressPlan.access == "ipoe")
        .group_by(Pool.name, Prefix.gateway)
    )
    return {name: GatewayInUse(format_address(gateway), services) for name, gateway, services in found if gateway}


def without_gateway(data: Mapping[str, Any] | NetworkEstateSpec) -> set[str]:
    """The pools that are described so; what is no description of a pool is for others to tell."""
    if isinstance(data, NetworkEstateSpec):
        return {pool.name for pool in data.pools if pool.gateway is None}
    entries = data.get("pool")
    pools = [each for each in entries if isinstance(each, Mapping)] if isinstance(entries, list | tuple) else []
    names = [each.get("name") for each in pools if each.get("gateway") is None]
    return {name.strip() for name in names if isinstance(name, str)}
