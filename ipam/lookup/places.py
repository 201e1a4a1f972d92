"""Where lines are: behind which port, access node and BNG; and how many services there are behind each port."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession
from typing_extensions import TypedDict

from ipam.bulk import in_parts
from ipam.tables import AccessNode, AccessPort, Bng, Location, Service

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
    """Of the active services with these usernames, as far as they are ours."""
    columns = (Service.username, Service.service_id, Service.customer_id, Bng.name, AccessNode.name, AccessPort.name)
    query: Any = (
        select(Service.tenant_id, *columns)
        .join(Location, Location.id == Service.location_id)
        .join(AccessNode, AccessNode.id == Location.node_id)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .outerjoin(AccessPort, AccessPort.id == Location.port_id)
    )
    found = []
    for some in in_parts(usernames):
        # whose they are is looked at afterwards: by tenant SQLite would read all services
        for owner, *place in await db.execute(query.where(Service.username.in_(some), Service.state == "active")):
            if owner == tenant_id:
                found.append(_place(*place))
    return found


def _place(username: str, service_id: int, customer_id: int, bng: str, node: str, port: str | None) -> LinePlace:
    return LinePlace(
        username=username, service_id=service_id, customer_id=customer_id, bng=bng, access_node=node, port=port
    )


async def access_nodes(db: AsyncSession, tenant_id: str, *, after: str, limit: int) -> list[tuple[str, str]]:
    """Access nodes behind this name in the order of their names, each with its BNG."""
    query: Any = (
        select(AccessNode.name, Bng.name)
        .join(Bng, Bng.id == AccessNode.bng_id)
        .where(AccessNode.tenant_id == tenant_id, AccessNode.name > after)
        .order_by(AccessNode.name)
        .limit(limit)
    )
    return [(node, bng) for node, bng in await db.execute(query)]


async def services_behind(db: AsyncSession, tenant_id: str, place: Sequence[str | None], *, most: int) -> int:
    """How many services are active there, counted up to ``most``. ``place``: a BNG; an access node behind it as well;
    or also a port of that, where None is one that nobody knows."""
    bng, *inside = place
    nodes = select(AccessNode.id).join(Bng, Bng.id == AccessNode.bng_id)
    nodes = nodes.where(AccessNode.tenant_id == tenant_id, Bng.name == bng)
    if inside:
        nodes = nodes.where(AccessNode.name == inside[0])
    lines: Any = select(Service.service_id).join(Location, Location.id == Service.location_id)
    node_ids = list(await db.scalars(nodes))
    lines = lines.where(Location.node_id.in_(node_ids), Service.state == "active")
    if len(inside) > 1:
        port = select(AccessPort.id).where(AccessPort.node_id.in_(node_ids), AccessPort.name == inside[1])
        lines = lines.where(Location.port_id.is_(None) if inside[1] is None else Location.port_id.in_(port))
    return await db.scalar(select(func.count()).select_from(lines.limit(most).subquery())) or 0


async def service_ids_behind(db: AsyncSession, tenant_id: str, access_node: str) -> list[int]:
    """The services that are active behind an access node, by their numbers."""
    node_id = await db.scalar(
        select(AccessNode.id).where(AccessNode.tenant_id == tenant_id, AccessNode.name == access_node)
    )
    lines = select(Service.service_id).join(Location, Location.id == Service.location_id)
    found = await db.scalars(lines.where(Location.node_id == node_id, Service.state == "active"))
    return sorted(found)


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
