"""In which VRF what services hold stands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.addresses import prefix_of_unit
from ipam.bulk import in_parts
from ipam.tables import ASSIGNED, Allocation, Pool, Prefix, Service, Vrf


async def vrfs_of_held(db: AsyncSession, tenant_id: str, usernames: Sequence[str]) -> dict[str, dict[str, str]]:
    """By username, as far as these are ours, the VRF of each prefix that its service holds; an address is a prefix of
    its whole length."""
    query: Any = (
        select(Service.tenant_id, Service.username, Prefix.first_address, Pool.unit_length, Allocation.unit, Vrf.name)
        .join(Allocation, Allocation.service_id == Service.service_id)
        .join(Pool, Pool.id == Allocation.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
    )
    found: dict[str, dict[str, str]] = {}
    for some in in_parts(usernames):
        # whose they are is looked at afterwards: by tenant SQLite would read all services
        for owner, username, base, unit_length, unit, vrf in await db.execute(
            query.where(Service.username.in_(some), ASSIGNED)
        ):
            if owner == tenant_id:
                found.setdefault(username, {})[str(prefix_of_unit(base, unit_length, unit))] = vrf
    return found
