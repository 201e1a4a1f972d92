"""Prefixes that are routed to a service besides what its plan gives it."""

from __future__ import annotations

from datetime import datetime
from functools import partial

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import holdings
from ipam.addresses import parse_network
from ipam.allocation.candidates import Candidate, Holder, bound
from ipam.allocation.chains import by_its_number
from ipam.allocation.patience import patiently
from ipam.allocator import choose, take
from ipam.answers import value_of
from ipam.errors import RequestInvalid
from ipam.holdings import Line
from ipam.kinds import ROUTED
from ipam.tables import AllocationEvent, FormerPrefix, Pool, Prefix
from ipam.unit_errors import UnitElsewhere, UnitNotHeld
from ipam.upkeep.returning import give_back


async def route(db: AsyncSession, *, line: Line, holder: Holder, pool: str, prefix: str | None) -> None:
    """Give the service, whose row is locked, a prefix of that pool; nothing happens if it has one already.

    Raises:
        UnitElsewhere: the pool serves no line there, or has no such prefix.
        RequestInvalid: it has another prefix of that pool.
        PoolExhausted, PoolBusy, UnitTaken, ...: as for an allocation.
    """
    wanted = None if prefix is None else checked_prefix(prefix)
    serving = [each for each in await bound(db, line.place, line.plan, holder) if each.kind in ROUTED]
    of_pool = [each for each in serving if each.name == pool]
    if not of_pool:
        known = ", ".join(sorted({each.name for each in serving})) or "none"
        why = f"the pools of routed prefixes that serve it are {known}"
        raise UnitElsewhere(f"A prefix of pool {pool}", location=line.place.location, plan=line.plan.name, why=why)
    [candidate, *_] = of_pool
    if wanted is not None:
        candidate = by_its_number([candidate], wanted, line.place, line.plan)
    for unit in await holdings.units_of(db, line.service_id):
        if unit.pool == pool:
            if candidate.given not in (None, unit.unit):
                raise RequestInvalid("prefix", f"is {wanted}, but service {line.service_id} has {unit.value} of {pool}")
            return
    await patiently(db, partial(_take, db, candidate, holder))


async def _take(db: AsyncSession, candidate: Candidate, holder: Holder, locked: frozenset[str]) -> None:
    await take(db, await choose(db, {candidate.kind: [candidate]}, holder.at, locked), holder)


async def withdraw(db: AsyncSession, *, tenant_id: str, line: Line, prefix: str, at: datetime) -> None:
    """Take the prefix back into its pool's quarantine; nothing happens if that was done already.

    Raises:
        UnitNotHeld: it was never routed to the service.
    """
    spelt = checked_prefix(prefix)
    for unit in await holdings.units_of(db, line.service_id):
        if unit.kind in ROUTED and unit.value == spelt:
            await give_back(db, tenant_id=tenant_id, service_id=line.service_id, at=at, pools=[unit.pool_id])
            return
    if not await _was_routed(db, line.service_id, spelt):
        wanted = f"routed to service {line.service_id}"
        raise UnitNotHeld(spelt, pool=None, wanted=wanted, state="not among its routed prefixes, and never was")


async def _was_routed(db: AsyncSession, service_id: int, spelt: str) -> bool:
    """Whether the service, which doesn't have the prefix now, has given it back, be it of a pool that was retired."""
    base = func.coalesce(Prefix.first_address, FormerPrefix.first_address)
    rows = await db.execute(
        select(base, Pool.unit_length, AllocationEvent.unit)
        .join(Pool, Pool.id == AllocationEvent.pool_id)
        .outerjoin(Prefix, Prefix.id == Pool.prefix_id)
        .outerjoin(FormerPrefix, FormerPrefix.pool_id == Pool.id)
        .where(
            AllocationEvent.service_id == service_id, AllocationEvent.what == "released", Pool.kind.in_(sorted(ROUTED))
        )
    )
    return any(value_of(*row) == spelt for row in rows)


def checked_prefix(prefix: str) -> str:
    """
    Raises:
        RequestInvalid: it is none.
    """
    try:
        return str(parse_network(prefix))
    except ValueError as exc:
        raise RequestInvalid("prefix", f"can't be meant: {exc}") from exc
