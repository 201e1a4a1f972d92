"""Prefixes that are routed to a service besides what its plan gives it."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import cast

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import holdings
from ipam.addresses import Network, parse_network, prefix_of_unit
from ipam.allocation.candidates import Candidate, Holder, bound
from ipam.allocation.chains import by_its_number
from ipam.allocation.patience import OthersWereQuicker, patiently
from ipam.allocator import choose, take
from ipam.errors import PoolExhausted, RequestInvalid
from ipam.holdings import Line
from ipam.kinds import MOST_ROUTED_OF_A_POOL, ROUTED
from ipam.lookup.asked import looked_for
from ipam.tables import ASSIGNED, Allocation, AllocationEvent, Pool, Prefix, table_of
from ipam.unit_errors import UnitElsewhere, UnitNotHeld
from ipam.upkeep.returning import give_back_units
from ipam.usage import usage
from ipam.usage.shortage import short_of

_ALLOCATION = table_of(Allocation)


async def route(db: AsyncSession, *, line: Line, holder: Holder, pool: str, prefix: str | None, count: int = 1) -> None:
    """Give the service, whose row is locked, this prefix of that pool, or of the pool's choice as many as it lacks to
    have ``count`` of it, those that are being drained not counted; nothing happens if it has them already. Whether
    one that is named may be reserved, ``holder`` says.

    Raises:
        UnitElsewhere: the pool serves no line there, or has no such prefix.
        RequestInvalid: more than ``MOST_ROUTED_OF_A_POOL``; or a ``count`` of one that is named.
        PoolExhausted, PoolBusy, UnitTaken, ...: as for an allocation.
    """
    wanted = None if prefix is None else checked_prefix(prefix)
    check_count(count, prefix)
    candidate = await _serving(db, line, holder, pool, wanted)
    held = [unit for unit in await holdings.units_of(db, line.service_id) if unit.pool == pool]
    has, drained = [unit.unit for unit in held], sum(unit.is_drained for unit in held)
    lacks = max(count - len(has) + drained, 0) if candidate.given is None else int(candidate.given not in has)
    if len(has) + lacks > MOST_ROUTED_OF_A_POOL:
        first = f", {drained} of them being drained: withdraw one of those first" if drained else ""
        too_many = f"would be one too many: service {line.service_id} has {len(has)} of {pool}{first}"
        raise RequestInvalid("prefix", too_many)
    if lacks:
        await patiently(db, partial(_take, db, line, holder, pool, wanted, lacks))


def check_taking(take_reserved: bool, prefix: str | None) -> None:
    """
    Raises:
        RequestInvalid: of no prefix that is named.
    """
    if take_reserved and prefix is None:
        raise RequestInvalid("take_reserved", "must come with what is reserved: prefix")


def check_count(count: int, prefix: str | None) -> None:
    """
    Raises:
        RequestInvalid: so many can't be meant.
    """
    if not 1 <= count <= MOST_ROUTED_OF_A_POOL:
        raise RequestInvalid("count", f"is {count}; a service has 1 to {MOST_ROUTED_OF_A_POOL} prefixes of a pool")
    if prefix is not None and count != 1:
        raise RequestInvalid("count", "goes without a prefix: one that is named is one")


async def _serving(db: AsyncSession, line: Line, holder: Holder, pool: str, wanted: str | None) -> Candidate:
    """What could be taken of the pool now, and the unit that is asked for by its number.

    Raises:
        UnitElsewhere
    """
    serving = [each for each in await bound(db, line.place, line.plan, holder) if each.kind in ROUTED]
    of_pool = [each for each in serving if each.name == pool]
    if not of_pool:
        known = ", ".join(sorted({each.name for each in serving})) or "none"
        why = f"the pools of routed prefixes that serve it are {known}"
        raise UnitElsewhere(f"A prefix of pool {pool}", location=line.place.location, plan=line.plan.name, why=why)
    return of_pool[0] if wanted is None else by_its_number(of_pool[:1], wanted, line.place, line.plan)


async def _take(
    db: AsyncSession,
    line: Line,
    holder: Holder,
    pool: str,
    wanted: str | None,
    lacks: int,
    locked: frozenset[str],
) -> None:
    """All that it lacks, or none of it. What could be taken is looked at anew for each: the one before has taken some.

    Raises:
        PoolExhausted: there are fewer, and so many of them are free without those that it had taken.
        OthersWereQuicker: they had been too few, and no longer are.
    """
    connection = await db.connection()
    try:
        async with connection.begin_nested():
            for _ in range(lacks):
                candidate = await _serving(db, line, holder, pool, wanted)
                chosen = await choose(db, {candidate.kind: [candidate]}, holder.at, locked)
                await _make_room(db, line.service_id, candidate.pool_id)
                await take(db, chosen, holder)
    except PoolExhausted as full:
        told = short_of(full, await usage.read(db, holder.tenant_id, at=holder.at), wanted=lacks)
        raise OthersWereQuicker([pool]) if told.free >= lacks else told from full


async def _make_room(db: AsyncSession, service_id: int, pool_id: int) -> None:
    """The next one is taken as the first of its pool, so the one that is becomes another: the first that is free."""
    its_own = (Allocation.service_id == service_id, Allocation.pool_id == pool_id, ASSIGNED)
    numbers = {
        ordinal: row_id
        for ordinal, row_id in await db.execute(select(Allocation.ordinal, Allocation.id).where(*its_own))
    }
    if 1 in numbers:
        free = next(number for number in range(2, MOST_ROUTED_OF_A_POOL + 1) if number not in numbers)
        await db.execute(update(_ALLOCATION).where(_ALLOCATION.c.id == numbers[1]).values(ordinal=free))


async def withdraw(db: AsyncSession, *, tenant_id: str, line: Line, prefix: str, at: datetime) -> None:
    """Take the prefix back into its pool's quarantine; nothing happens if that was done already.

    Raises:
        UnitNotHeld: it was never routed to the service.
    """
    asked = parse_network(checked_prefix(prefix))
    for unit in await holdings.units_of(db, line.service_id):
        if unit.kind in ROUTED and looked_for(unit.value) == asked:
            await give_back_units(db, [unit.allocation_id], tenant_id=tenant_id, at=at)
            return
    if not await _was_routed(db, line.service_id, asked):
        wanted = f"routed to service {line.service_id}"
        raise UnitNotHeld(str(asked), pool=None, wanted=wanted, state="not among its routed prefixes, and never was")


async def _was_routed(db: AsyncSession, service_id: int, asked: Network) -> bool:
    """Whether the service, which doesn't have the prefix now, has given it back, be it of a pool that was retired."""
    rows = await db.execute(
        select(Prefix.first_address, Pool.unit_length, AllocationEvent.unit)
        .join(Pool, Pool.id == AllocationEvent.pool_id)
        .join(Prefix, Prefix.id == Pool.prefix_id)
        .where(AllocationEvent.service_id == service_id, AllocationEvent.what == "released", Pool.kind.in_(ROUTED))
    )
    return any(prefix_of_unit(row.first_address, cast(int, row.unit_length), row.unit) == asked for row in rows)


def checked_prefix(prefix: str) -> str:
    """
    Raises:
        RequestInvalid: it is none.
    """
    try:
        return str(parse_network(prefix))
    except ValueError as exc:
        raise RequestInvalid("prefix", f"can't be meant: {exc}") from exc
