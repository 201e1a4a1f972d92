"""Takes one unit from each pool that a service needs, all or nothing, and never the same unit twice.

From a pool, in this order:

1. the subject's *own* former unit, as long as it is sticky and nobody else was given it;
2. a *fresh* unit from the front of a free range;
3. the *oldest* unit whose quarantine is over (first in, first out); in a pool that reuses first, before a fresh one.

A unit that is asked for by its number, or is computed, is carved out of wherever it lies (``carving``).
What makes a second owner impossible is UNIQUE(pool_id, unit); locks only make writers quick. The cost doesn't grow with
a pool's size or fill, and no row counts anything, for such a row would queue all writers up.

Most services are given all of it in one turn, in the same order (``at_once``), and many that go behind another BNG
together from what is read for all of them (``stock``); these are the steps for the others:

* SQLite: BEGIN IMMEDIATE holds the one write lock, so what was read is true, and plain statements follow
  (``take_sqlite``).
* PostgreSQL: one statement for all pools of a service, which skips rows that others have locked (``take_postgresql``).
  "Nothing unlocked" isn't "full": when it comes back short, the attempt is rolled back and made again after a moment.
  Only a pool in which a new look shows nothing at all, locked or not, is exhausted. No lock is ever waited for, so
  allocations can't wait for one another in a circle.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, ScalarSelect, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation import take_postgresql, take_sqlite
from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.carving import claim
from ipam.allocation.chains import Chains
from ipam.allocation.patience import OthersWereQuicker
from ipam.allocation.refusals import note_exhausted
from ipam.allocation.service_rows import insert_service
from ipam.allocation.static_requests import NAME_OF
from ipam.answers import Held
from ipam.errors import PoolExhausted
from ipam.events import note_event
from ipam.request_faults import RequestFaults
from ipam.tables import ASSIGNED, RESERVED, RESTS, Allocation, FreeRange, Pool, UtcDateTime


async def choose(db: AsyncSession, chains: Chains, at: datetime, locked: Collection[str] = ()) -> list[Candidate]:
    """The first pool of each chain that has something; one that we found ``locked`` before only if no other has.

    Raises:
        PoolExhausted: a chain had nothing at all.
        OthersWereQuicker: it had nothing at one look, but something at the next.
    """
    chosen: list[Candidate] = []
    for chain in chains.values():
        able = [candidate for candidate in chain if candidate.has_something]
        if not able:
            raise await why_nothing(db, chain, at)
        chosen.append(min(able, key=lambda candidate: candidate.name in locked))
    return chosen


async def begin(
    db: AsyncSession, service: dict[str, Any], chosen: Sequence[Candidate], holder: Holder
) -> list[Held] | None:
    """A new service's row and all that it takes; None: somebody has made the same request just now, and PostgreSQL has
    waited for the outcome.

    Raises:
        As ``take``.
    """
    if db.get_bind().dialect.name != "postgresql" or any(each.given is not None for each in chosen):
        return await take(db, chosen, holder) if await insert_service(db, service) else None
    pools = [candidate for candidate in chosen if candidate.takes]
    units = await take_postgresql.begin(db, service, pools, holder)
    return None if units is None else _held(chosen, pools, units)


async def take(db: AsyncSession, chosen: Iterable[Candidate], holder: Holder) -> list[Held]:
    """Take a unit of every chosen pool, and write down who has it.

    Raises:
        UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining, UnitLost: one that is asked for by its number
            can't be had; RequestInvalid with all such numbers.
        OthersWereQuicker: what was taken must be rolled back.
    """
    candidates = list(chosen)
    units = {each.pool_id: each.given for each in candidates if each.given is not None}
    await each_given(candidates, partial(_take_given, db, holder))
    pools = [candidate for candidate in candidates if candidate.takes and candidate.given is None]
    if pools:
        dialect = take_postgresql if db.get_bind().dialect.name == "postgresql" else take_sqlite
        units |= await dialect.take(db, pools, holder)
    return _held(candidates, pools, units)


def _held(chosen: Sequence[Candidate], pools: Sequence[Candidate], units: Mapping[int, int]) -> list[Held]:
    if any(pool.pool_id not in units for pool in pools):
        raise OthersWereQuicker(pool.name for pool in pools if pool.pool_id not in units)
    return [candidate.held(units.get(candidate.pool_id)) for candidate in chosen]


async def each_given(chosen: Iterable[Candidate], looking: Callable[[Candidate, int], Awaitable[None]]) -> None:
    """Look at all that is asked for by its number, or is computed.

    Raises:
        As ``looking``; RequestInvalid with all such numbers.
    """
    faults = RequestFaults()
    for each in chosen:
        if each.given is not None:
            await faults.look(NAME_OF.get(each.kind, each.kind), looking(each, each.given))
    faults.refuse_if_any()


def may_take_reserved(pool: Candidate, holder: Holder) -> bool | None:
    """As ``claim`` takes it: nobody has asked for what is computed."""
    return None if pool.is_computed else holder.takes_reserved


async def _take_given(db: AsyncSession, holder: Holder, pool: Candidate, number: int) -> None:
    unit = pool.unit(number, holder.tenant_id)
    held = {"state": "assigned", "service_id": holder.service_id, "subject": holder.subject, "assigned_at": holder.at}
    takes = may_take_reserved(pool, holder)
    if await claim(db, unit, held, subject=holder.subject, at=holder.at, takes_reserved=takes):
        note = f"for service {holder.service_id}, which has asked for it"
        await note_event(db, unit, what="unreserved", at=holder.at, note=note)
    await note_event(db, unit, what="assigned", at=holder.at, service_id=holder.service_id)


async def why_nothing(db: AsyncSession, chain: list[Candidate], at: datetime) -> PoolExhausted | OthersWereQuicker:
    """Read the numbers of the whole chain at one instant: only if they too leave nothing, it is exhausted."""
    ids = [candidate.pool_id for candidate in chain]
    names = [candidate.name for candidate in sorted(chain, key=lambda each: (each.priority, each.name))]

    def units(of: ColumnElement[Any], *which: ColumnElement[bool]) -> ScalarSelect[Any]:
        return select(of).select_from(Allocation).where(Allocation.pool_id.in_(ids), *which).scalar_subquery()

    ranges = select(func.count()).select_from(FreeRange).where(FreeRange.pool_id.in_(ids)).scalar_subquery()
    numbers = select(
        select(func.sum(Pool.size)).where(Pool.id.in_(ids)).scalar_subquery(),
        ranges + units(func.count(), Allocation.available_at <= at),
        units(func.count(), ASSIGNED),
        units(func.count(), RESTS),
        units(func.count(), RESERVED),
        units(func.min(Allocation.available_at, type_=UtcDateTime), RESTS),
    )
    size, left, assigned, quarantined, reserved, next_available_at = (await db.execute(numbers)).one()
    if left:
        return OthersWereQuicker(names)
    note_exhausted(db, names)
    return PoolExhausted(
        pools=names,
        size=int(size or 0),
        assigned=assigned,
        quarantined=quarantined,
        reserved=reserved,
        draining=int(size or 0) - assigned - quarantined - reserved,  # what is neither somebody's nor free
        next_available_at=next_available_at,
    )
