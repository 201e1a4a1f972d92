"""What is held before any of a description is written, in the order of all who lock any of it: premises, then plans.

Whoever gives something to a service, or moves it, holds its premises and then its plan (``ipam.allocation.places``).
An estate that held them one by one, as it comes to them, would wait for somebody who waits for it, and of the two the
database would take one back. What is described as it is isn't held: nobody waits for an estate that is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from sqlalchemy import select

from ipam.allocation.places import AnySelect
from ipam.bulk import AT_ONCE
from ipam.estate.leaving import premises_served_by
from ipam.estate.rows import EstateRows
from ipam.estate.spec import NetworkEstateSpec, PlanSpec
from ipam.tables import (
    AccessNode,
    AccessPort,
    AddressPlan,
    Bng,
    IpamBase,
    Location,
    Pool,
    Prefix,
    Site,
    Vrf,
    table_of,
)

_PREMISES: AnySelect = (
    select(Location.id, Location.name, AccessNode.name, AccessPort.name, Location.onu, Location.circuit_id)
    .join(AccessNode, AccessNode.id == Location.node_id)
    .outerjoin(AccessPort, AccessPort.id == Location.port_id)
)
_NODES: AnySelect = (
    select(AccessNode.id, AccessNode.name, Site.name, Bng.name, AccessNode.vlan_model)
    .join(Site, Site.id == AccessNode.site_id)
    .join(Bng, Bng.id == AccessNode.bng_id)
)
_NEEDS = tuple(name for name in PlanSpec.model_fields if name != "name")
_PLANS: AnySelect = select(AddressPlan.id, AddressPlan.name, *(getattr(AddressPlan, name) for name in _NEEDS))
_POOLS: AnySelect = (
    select(Pool.id, Pool.name, Pool.kind, Pool.unit_length, Pool.framed_pool, Prefix.network, Vrf.name)
    .join(Prefix, Prefix.id == Pool.prefix_id)
    .join(Vrf, Vrf.id == Prefix.vrf_id)
)
_GATEWAYS: AnySelect = select(Pool.id, Pool.name, Prefix.gateway).join(Prefix, Prefix.id == Pool.prefix_id)
_CVLANS: AnySelect = select(Pool.id, Pool.name, Pool.kind).where(Pool.kind == "cvlan")


async def hold_changed(rows: EstateRows, spec: NetworkEstateSpec) -> None:
    """Nobody is given anything at these premises, or on these plans, until our transaction ends, and who was at it has
    ended: so their services can be counted, and are counted all.

    Premises are held that are described otherwise than they are, that are behind an access node whose site, BNG or VLAN
    model is, or served by a pool that becomes another one or loses its gateway; and plans that become other ones.
    """
    await rows.be_alone()  # nobody else changes what is there, so that it is as we see it when it is held
    if not rows.has_other_writers:
        return
    places = {each.id: (each.access_node, each.port, each.onu, each.circuit_id) for each in spec.locations}
    premises = set(await _otherwise(rows, Location, _PREMISES, places))
    nodes = {node.name: (node.site, node.bng, node.vlan_model) for node in spec.access_nodes}
    premises |= await _at(rows, _behind, await _otherwise(rows, AccessNode, _NODES, nodes))
    premises |= await _at(rows, premises_served_by, await _leaving_pools(rows, spec))
    await _hold(rows, Location, premises)
    plans = {plan.name: tuple(getattr(plan, name) for name in _NEEDS) for plan in spec.plans}
    await _hold(rows, AddressPlan, await _otherwise(rows, AddressPlan, _PLANS, plans))


async def _leaving_pools(rows: EstateRows, spec: NetworkEstateSpec) -> set[int]:
    """The ids of the pools that become other ones or lose their gateway, and of the C-VLANs that are handed out no
    more."""
    units = {
        pool.name: (pool.kind, pool.its_unit_length, pool.framed_pool, pool.network, pool.vrf) for pool in spec.pools
    }
    without_gateway = {pool.name: (None,) for pool in spec.pools if pool.gateway is None}
    shared = {svlan.name: (None,) for svlan in spec.svlans if not svlan.cvlans}
    return {
        *await _otherwise(rows, Pool, _POOLS, units),
        *await _otherwise(rows, Pool, _GATEWAYS, without_gateway),
        *await _otherwise(rows, Pool, _CVLANS, shared),
    }


async def _otherwise(
    rows: EstateRows, model: type[IpamBase], found: AnySelect, described: Mapping[str, tuple[Any, ...]]
) -> list[int]:
    """The ids of those that are there, and not as they are described by their names. ``found``: an id, the name, and
    what is said of it."""
    table, names, ids = table_of(model), list(described), list[int]()
    for start in range(0, len(names), AT_ONCE):
        some = table.c.name.in_(names[start : start + AT_ONCE])
        present = await rows.db.execute(found.where(table.c.tenant_id == rows.tenant_id, some))
        ids += [row_id for row_id, name, *said in present if tuple(said) != described[name]]
    return ids


def _behind(node_ids: Collection[int]) -> AnySelect:
    return select(Location.id).where(Location.node_id.in_(node_ids))


async def _at(rows: EstateRows, which: Callable[[Collection[int]], AnySelect], ids: Collection[int]) -> set[int]:
    """The ids of the premises that belong to these."""
    return {premise for some in _some_of(ids) for premise in await rows.db.scalars(which(some))}


async def _hold(rows: EstateRows, model: type[IpamBase], ids: Collection[int]) -> None:
    """In the order of their ids, however many statements it takes."""
    for some in _some_of(ids):
        await rows.hold(model, id=some)


def _some_of(ids: Collection[int]) -> Iterator[list[int]]:
    """In their order, so many as one statement may name."""
    in_order = sorted(ids)
    return (in_order[start : start + AT_ONCE] for start in range(0, len(in_order), AT_ONCE))
