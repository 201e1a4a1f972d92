"""Ports and premises that a description adds: by the thousand, since of a new network nearly all that it names are
such."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select

from ipam.allocation.places import AnySelect
from ipam.bulk import among, in_parts, insert_many
from ipam.estate.rows import EstateRows
from ipam.estate.spec import LocationSpec
from ipam.tables import AccessNode, AccessPort, Location, LocationAlias, table_of

_PORT, _PREMISE, _ALIAS = table_of(AccessPort), table_of(Location), table_of(LocationAlias)
_NODES: AnySelect = select(AccessNode.name, AccessNode.id)
_PORTS: AnySelect = select(AccessNode.name, AccessPort.name, AccessPort.id).join(
    AccessPort, AccessPort.node_id == AccessNode.id
)
_PREMISES: AnySelect = select(Location.name, Location.id)


async def add_ports(rows: EstateRows, node_id: int, ports: Sequence[str]) -> bool:
    """Those that the access node doesn't have yet; False: it has all of them."""
    if not ports:
        return False
    present = set(await rows.db.scalars(select(AccessPort.name).where(AccessPort.node_id == node_id)))
    missing = [port for port in dict.fromkeys(ports) if port not in present]
    of_node = {"tenant_id": rows.tenant_id, "node_id": node_id}
    for some in in_parts(missing):
        await insert_many(rows.db, _PORT, [{**of_node, "name": port} for port in some])
    return bool(missing)


async def add_premises(rows: EstateRows, places: Sequence[LocationSpec]) -> set[str]:
    """Those that aren't there yet are, with all that leads to them, in the order of the description. Left out are those
    at a node or port that isn't there, or to which something would lead that leads elsewhere: what is wrong with them
    is told when they are defined one by one. Returned are the ids of those that were added."""
    await rows.be_alone()
    added: set[str] = set()
    for some in in_parts(places):
        added |= await _add(rows, some)
    return added


async def _add(rows: EstateRows, places: Sequence[LocationSpec]) -> set[str]:
    present = set(await _names(rows, [place.id for place in places]))
    new = [place for place in places if place.id not in present]
    leads_elsewhere = await _taken(rows, new)
    stand_at = await _stands(rows, new)
    ready = [each for each in new if each.id in stand_at and leads_elsewhere.isdisjoint(each.found_by)]
    values = [
        {
            "tenant_id": rows.tenant_id,
            "name": place.id,
            "node_id": stand_at[place.id][0],
            "port_id": stand_at[place.id][1],
            "onu": place.onu,
            "circuit_id": place.circuit_id,
        }
        for place in ready
    ]
    await insert_many(rows.db, _PREMISE, values)
    ids = await _names(rows, [place.id for place in ready])
    leading = [
        {"tenant_id": rows.tenant_id, "alias": alias, "location_id": ids[place.id]}
        for place in ready
        for alias in sorted(place.found_by)
    ]
    for some in in_parts(leading):
        await insert_many(rows.db, _ALIAS, some)
    return set(ids)


async def _names(rows: EstateRows, names: Sequence[str]) -> dict[str, int]:
    """Of those that are there, with their ids."""
    found = await rows.named(Location, _PREMISES, names)
    return {name: row_id for name, row_id in found}


async def _taken(rows: EstateRows, places: Sequence[LocationSpec]) -> set[str]:
    """What of all that shall lead to these leads somewhere."""
    taken: set[str] = set()
    for some in in_parts([alias for place in places for alias in place.found_by]):
        here = (LocationAlias.tenant_id == rows.tenant_id, among(rows.db, LocationAlias.alias, some))
        taken.update(await rows.db.scalars(select(LocationAlias.alias).where(*here)))
    return taken


async def _stands(rows: EstateRows, places: Sequence[LocationSpec]) -> dict[str, tuple[int, int | None]]:
    """The ids of node and port, of those premises whose are there."""
    at = {place.access_node for place in places}
    nodes = {name: row_id for name, row_id in await rows.named(AccessNode, _NODES, at)}
    at_ports = {place.access_node for place in places if place.port is not None}
    ports = {(node, port): row_id for node, port, row_id in await rows.named(AccessNode, _PORTS, at_ports)}
    return {
        place.id: (nodes[place.access_node], None if place.port is None else ports[place.access_node, place.port])
        for place in places
        if place.access_node in nodes and (place.port is None or (place.access_node, place.port) in ports)
    }
