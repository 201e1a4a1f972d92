"""What is there already and is described otherwise, of many at once: by their names, with what is said of each."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from ipam.allocation.places import AnySelect
from ipam.bulk import among, in_parts
from ipam.estate.rows import EstateRows
from ipam.estate.spec import AccessNodeSpec, LocationSpec, PlanSpec, PoolSpec, SvlanSpec
from ipam.tables import (
    AccessNode,
    AccessPort,
    AddressPlan,
    Bng,
    IpamBase,
    Location,
    LocationAlias,
    Pool,
    Prefix,
    Site,
    Vrf,
)

PREMISES: AnySelect = (
    select(Location.id, Location.name, AccessNode.name, AccessPort.name, Location.onu, Location.circuit_id)
    .join(AccessNode, AccessNode.id == Location.node_id)
    .outerjoin(AccessPort, AccessPort.id == Location.port_id)
)
_NODES: AnySelect = (
    select(AccessNode.id, AccessNode.name, Site.name, Bng.name, AccessNode.vlan_model)
    .join(Site, Site.id == AccessNode.site_id)
    .join(Bng, Bng.id == AccessNode.bng_id)
)
NEEDS = tuple(name for name in PlanSpec.model_fields if name != "name")
PLANS: AnySelect = select(AddressPlan.id, AddressPlan.name, *(getattr(AddressPlan, name) for name in NEEDS))
_POOLS: AnySelect = (
    select(Pool.id, Pool.name, Pool.kind, Pool.unit_length, Pool.framed_pool, Prefix.network, Vrf.name)
    .outerjoin(Prefix, Prefix.id == Pool.prefix_id)  # C-VLANs stand on none
    .outerjoin(Vrf, Vrf.id == Prefix.vrf_id)
)
_GATEWAYS: AnySelect = select(Pool.id, Pool.name, Prefix.gateway).join(Prefix, Prefix.id == Pool.prefix_id)
_CVLANS: AnySelect = select(Pool.id, Pool.name, Pool.kind).where(Pool.kind == "cvlan")

Differing = dict[int, str]
"""Their ids and names."""


async def premises(rows: EstateRows, places: Iterable[LocationSpec]) -> Differing:
    """At another node or port, or with another ONU or circuit."""
    said = {each.id: (each.access_node, each.port, each.onu, each.circuit_id) for each in places}
    return await _otherwise(rows, Location, PREMISES, said)


async def names(rows: EstateRows, places: Sequence[LocationSpec]) -> set[int]:
    """The ids of the premises to which something leads that isn't said to, or not all that is."""
    said, present = {each.id: each.found_by for each in places}, dict[int, tuple[str, set[str]]]()
    for some in in_parts(list(said)):
        found = await rows.db.execute(
            select(Location.id, Location.name, LocationAlias.alias)
            .outerjoin(LocationAlias, LocationAlias.location_id == Location.id)
            .where(Location.tenant_id == rows.tenant_id, among(rows.db, Location.name, some))
        )
        for row_id, name, alias in found:
            present.setdefault(row_id, (name, set()))[1].add(alias)
    return {row_id for row_id, (name, leading) in present.items() if leading != said[name]}


async def nodes(rows: EstateRows, described: Iterable[AccessNodeSpec]) -> Differing:
    """At another site, behind another BNG, or in another VLAN model."""
    said = {node.name: (node.site, node.bng, node.vlan_model) for node in described}
    return await _otherwise(rows, AccessNode, _NODES, said)


async def plans(rows: EstateRows, described: Iterable[PlanSpec]) -> Differing:
    """With other needs."""
    said = {plan.name: tuple(getattr(plan, name) for name in NEEDS) for plan in described}
    return await _otherwise(rows, AddressPlan, PLANS, said)


async def pools(rows: EstateRows, described: Iterable[PoolSpec]) -> Differing:
    """Of other units, or handed out by another: such a one is another pool."""
    said = {
        pool.name: (pool.kind, pool.its_unit_length, pool.framed_pool, pool.network, pool.vrf) for pool in described
    }
    return await _otherwise(rows, Pool, _POOLS, said)


async def gateways(rows: EstateRows, described: Iterable[PoolSpec]) -> Differing:
    """Pools that have one and are described without."""
    said = {pool.name: (None,) for pool in described if pool.gateway is None}
    return await _otherwise(rows, Pool, _GATEWAYS, said)


async def cvlans(rows: EstateRows, described: Iterable[SvlanSpec]) -> Differing:
    """Pools of C-VLANs in what is described as shared."""
    said = {svlan.name: (None,) for svlan in described if not svlan.cvlans}
    return await _otherwise(rows, Pool, _CVLANS, said)


async def _otherwise(
    rows: EstateRows, model: type[IpamBase], found: AnySelect, said: Mapping[str, tuple[Any, ...]]
) -> Differing:
    """``found``: an id, the name, and what is compared with what is ``said`` of it."""
    present = await rows.named(model, found, said)
    return {row_id: name for row_id, name, *values in present if tuple(values) != said[name]}
