"""Taking a whole prefix out of the network, once nobody has anything of it.

A pool that was never used goes without a trace. Of another one history must keep what it refers to: its row stays, with
all of it excluded and nothing bound, on a prefix that is only a container from then on, so that another pool may stand
there. Such a pool is *retired*: no list of pools has it, and no command finds it by its name.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import delete, func, select

from ipam.errors import RequestInvalid
from ipam.estate.cooling import cooling_in
from ipam.estate.pools import discard, past_of
from ipam.estate.ranges import Excluded, inside, rewrite_exclusions
from ipam.estate.rows import EstateRows
from ipam.tables import Allocation, FormerPrefix, NatRule, Pool, PoolBinding, Prefix, table_of
from ipam.unit_errors import PoolNotEmpty
from ipam.units import Interval
from ipam.upkeep.answers import LeftBehind
from ipam.upkeep.draining import drain, held_in, in_quarantine, lift_drains
from ipam.upkeep.pool_units import KnownPool
from ipam.usage.ending import end_alarm

NAMED = 10
"""So many of those who are still there are named; ``left_behind`` lists all."""


async def retire(rows: EstateRows, pool: KnownPool, *, note: str, at: datetime) -> None:
    """
    Raises:
        RequestInvalid: it stands on no prefix, or has a rule of port blocks.
        PoolNotEmpty: something of it is in use, or hasn't cooled off yet; with who has it.
        PoolBusy: somebody was at it for too long.
    """
    if pool.prefix_id is None or pool.network is None:
        raise RequestInvalid("pool", f"{pool.name} stands on no prefix")
    if await rows.find(NatRule, pool_id=pool.pool_id, until=None):
        raise RequestInvalid("pool", f"{pool.name} has a rule of port blocks for all of {pool.network}; end it first")
    whole = (0, pool.span - 1)
    await drain(rows, pool, whole, note=note, at=at)
    await _must_be_empty(rows, pool, whole, at)
    await lift_drains(rows, pool, [whole])
    if not await past_of(rows, pool.pool_id):
        await discard(rows, pool.pool_id, at)
        return
    await end_alarm(rows.db, pool.pool_id, tenant_id=rows.tenant_id, at=at, tell=rows.tell)
    await rows.db.execute(delete(table_of(PoolBinding)).where(table_of(PoolBinding).c.pool_id == pool.pool_id))
    await rewrite_exclusions(rows, pool.pool_id, [Excluded(*whole, "retired", note)])
    await _give_up_prefix(rows, pool.prefix_id, pool, note=note, at=at)


async def _must_be_empty(rows: EstateRows, pool: KnownPool, whole: Interval, at: datetime) -> None:
    if left := await held_in(rows, pool, [whole], NAMED):
        of_pool = select(func.count()).select_from(Allocation).where(*inside(pool.pool_id, [whole]))
        in_use = await rows.db.scalar(of_pool) or 0
        raise PoolNotEmpty(pool.name, left=[_in_words(each) for each in left], in_use=in_use)
    if resting := await cooling_in(rows, pool.pool_id, [whole], at):
        last_first = sorted(resting, key=lambda each: each.until, reverse=True)
        told = [in_quarantine(pool, each) for each in last_first[:NAMED]]
        raise PoolNotEmpty(pool.name, left=told, in_use=len(resting))


def _in_words(left: LeftBehind) -> str:
    if left["service_id"] is None:
        return f"{left['value']} ({left['note'] or left['state']})"
    whose = f"customer {left['customer_id']}, {left['username']}, at {left['location']}"
    return f"{left['value']} (service {left['service_id']} of {whose})"


async def _give_up_prefix(rows: EstateRows, prefix_id: int, pool: KnownPool, *, note: str, at: datetime) -> None:
    """Somebody else may stand on it from now on; who had an address of it until then is still found. A container is
    there once, however many pools have been retired on it."""
    prefix = await rows.find(Prefix, id=prefix_id)
    assert prefix is not None
    kept = {name: prefix[name] for name in ("vrf_id", "network", "first_address", "last_address")}
    await rows.add(FormerPrefix, pool_id=pool.pool_id, until=at, note=note, **kept)
    same = await rows.find(Prefix, vrf_id=prefix["vrf_id"], network=prefix["network"], role="container")
    if same is None:
        await rows.change(Prefix, prefix_id, role="container", gateway=None)
        await rows.change(Pool, pool.pool_id, retired_at=at)
        return
    await rows.change(Pool, pool.pool_id, retired_at=at, prefix_id=same["id"])
    await rows.db.execute(delete(table_of(Prefix)).where(table_of(Prefix).c.id == prefix_id))
