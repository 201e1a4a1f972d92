"""Pools that serve one another on stand in one VRF: when the first one is full, the next line would else be in another
routing table than its neighbours, and could be given the very address that one of them has."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence

from sqlalchemy import func, select

from ipam.errors import Fault
from ipam.estate.rows import EstateRows
from ipam.kinds import ROUTED
from ipam.tables import Pool, PoolBinding, Prefix, Vrf

_CHAIN = (
    Pool.kind,
    *(
        func.coalesce(column, 0)
        for column in (
            PoolBinding.bng_id,
            PoolBinding.site_id,
            PoolBinding.node_id,
            PoolBinding.port_id,
            PoolBinding.plan_id,
        )
    ),
)
"""What is bound to one place, for one plan or for all, is filled one after the other (``ipam.allocation.chains``)."""


async def chains_of_several(rows: EstateRows, pools: Collection[str]) -> Sequence[Fault]:
    """Of these pools those that go on, or are gone on with, in another VRF. Routed prefixes are taken of the pool that
    is named, whichever it is, and so of no chain."""
    bound = (
        select(*_CHAIN, Pool.name, Vrf.name)
        .select_from(PoolBinding)
        .join(Pool, Pool.id == PoolBinding.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .join(Vrf, Vrf.id == Prefix.vrf_id)
        .where(Pool.tenant_id == rows.tenant_id, Pool.framed_pool.is_(None), Pool.kind.not_in(ROUTED))
        .order_by(Pool.name)
    )
    chains: dict[tuple[object, ...], dict[str, str]] = defaultdict(dict)
    for *chain, pool, vrf in await rows.db.execute(bound):
        chains[tuple(chain)][pool] = vrf
    others = {
        pool: {f"{other} (VRF {other_vrf})" for other, other_vrf in chain.items() if other_vrf != vrf}
        for chain in chains.values()
        for pool, vrf in chain.items()
        if pool in pools
    }
    return [
        Fault(
            f"pool {pool}",
            f"is bound to the same place, for the same plan, as {', '.join(sorted(elsewhere))}, which stands in another"
            " VRF: when one is full, lines would be given addresses of the other's routing table; bind each for plans"
            " of its own",
        )
        for pool, elsewhere in sorted(others.items())
        if elsewhere
    ]
