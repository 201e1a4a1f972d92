"""How full the pools are by where they are bound: a site's are its own, its access nodes' and their ports'."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.answers import PoolUsage
from ipam.lookup.answers import PlaceKind, PlaceUsage
from ipam.tables import AccessNode, AccessPort, Bng, Pool, PoolBinding, Site


async def by_place(db: AsyncSession, tenant_id: str, used: list[PoolUsage], of: PlaceKind) -> list[PlaceUsage]:
    """The usage of all pools, rolled up along their bindings to places of that kind."""
    of_pool = {each["pool"]: each for each in used}
    bound: dict[tuple[str, str], list[PoolUsage]] = defaultdict(list)
    for place, name in await db.execute(_bindings(of).where(Pool.tenant_id == tenant_id)):
        if (each := of_pool.get(name)) is not None:
            bound[place, each["kind"]].append(each)
    return [_rolled_up(*key, bound[key]) for key in sorted(bound)]


def _bindings(of: PlaceKind) -> Any:
    """(place, pool), each once."""
    of_port = select(AccessPort.node_id).where(AccessPort.id == PoolBinding.port_id)
    node_of_port = of_port.correlate(PoolBinding).scalar_subquery()
    at_node = or_(PoolBinding.node_id == AccessNode.id, node_of_port == AccessNode.id)
    chosen: Any = select(Pool.name).join(PoolBinding, PoolBinding.pool_id == Pool.id)
    if of == "bng":
        place, chosen = Bng.name, chosen.join(Bng, Bng.id == PoolBinding.bng_id)
    elif of == "access_node":
        place, chosen = AccessNode.name, chosen.join(AccessNode, at_node)
    else:
        nodes = select(AccessNode.id).where(AccessNode.site_id == Site.id, at_node)
        inside = nodes.correlate(PoolBinding, Site).exists()
        place, chosen = Site.name, chosen.join(Site, or_(PoolBinding.site_id == Site.id, inside))
    return chosen.with_only_columns(place, Pool.name).distinct().order_by(place, Pool.name)


def _rolled_up(place: str, kind: str, pools: list[PoolUsage]) -> PlaceUsage:
    size, free = sum(each["size"] for each in pools), sum(each["free"] for each in pools)
    return PlaceUsage(
        place=place,
        kind=kind,
        pools=[each["pool"] for each in pools],
        size=size,
        assigned=sum(each["assigned"] for each in pools),
        quarantined=sum(each["quarantined"] for each in pools),
        reserved=sum(each["reserved"] for each in pools),
        draining=sum(each["draining"] for each in pools),
        free=free,
        used_percent=round(100 * (size - free) / size, 1) if size else 100.0,
    )
