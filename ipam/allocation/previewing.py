"""What a customer would get, without anything being written or locked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.carving import why_not
from ipam.allocation.chains import Chains, find_chains
from ipam.allocation.patience import OthersWereQuicker
from ipam.allocation.places import Place, Plan
from ipam.allocation.static_requests import StaticResources
from ipam.allocator import choose, each_given, may_take_reserved
from ipam.answers import value_of
from ipam.errors import PoolBusy
from ipam.tables import Allocation, FreeRange
from ipam.upkeep.answers import PreviewedUnit

MOST_LOOKS = 3
"""So often in a row a pool may have nothing, but something a moment later."""


async def preview(
    db: AsyncSession, *, place: Place, plan: Plan, holder: Holder, static: StaticResources | None
) -> list[PreviewedUnit]:
    """Of each kind that the plan needs there, in the order of the plan.

    Raises:
        What the allocation would raise, were it made now.
    """
    looking = partial(find_chains, db, place=place, plan=plan, holder=holder, static=static)
    chosen = await _chosen(db, looking, holder.at)
    await each_given(chosen, partial(_look_at_given, db, holder))
    return [await _previewed(db, candidate) for candidate in chosen]


async def _chosen(db: AsyncSession, looking: Callable[[], Awaitable[Chains]], at: datetime) -> list[Candidate]:
    """
    Raises:
        PoolBusy: whenever a pool had nothing, it had something a moment later.
    """
    looks = 0
    while True:
        try:
            return await choose(db, await looking(), at)
        except OthersWereQuicker as late:
            looks += 1
            if looks == MOST_LOOKS:
                raise PoolBusy(" and ".join(late.pools), waited_seconds=0) from late


async def _look_at_given(db: AsyncSession, holder: Holder, pool: Candidate, number: int) -> None:
    unit, takes = pool.unit(number, holder.tenant_id), may_take_reserved(pool, holder)
    await why_not(db, unit, subject=holder.subject, at=holder.at, takes_reserved=takes)


async def _previewed(db: AsyncSession, candidate: Candidate) -> PreviewedUnit:
    how, value = await _how(db, candidate)
    drawn_from = await _never_used(db, candidate.pool_id) if how == "fresh" and value is None else None
    return PreviewedUnit(kind=candidate.kind, pool=candidate.name, how=how, value=value, drawn_from=drawn_from)


async def _never_used(db: AsyncSession, pool_id: int) -> int:
    units = func.sum(FreeRange.last_unit - FreeRange.next_unit + 1)
    return int(await db.scalar(select(units).where(FreeRange.pool_id == pool_id)) or 0)


async def _how(db: AsyncSession, candidate: Candidate) -> tuple[str, str | None]:
    if candidate.kind == "svlan":
        return "shared", str(candidate.svlan_vid)
    if candidate.kind == "framed_pool":
        return "by the BNG", candidate.framed_pool
    if candidate.given is not None:
        return "computed" if candidate.is_computed else "named", candidate.held(candidate.given).value
    if candidate.reused_id is None:
        draws_a_range = db.get_bind().dialect.name == "postgresql"
        return "fresh", _next_value(candidate, draws_a_range=draws_a_range)
    unit = await db.scalar(select(Allocation.unit).where(Allocation.id == candidate.reused_id))
    how = "former" if candidate.own_id is not None else "reused"
    return how, None if unit is None else value_of(candidate.base, candidate.unit_length, unit)


def _next_value(candidate: Candidate, *, draws_a_range: bool) -> str | None:
    """The never used unit whose turn it is (``take_sqlite``); None: of several, one is drawn
    (``take_postgresql``)."""
    if draws_a_range and candidate.range_seq != candidate.last_seq:
        return None
    return candidate.held(candidate.next_unit).value
