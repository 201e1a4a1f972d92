"""Pools that serve the same places in turn: what one of them lacks the next one gives (``ipam.allocation.chains``).

So one that is full is nobody's trouble while another one of each of its chains has something left."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.kinds import ROUTED
from ipam.tables import Pool, PoolBinding, Svlan

_PLACE = (
    PoolBinding.bng_id,
    PoolBinding.site_id,
    PoolBinding.node_id,
    PoolBinding.port_id,
    PoolBinding.plan_id,
)


@dataclass(frozen=True)
class Supply:
    """What there is of one pool, or of the pools of one chain together; ``kept`` as ``level_of`` takes it, ``per_day``
    as ``units_per_day`` says it."""

    size: int
    free: int
    kept: int
    per_day: float | None


Chain = tuple[str, ...]
"""The names of its pools, in their order."""


async def chains(db: AsyncSession, tenant_id: str) -> dict[str, list[Chain]]:
    """By pool the chains that it is in, each once; a pool that isn't here is one by itself. Of routed prefixes the pool
    is chosen by who asks, and a computed C-VLAN is of one pool alone: these have no chain."""
    bound = (
        select(Pool.name, Pool.kind, *_PLACE)
        .join(PoolBinding, PoolBinding.pool_id == Pool.id)
        .outerjoin(Svlan, Svlan.id == Pool.svlan_id)
        .where(Pool.tenant_id == tenant_id, Pool.framed_pool.is_(None), Pool.kind.not_in(ROUTED))
        .where(Svlan.cvlan_formula.is_(None))
    )
    by_place: dict[tuple[object, ...], set[str]] = defaultdict(set)
    for name, *place in await db.execute(bound):
        by_place[tuple(place)].add(name)
    found: dict[str, list[Chain]] = defaultdict(list)
    for chain in sorted({tuple(sorted(names)) for names in by_place.values()}):
        for name in chain:
            found[name].append(chain)
    return found


def together(chain: Chain, supplies: Mapping[str, Supply]) -> Supply:
    """What there is in all of its pools."""
    each = [supplies[name] for name in chain]
    return Supply(
        size=sum(one.size for one in each),
        free=sum(one.free for one in each),
        kept=sum(one.kept for one in each),
        per_day=_sum(one.per_day for one in each),
    )


def _sum(rates: Iterable[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return sum(known) if known else None
