"""Places and plans that are there just as they are described, of many at once: their names."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable

from sqlalchemy import select

from ipam.allocation.places import AnySelect
from ipam.estate.aliases import LEADING
from ipam.estate.differing import NEEDS, PLANS, PREMISES
from ipam.estate.rows import EstateRows
from ipam.estate.spec import AccessNodeSpec, BngSpec, LocationSpec, PlanSpec, SiteSpec, VrfSpec
from ipam.tables import (
    AccessNode,
    AccessPort,
    AddressPlan,
    Bng,
    Location,
    Site,
    Vrf,
    table_of,
)

_NODES: AnySelect = (
    select(
        AccessNode.name,
        AccessNode.kind,
        Site.name,
        Bng.name,
        AccessNode.vlan_model,
        AccessNode.cpe_vlan_id,
        AccessNode.management_vlan,
    )
    .join(Site, Site.id == AccessNode.site_id)
    .join(Bng, Bng.id == AccessNode.bng_id)
)
_PORTS: AnySelect = select(AccessNode.name, AccessPort.name).join(AccessPort, AccessPort.node_id == AccessNode.id)


async def there(
    rows: EstateRows, model: type[Vrf | Bng | Site], described: Iterable[VrfSpec | BngSpec | SiteSpec]
) -> set[str]:
    """Of parts that have no more than a name."""
    names: AnySelect = select(table_of(model).c.name)
    return {row[0] for row in await rows.named(model, names, [each.name for each in described])}


async def nodes(rows: EstateRows, described: Iterable[AccessNodeSpec]) -> set[str]:
    """With all the ports that are described, be it with more."""
    said = {
        node.name: (node.kind, node.site, node.bng, node.vlan_model, node.cpe_vlan_id, node.management_vlan)
        for node in described
    }
    alike = {name for name, *values in await rows.named(AccessNode, _NODES, said) if tuple(values) == said[name]}
    ports = await _all_of_each(rows, _PORTS, AccessNode, alike)
    return {node.name for node in described if node.name in alike and ports[node.name].issuperset(node.ports)}


async def premises(rows: EstateRows, described: Iterable[LocationSpec]) -> set[str]:
    """Found by what is described, and by nothing else."""
    said = {each.id: (each.access_node, each.port, each.onu, each.circuit_id) for each in described}
    alike = {name for _, name, *values in await rows.named(Location, PREMISES, said) if tuple(values) == said[name]}
    found_by = await _all_of_each(rows, LEADING, Location, alike)
    return {each.id for each in described if each.id in alike and found_by[each.id] == each.found_by}


async def plans(rows: EstateRows, described: Iterable[PlanSpec]) -> set[str]:
    """With the same needs."""
    said = {plan.name: tuple(getattr(plan, name) for name in NEEDS) for plan in described}
    return {name for _, name, *values in await rows.named(AddressPlan, PLANS, said) if tuple(values) == said[name]}


async def _all_of_each(
    rows: EstateRows, found: AnySelect, model: type[AccessNode | Location], names: Collection[str]
) -> defaultdict[str, set[str]]:
    of_each: defaultdict[str, set[str]] = defaultdict(set)
    for name, part in await rows.named(model, found, names):
        of_each[name].add(part)
    return of_each
