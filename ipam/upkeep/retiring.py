"""Taking a whole prefix out of the network, once nobody has anything of it (``ipam.estate.leaving``)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select

from ipam.errors import RequestInvalid
from ipam.estate.cooling import cooling_in
from ipam.estate.leaving import discard, hold_served, is_named, keep_retired, past_of
from ipam.estate.ranges import inside
from ipam.estate.rows import EstateRows
from ipam.holdings import count_live
from ipam.tables import Allocation, Location, NatRule, Service
from ipam.unit_errors import PoolNotEmpty
from ipam.units import Interval
from ipam.upkeep.answers import LeftBehind
from ipam.upkeep.draining import drain, held_in, in_quarantine, lift_drains
from ipam.upkeep.pool_units import KnownPool

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
    if pool.framed_pool is None:
        whole = (0, pool.span - 1)
        await drain(rows, pool, whole, note=note, at=at)
        await _must_be_empty(rows, pool, whole, at)
        await lift_drains(rows, pool, [whole])
    else:
        await _must_serve_nobody(rows, pool, pool.framed_pool)
    if await past_of(rows, pool.pool_id) or await is_named(rows, pool.pool_id):
        await keep_retired(rows, pool.pool_id, note=note, at=at)
    else:
        await discard(rows, pool.pool_id, at)


async def _must_serve_nobody(rows: EstateRows, pool: KnownPool, at_bng: str) -> None:
    """Of a pool that the BNG hands out, which of its addresses are in use only the BNG knows: whoever may have one
    counts as having it."""
    await hold_served(rows, pool.pool_id)
    served = (Service.state == "active", Service.framed_pool_id == pool.pool_id)
    found = await rows.db.execute(
        select(Service.service_id, Service.customer_id, Service.username, Location.name)
        .join(Location, Location.id == Service.location_id)
        .where(*served)
        .order_by(Service.service_id)
        .limit(NAMED)
    )
    left = [_whose(*row) for row in found]
    if left:
        raise PoolNotEmpty(pool.name, left=left, in_use=await count_live(rows.db, *served), at_bng=at_bng)


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
    whose = _whose(left["service_id"], left["customer_id"], left["username"], left["location"])
    return f"{left['value']} ({whose})"


def _whose(service_id: int, customer_id: int | None, username: str | None, location: str | None) -> str:
    return f"service {service_id} of customer {customer_id}, {username}, at {location}"
