"""Pools that leave the network: without a trace, or, where something refers to them for good, kept for history alone.

A pool that was never used is forgotten. Of another one the row stays: with all of it excluded and nothing bound, on a
prefix that is only a container from then on, so that another pool may stand there. It is *retired*: no list of pools
has it, and no command finds it by its name. A pool that the BNG hands out has no units of ours in anybody's hands: what
refers to it are the services that were given it.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import delete, or_, select

from ipam.allocation.places import AnySelect
from ipam.estate.exclusions import Excluded
from ipam.estate.ranges import rewrite_exclusions
from ipam.estate.rows import EstateRows
from ipam.moments import at_second
from ipam.tables import (
    AccessNode,
    AccessPort,
    AllocationEvent,
    FormerPrefix,
    IpamBase,
    Location,
    NatRule,
    Pool,
    PoolBinding,
    Prefix,
    Service,
    table_of,
)
from ipam.usage.ending import end_alarm

IN_USE = "has been in use"
SERVES = "serves live services, to which the BNG gives addresses of it"
PAST: dict[type[IpamBase], str] = {
    AllocationEvent: IN_USE,
    NatRule: "has had a rule of port blocks, which tells who had a port",
    FormerPrefix: "was shrunk",
}
"""What refers to a pool for good, in words."""


async def past_of(rows: EstateRows, pool_id: int) -> list[str]:
    """What refers to the pool as it was once, in words."""
    past: list[str] = []
    for model, words in PAST.items():
        of_pool = select(table_of(model).c.id).where(table_of(model).c.pool_id == pool_id).limit(1)
        if await rows.db.scalar(of_pool) is not None:
            past.append(words)
    return past


async def is_named(rows: EstateRows, pool_id: int) -> bool:
    """Whether any service was given this pool of the BNG's last, be it released since."""
    named = select(Service.service_id).where(Service.framed_pool_id == pool_id).limit(1)
    return await rows.db.scalar(named) is not None


def premises_served_by(pool_ids: Collection[int]) -> AnySelect:
    """The ids of the premises behind the access nodes to which these pools are bound, be it to one port of them."""
    bound = select(PoolBinding).where(PoolBinding.pool_id.in_(pool_ids)).subquery()
    of_ports = select(AccessPort.node_id).where(AccessPort.id.in_(select(bound.c.port_id)))
    nodes = select(AccessNode.id).where(
        or_(
            AccessNode.bng_id.in_(select(bound.c.bng_id)),
            AccessNode.site_id.in_(select(bound.c.site_id)),
            AccessNode.id.in_(select(bound.c.node_id)),
            AccessNode.id.in_(of_ports),
        )
    )
    return select(Location.id).where(Location.node_id.in_(nodes))


async def hold_served(rows: EstateRows, pool_id: int) -> None:
    """Nobody is given anything at the premises that the pool serves until our transaction ends, and who was at it has
    ended: so its live services can be counted, and are counted all."""
    await rows.hold(Location, id=premises_served_by([pool_id]))


async def discard(rows: EstateRows, pool_id: int, at: datetime) -> None:
    """The pool goes, and the prefix that it stands on."""
    await end_alarm(rows.db, pool_id, tenant_id=rows.tenant_id, at=at, tell=rows.tell)
    pool = await rows.find(Pool, id=pool_id)
    await rows.db.execute(delete(table_of(Pool)).where(table_of(Pool).c.id == pool_id))
    if pool is not None and pool["prefix_id"] is not None:
        await rows.db.execute(delete(table_of(Prefix)).where(table_of(Prefix).c.id == pool["prefix_id"]))


async def keep_retired(rows: EstateRows, pool_id: int, *, note: str, at: datetime) -> None:
    """The pool, of which nobody has anything, stays for history alone, and its prefix is free for others."""
    await end_alarm(rows.db, pool_id, tenant_id=rows.tenant_id, at=at, tell=rows.tell)
    pool = await rows.find(Pool, id=pool_id)
    assert pool is not None
    await rows.db.execute(delete(table_of(PoolBinding)).where(table_of(PoolBinding).c.pool_id == pool_id))
    await rewrite_exclusions(rows, pool_id, [Excluded(0, pool["span"] - 1, "retired", note)])
    await _give_up_prefix(rows, pool_id, pool["prefix_id"], note=note, at=at)


async def keep_replaced(rows: EstateRows, pool_id: int, name: str, at: datetime) -> None:
    """The same with one whose name another pool gets now: the services that had it still say what they had."""
    when = at_second(at)
    await keep_retired(rows, pool_id, note=f"replaced by another pool {name}", at=at)
    await rows.change(Pool, pool_id, name=f"{name} until {when} (number {pool_id})")


async def _give_up_prefix(rows: EstateRows, pool_id: int, prefix_id: int, *, note: str, at: datetime) -> None:
    """Somebody else may stand on it from now on; who had an address of it until then is still found. A container is
    there once, however many pools have been retired on it."""
    prefix = await rows.find(Prefix, id=prefix_id)
    assert prefix is not None
    kept = {name: prefix[name] for name in ("vrf_id", "network", "first_address", "last_address")}
    await rows.add(FormerPrefix, pool_id=pool_id, until=at, note=note, **kept)
    same = await rows.find(Prefix, vrf_id=prefix["vrf_id"], network=prefix["network"], role="container")
    if same is None:
        await rows.change(Prefix, prefix_id, role="container", gateway=None)
        await rows.change(Pool, pool_id, retired_at=at)
        return
    await rows.change(Pool, pool_id, retired_at=at, prefix_id=same["id"])
    await rows.db.execute(delete(table_of(Prefix)).where(table_of(Prefix).c.id == prefix_id))
