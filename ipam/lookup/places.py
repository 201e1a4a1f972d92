"""Where lines are: behind which port, access node and BNG; and how many services there are behind each port."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from ipam.tables import AccessNode, AccessPort, Bng, Location, Service

MOST_VALUES = 1_000
"""Of an IN list."""
Behind = tuple[str, str, str | None]
"""BNG, access node, and port where that is known."""


class LinePlace(TypedDict):
    """A service that is served, and where its line is."""

    username: str
    service_id: int
    customer_id: int
    bng: str
    access_node: str
    port: str | None


async def places_of(db: AsyncSession, tenant_id: str, usernames: Sequence[str]) -> list[LinePlace]:
    """Of the services with these usernames, as far as they are ours."""
    columns = (Service.username, Service.service_id, Service.customer_id, Bng.name, AccessNode.name, AccessPort.name)
    found = []
    for start in range(0, len(usernames), MOST_VALUES):
        some = usernames[start : start + MOST_VALUES]
        for row in await db.execute(_of_services(tenant_id, *columns).where(Service.username.in_(some))):
            username, service_id, customer_id, bng, node, port = row
            found.append(
                LinePlace(
                    username=username,
                    service_id=service_id,
                    customer_id=customer_id,
                    bng=bng,
                    access_node=node,
                    port=port,
                )
            )
    return found


async def services_behind(db: AsyncSession, tenant_id: str, bngs: Collection[str]) -> dict[Behind, int]:
    """How many services are active behind each port of these BNGs; without a port: those whose port nobody knows."""
    place = (Bng.name, AccessNode.name, AccessPort.name)
    query = _of_services(tenant_id, *place, func.count()).where(Bng.name.in_(bngs)).group_by(*place)
    return {(bng, node, port): count for bng, node, port, count in await db.execute(query)}


async def places_of_locations(db: AsyncSession, tenant_id: str, locations: Collection[str]) -> dict[str, Behind]:
    """Where these premises are connected, by their ids; those that there are."""
    query: Any = (
        select(Location.name, Bng.name, AccessNode.name, AccessPort.name)
        .join(AccessNode, AccessNode.id == Location.node_id)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .outerjoin(AccessPort, AccessPort.id == Location.port_id)
        .where(Location.tenant_id == tenant_id, Location.name.in_(locations))
    )
    return {name: (bng, node, port) for name, bng, node, port in await db.execute(query)}


def _of_services(tenant_id: str, *columns: ColumnElement[Any] | Any) -> Any:
    return (
        select(*columns)
        .select_from(Service)
        .join(Location, Location.id == Service.location_id)
        .join(AccessNode, AccessNode.id == Location.node_id)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .outerjoin(AccessPort, AccessPort.id == Location.port_id)
        .where(Service.tenant_id == tenant_id, Service.state == "active")
    )
