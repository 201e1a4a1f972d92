"""What pools have for many services that are given theirs one after the other, each as if it were alone.

``allocator`` asks what could be taken and takes it, service by service. Here what they all may take is read and locked
at once; each has in turn what is next, in the order that ``allocator`` says; and what they took is written at once.
What others have locked is passed over, as always, and isn't gone therefore: a pool of which all that was found is taken
is looked at again, and where it has nothing else left, ``allocator`` has to come again for whoever's turn it is.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Integer, bindparam, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.chains import Chains
from ipam.allocation.patience import OthersWereQuicker
from ipam.allocation.places import AnySelect
from ipam.allocator import why_nothing
from ipam.answers import Held
from ipam.bulk import insert_many, update_many
from ipam.errors import PoolExhausted
from ipam.tables import IN_QUARANTINE, Allocation, AllocationEvent, FreeRange, UtcDateTime, table_of

_ALLOCATION, _EVENT, _RANGE = table_of(Allocation), table_of(AllocationEvent), table_of(FreeRange)

_AT = bindparam("at", type_=UtcDateTime)
_MOST = bindparam("most", type_=Integer)
_OWN = (
    select(Allocation.pool_id, Allocation.subject, Allocation.id, Allocation.unit)
    .where(
        Allocation.subject.in_(bindparam("subjects", expanding=True)),
        Allocation.pool_id.in_(bindparam("pool_ids", expanding=True)),
        IN_QUARANTINE,
        or_(Allocation.sticky_until.is_(None), Allocation.sticky_until >= _AT),
    )
    .order_by(Allocation.available_at.desc(), Allocation.id.desc())
    .with_for_update(skip_locked=True)
)
_ANY_RESTED = (
    select(Allocation.id, Allocation.unit)
    .where(Allocation.pool_id == bindparam("pool_id"), Allocation.available_at <= _AT)
    .order_by(Allocation.available_at, Allocation.id)
    .limit(_MOST)
)
_RESTED = _ANY_RESTED.with_for_update(skip_locked=True)
_ANY_RANGES = (
    select(FreeRange.seq, FreeRange.next_unit, FreeRange.last_unit)
    .where(FreeRange.pool_id == bindparam("pool_id"), FreeRange.seq > bindparam("after"))
    .order_by(FreeRange.pool_id, FreeRange.seq)
    .limit(_MOST)
)
_RANGES = _ANY_RANGES.with_for_update(skip_locked=True)
# Row by row: SQLite would look through the ranges of all pools for a list of pairs.
_DRY = delete(_RANGE).where(_RANGE.c.pool_id == bindparam("of_pool"), _RANGE.c.seq == bindparam("at_seq"))


@dataclass
class _Range:
    """Never used units, of which the next one is taken."""

    seq: int
    next_unit: int
    last_unit: int


@dataclass(frozen=True)
class _Used:
    """A used unit that may be taken again, and its row."""

    row_id: int
    unit: int


class Taken(NamedTuple):
    """A unit that is somebody's from now on, and its row if it had one."""

    pool_id: int
    unit: int
    row_id: int | None
    holder: Holder


class Stock:
    """``of()`` all of them; for each ``seen_by()``, ``choose()`` and ``take()``; then ``write()``.

    Whoever takes units of these pools otherwise in this transaction meanwhile, says so: ``let_go()`` before it,
    ``taken_elsewhere()`` after it.
    """

    def __init__(self, db: AsyncSession, tenant_id: str, at: datetime, wanted: Counter[int]) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._at = at
        self._has_others = db.get_bind().dialect.name == "postgresql"
        """Who may hold something of a pool: SQLite has one writer."""
        self._wanted = wanted
        """By pool how many may yet take one of its units: so many are locked, and no more."""
        self._own: dict[str, dict[int, list[_Used]]] = defaultdict(dict)
        """By subject and pool."""
        self._fresh: dict[int, deque[_Range]] = {}
        self._rested: dict[int, deque[_Used]] = {}
        self._none_fresh: set[int] = set()
        self._none_rested: set[int] = set()
        """Pools that have none, held by others or not: they aren't asked again."""
        self._taken: set[tuple[int, int]] = set()
        """Pool and unit: a rested one may be somebody's own as well."""
        self._exhausted: dict[tuple[int, ...], PoolExhausted] = {}
        self._advanced: dict[tuple[int, int], _Range] = {}
        self._held: list[Taken] = []
        """Not yet written."""

    @classmethod
    async def of(
        cls, db: AsyncSession, wishes: Iterable[tuple[str, Iterable[Candidate]]], *, tenant_id: str, at: datetime
    ) -> Stock:
        """``wishes``: of each service its subject and the pools of which it may take something."""
        subjects: set[str] = set()
        wanted: Counter[int] = Counter()
        for subject, pools in wishes:
            subjects.add(subject)
            wanted.update(pool.pool_id for pool in pools)
        stock = cls(db, tenant_id, at, wanted)
        if wanted:
            given = {"subjects": sorted(subjects), "pool_ids": sorted(wanted), "at": at}
            for pool_id, subject, row_id, unit in await db.execute(_OWN, given):
                stock._own[subject].setdefault(pool_id, []).append(_Used(row_id, unit))
        return stock

    def seen_by(self, found: Sequence[Candidate], subject: str) -> list[Candidate]:
        """What is bound somewhere, with the subject's own former units."""
        if subject not in self._own:
            return list(found)
        own = {pool_id: self._own_of(pool_id, subject) for pool_id in self._own[subject]}
        return [replace(each, own_id=former.row_id) if (former := own.get(each.pool_id)) else each for each in found]

    async def choose(self, subject: str, chains: Chains) -> list[Candidate]:
        """The first pool of each chain that has something.

        Raises:
            PoolExhausted: a chain had nothing at all.
            OthersWereQuicker: what that pool has is locked by others.
        """
        chosen: list[Candidate] = []
        for chain in chains.values():
            try:
                chosen.append(await self._first_of(chain, subject))
            finally:  # who gets nothing here wants nothing more of it either
                self._wanted.subtract(candidate.pool_id for candidate in chain)
        return chosen

    async def take(self, chosen: Iterable[Candidate], holder: Holder) -> list[Held]:
        """The next unit of everything chosen that has none by its number; it is the holder's once it is written."""
        held: list[Held] = []
        for each in chosen:
            unit = each.given
            if each.takes and unit is None:
                this = await self._next(each, holder.subject)
                assert this is not None, "it was chosen because it has something"
                unit = self._out_of_stock(each.pool_id, this, holder)
            held.append(each.held(unit))
        return held

    async def let_go(self, pools: Iterable[Candidate]) -> None:
        """What was taken of these is written, and what they have is looked at anew."""
        pool_ids = {pool.pool_id for pool in pools if pool.takes}
        if any(each.pool_id in pool_ids for each in self._held):
            await self.write()
        for pool_id in pool_ids:
            self._fresh.pop(pool_id, None)
            self._rested.pop(pool_id, None)

    def taken_elsewhere(self, chosen: Iterable[Candidate], held: Iterable[Held]) -> None:
        """What was taken otherwise is nobody's here."""
        self._taken |= {
            (candidate.pool_id, each.unit)
            for candidate, each in zip(chosen, held, strict=True)
            if candidate.takes and each.unit is not None
        }

    async def write(self) -> None:
        """What was taken so far."""
        dry = [{"of_pool": pool, "at_seq": seq} for (pool, seq), each in self._advanced.items() if _is_dry(each)]
        if dry:
            await (await self._db.connection()).execute(_DRY, dry)
        left = [
            {"pool_id": pool, "seq": seq, "next_unit": each.next_unit}
            for (pool, seq), each in self._advanced.items()
            if not _is_dry(each)
        ]
        await update_many(self._db, _RANGE, ("pool_id", "seq"), left)
        await write_taken(self._db, self._held, tenant_id=self._tenant_id, at=self._at)
        self._advanced.clear()
        self._held.clear()

    async def _first_of(self, chain: list[Candidate], subject: str) -> Candidate:
        for candidate in chain:
            is_given = not candidate.takes or candidate.given is not None
            if is_given or await self._next(candidate, subject) is not None:
                return candidate
            if self._has_others and candidate.pool_id not in self._none_fresh & self._none_rested:
                raise OthersWereQuicker([candidate.name])  # the next one's turn is when this one has nothing at all
        raise await self._why_nothing(chain)

    async def _next(self, pool: Candidate, subject: str) -> _Range | _Used | None:
        """What the subject would be given of it, which stays."""
        if (own := self._own_of(pool.pool_id, subject)) is not None:
            return own
        if pool.reuse_first:
            return await self._next_rested(pool.pool_id) or await self._next_fresh(pool.pool_id)
        return await self._next_fresh(pool.pool_id) or await self._next_rested(pool.pool_id)

    def _own_of(self, pool_id: int, subject: str) -> _Used | None:
        units = self._own[subject].get(pool_id, ()) if subject in self._own else ()
        return next((each for each in units if (pool_id, each.unit) not in self._taken), None)

    async def _next_fresh(self, pool_id: int) -> _Range | None:
        if self._is_to_be_asked(pool_id, self._fresh, self._none_fresh):
            if any(pool == pool_id for pool, _ in self._advanced):
                await self.write()  # of what is taken already nothing is found again
            self._fresh[pool_id] = await self._ranges(pool_id)
            if not self._fresh[pool_id] and not await self._others_hold(_ANY_RANGES, pool_id=pool_id, after=-1):
                self._none_fresh.add(pool_id)
        ranges = self._fresh.get(pool_id)
        return ranges[0] if ranges else None

    async def _next_rested(self, pool_id: int) -> _Used | None:
        units = self._rested.get(pool_id)
        while units and (pool_id, units[0].unit) in self._taken:
            units.popleft()
        if self._is_to_be_asked(pool_id, self._rested, self._none_rested):
            if any(each.pool_id == pool_id and each.row_id is not None for each in self._held):
                await self.write()
            given = {"pool_id": pool_id, "at": self._at}
            found = await self._db.execute(_RESTED, {**given, "most": max(self._wanted[pool_id], 1)})
            units = self._rested[pool_id] = deque(_Used(*row) for row in found)
            if not units and not await self._others_hold(_ANY_RESTED, **given):
                self._none_rested.add(pool_id)
        return units[0] if units else None

    def _is_to_be_asked(self, pool_id: int, found: Mapping[int, Sized], none: set[int]) -> bool:
        """Where others may have held something then, again when all that was found is taken."""
        return pool_id not in none and (pool_id not in found or (self._has_others and not found[pool_id]))

    async def _others_hold(self, what: AnySelect, **given: object) -> bool:
        """Whether there is any of it, after nothing was found that is unlocked."""
        return self._has_others and (await self._db.execute(what, {**given, "most": 1})).first() is not None

    async def _ranges(self, pool_id: int) -> deque[_Range]:
        """As few as have what is wanted: how long they are is seen when they are ours."""
        found: deque[_Range] = deque()
        lacking, after, most = max(self._wanted[pool_id], 1), -1, 1
        while lacking > 0:
            given = {"pool_id": pool_id, "after": after, "most": most}
            some = [_Range(*row) for row in await self._db.execute(_RANGES, given)]
            found += some
            lacking -= sum(each.last_unit - each.next_unit + 1 for each in some)
            if len(some) < most:
                break
            after, most = some[-1].seq, 2 * most
        return found

    def _out_of_stock(self, pool_id: int, this: _Range | _Used, holder: Holder) -> int:
        if isinstance(this, _Used):
            self._taken.add((pool_id, this.unit))
            self._held.append(Taken(pool_id, this.unit, this.row_id, holder))
            return this.unit
        unit = this.next_unit
        this.next_unit += 1
        self._advanced[pool_id, this.seq] = this
        if _is_dry(this):
            self._fresh[pool_id].popleft()
        self._held.append(Taken(pool_id, unit, None, holder))
        return unit

    async def _why_nothing(self, chain: list[Candidate]) -> PoolExhausted | OthersWereQuicker:
        """Asked once of each chain: one that is exhausted stays so."""
        pools = tuple(candidate.pool_id for candidate in chain)
        if pools not in self._exhausted:
            await self.write()  # its numbers are those of the database
            why = await why_nothing(self._db, chain, self._at)
            if not isinstance(why, PoolExhausted):
                return why
            self._exhausted[pools] = why
        return self._exhausted[pools].with_traceback(None)


async def write_taken(db: AsyncSession, taken: Sequence[Taken], *, tenant_id: str, at: datetime) -> None:
    """Whose each is now, and that it is; what was taken out of free ranges is no longer in them."""
    first = [
        {"tenant_id": tenant_id, "pool_id": each.pool_id, "unit": each.unit, **_assigned(each.holder)}
        for each in taken
        if each.row_id is None
    ]
    await insert_many(db, _ALLOCATION, first)
    again = [
        {"id": each.row_id, "available_at": None, "sticky_until": None, **_assigned(each.holder)}
        for each in taken
        if each.row_id is not None
    ]
    await update_many(db, _ALLOCATION, ("id",), again)
    told = {"tenant_id": tenant_id, "what": "assigned", "at": at}
    events = [
        {**told, "pool_id": each.pool_id, "unit": each.unit, "service_id": each.holder.service_id} for each in taken
    ]
    await insert_many(db, _EVENT, events)


def _is_dry(range_: _Range) -> bool:
    return range_.next_unit > range_.last_unit


def _assigned(holder: Holder) -> Mapping[str, object]:
    return {
        "state": "assigned",
        "service_id": holder.service_id,
        "subject": holder.subject,
        "assigned_at": holder.at,
    }
