"""Takes one unit from each pool that a service needs, all or nothing, and never the same unit twice.

From a pool, in this order:

1. the subject's *own* former unit, as long as nobody else was given it (sticky);
2. a *fresh* unit from the front of a free range;
3. the *oldest* unit whose quarantine is over (first in, first out).

What makes a second owner impossible is UNIQUE(pool_id, unit); locks only make writers quick. The cost doesn't grow with
a pool's size or fill, and no row counts anything, for such a row would queue all writers up.

* SQLite: BEGIN IMMEDIATE holds the one write lock, so what was read is true, and plain statements follow
  (``take_sqlite``).
* PostgreSQL: one statement for all pools of a service, which skips rows that others have locked (``take_postgresql``).
  "Nothing unlocked" isn't "full": when it comes back short, everything is rolled back to before the service, and a
  second attempt first waits for its turn at each pool, in one fixed order of kinds so that two can't wait for one
  another. Only what that second look finds empty is exhausted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam import take_postgresql, take_sqlite
from ipam.answers import Held
from ipam.candidates import Candidate, Chains, Holder
from ipam.errors import PoolExhausted
from ipam.tables import Allocation, Pool


class TurnNeeded(Exception):
    """Others hold the rows that are left: undo, and come again waiting for a turn. Never leaves the package."""


async def choose(db: AsyncSession, chains: Chains) -> list[Candidate]:
    """The first pool of each chain that has something.

    Raises:
        PoolExhausted: a chain had nothing at all at the moment it was read.
    """
    chosen: list[Candidate] = []
    for chain in chains.values():
        found = next((candidate for candidate in chain if candidate.has_something), None)
        if found is None:
            raise await exhausted(db, chain)
        chosen.append(found)
    return chosen


async def wait_for_turn(db: AsyncSession, chains: Chains, holder: Holder) -> list[Candidate]:
    """PostgreSQL: like ``choose``, but holding a row of each chosen pool that nobody can take away any more.

    Raises:
        PoolExhausted: having waited for everybody, nothing is left in a chain.
        PoolBusy: somebody held the last rows for too long.
    """
    chosen: list[Candidate] = []
    async with take_postgresql.patience(db):
        for chain in chains.values():
            for candidate in chain:
                if not candidate.takes or await take_postgresql.hold_something(db, candidate, holder):
                    chosen.append(candidate)
                    break
            else:
                raise await exhausted(db, chain)
    return chosen


async def take(db: AsyncSession, chosen: Iterable[Candidate], holder: Holder) -> list[Held]:
    """Take a unit of every chosen pool, and write down who has it.

    Raises:
        TurnNeeded: PostgreSQL only; others were quicker, and what was taken must be rolled back.
    """
    candidates = list(chosen)
    pools = [candidate for candidate in candidates if candidate.takes]
    units: Mapping[int, int] = {}
    if pools:
        dialect = take_postgresql if db.get_bind().dialect.name == "postgresql" else take_sqlite
        units = await dialect.take(db, pools, holder)
    if len(units) < len(pools):
        raise TurnNeeded
    return [candidate.held(units.get(candidate.pool_id)) for candidate in candidates]


async def exhausted(db: AsyncSession, chain: list[Candidate]) -> PoolExhausted:
    """The error with the numbers of the whole chain."""
    ids = [candidate.pool_id for candidate in chain]
    size = await db.scalar(select(func.sum(Pool.size)).where(Pool.id.in_(ids)))
    rows: list[Any] = list(
        await db.execute(
            select(
                Allocation.state, func.count(), func.min(Allocation.available_at, type_=Allocation.available_at.type)
            )
            .where(Allocation.pool_id.in_(ids))
            .group_by(Allocation.state)
        )
    )
    numbers = {state: (count, available_at) for state, count, available_at in rows}
    quarantined, next_available_at = numbers.get("quarantine", (0, None))
    return PoolExhausted(
        pool=" + ".join(candidate.name for candidate in sorted(chain, key=lambda c: (c.priority, c.name))),
        size=int(size or 0),
        assigned=numbers.get("assigned", (0, None))[0],
        quarantined=quarantined,
        next_available_at=next_available_at,
    )
