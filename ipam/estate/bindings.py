"""Whom a pool or a shared S-VLAN serves: what it is bound to, as a description says it and as it stands."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Literal

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from ipam.allocation.places import AnySelect
from ipam.bulk import among, in_parts, insert_many
from ipam.estate.bound import Bound, as_said
from ipam.estate.rows import EstateRows, Outcome
from ipam.estate.spec import BindingSpec
from ipam.tables import AccessNode, AccessPort, AddressPlan, Bng, Pool, PoolBinding, Site, table_of

_BINDING = table_of(PoolBinding)
_OF_PORT = aliased(AccessNode)


_STANDING: AnySelect = (
    select(
        PoolBinding.id,
        Bng.name,
        Site.name,
        AccessNode.name,
        _OF_PORT.name,
        AccessPort.name,
        AddressPlan.name,
        PoolBinding.priority,
    )
    .outerjoin(Bng, Bng.id == PoolBinding.bng_id)
    .outerjoin(Site, Site.id == PoolBinding.site_id)
    .outerjoin(AccessNode, AccessNode.id == PoolBinding.node_id)
    .outerjoin(AccessPort, AccessPort.id == PoolBinding.port_id)
    .outerjoin(_OF_PORT, _OF_PORT.id == AccessPort.node_id)
    .outerjoin(AddressPlan, AddressPlan.id == PoolBinding.plan_id)
)


async def standing(
    rows: EstateRows, of: Literal["pool_id", "svlan_id"], ids: Collection[int]
) -> defaultdict[int, dict[Bound, int]]:
    """Of these pools or S-VLANs what they are bound to, each with the id of its row; no more of them than one statement
    may name."""
    found: defaultdict[int, dict[Bound, int]] = defaultdict(dict)
    if ids:
        of_these = _STANDING.add_columns(_BINDING.c[of]).where(among(rows.db, _BINDING.c[of], ids))
        for row_id, *names, target in await rows.db.execute(of_these):
            found[target][Bound(*names)] = row_id
    return found


async def bound_of_pools(db: AsyncSession, tenant_id: str) -> defaultdict[str, set[Bound]]:
    """What each pool of this tenant is bound to, by its name."""
    found: defaultdict[str, set[Bound]] = defaultdict(set)
    of_each = _STANDING.add_columns(Pool.name).join(Pool, Pool.id == PoolBinding.pool_id)
    for _, *names, pool in await db.execute(of_each.where(Pool.tenant_id == tenant_id)):
        found[pool].add(Bound(*names))
    return found


async def bind(
    rows: EstateRows, bindings: Iterable[BindingSpec], of: Literal["pool_id", "svlan_id"], target: int
) -> Outcome:
    """Make these the bindings of the pool or S-VLAN of that id, and no others.

    Raises:
        NameUnknown: there is no such place or plan.
    """
    said, present = as_said(bindings), (await standing(rows, of, [target]))[target]
    missing = [await _row_of(rows, binding) for bound, binding in said.items() if bound not in present]
    gone = [row_id for bound, row_id in present.items() if bound not in said]
    for some in in_parts(gone):
        await rows.db.execute(_BINDING.delete().where(_BINDING.c.id.in_(some)))
    if gone:
        rows.unbound.append({of: target})
    new = [{"tenant_id": rows.tenant_id, of: target, **row} for row in missing]
    for each in in_parts(new):
        await insert_many(rows.db, _BINDING, each)
    return "changed" if gone or missing else "unchanged"


async def _row_of(rows: EstateRows, binding: BindingSpec) -> dict[str, int | None]:
    node_id = await _id_or_none(rows, "access_node", binding.access_node)
    port_id = None
    if node_id is not None and binding.access_node is not None and binding.port is not None:
        port_id = await rows.port_id(node_id, binding.access_node, binding.port)
    return {
        "bng_id": await _id_or_none(rows, "bng", binding.bng),
        "site_id": await _id_or_none(rows, "site", binding.site),
        "node_id": node_id if port_id is None else None,
        "port_id": port_id,
        "plan_id": await _id_or_none(rows, "plan", binding.plan),
        "priority": binding.priority,
    }


async def _id_or_none(rows: EstateRows, kind: str, name: str | None) -> int | None:
    return None if name is None else await rows.id_of(kind, name)
