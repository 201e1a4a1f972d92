"""Computed C-VLANs of many services at once: each follows from where its premise ends, so that all are known before
anything is asked of the database, and what has become of them is read together.

As who cuts a pool anew does (``ipam.estate.ranges``), all free ranges of a pool are locked, so that what nobody has is
nobody's until it is written. Rows of used C-VLANs are never waited for: theirs may be somebody who waits for one of
ours. Whoever needs one that others have locked comes again for it alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Row, select

from ipam.allocation.candidates import Candidate, Holder
from ipam.allocation.carving import Unit, excluded_because, held_by_another, refuse_used
from ipam.allocation.patience import OthersWereQuicker
from ipam.allocation.stock import Taken, write_taken
from ipam.estate.ranges import all_locked, cut_ranges, excluded_of
from ipam.estate.rows import EstateRows
from ipam.tables import Allocation, Drain, table_of
from ipam.unit_errors import UnitDraining, UnitExcluded
from ipam.units import Interval, UnitKey, merge, touching

_ALLOCATION = table_of(Allocation)
_Reasons = list[tuple[Interval, str]]


class ComputedCvlans:
    """``of()`` all that may be wanted; ``take()`` them one by one, each for whom it follows for; then ``write()``."""

    def __init__(self, rows: EstateRows, at: datetime) -> None:
        self._rows = rows
        self._at = at
        self._free: dict[int, list[Interval]] = {}
        """By pool; of others nothing was looked at."""
        self._used: dict[UnitKey, Row[Any]] = {}
        """Rows that are ours until the transaction ends."""
        self._others: dict[UnitKey, Row[Any]] = {}
        """Rows that others have locked, as they can be seen."""
        self._taken_by: dict[UnitKey, int] = {}
        """The service that has it since."""
        self._not_written: list[Taken] = []
        self._out: dict[int, tuple[_Reasons, _Reasons]] = {}
        """By pool what is excluded and what is drained of it, once somebody needs to be told."""

    @classmethod
    async def of(cls, rows: EstateRows, wanted: Iterable[UnitKey], *, at: datetime) -> ComputedCvlans:
        """Whoever asks is alone (``EstateRows.be_alone``)."""
        cvlans = cls(rows, at)
        by_pool: dict[int, set[int]] = defaultdict(set)
        for pool_id, unit in wanted:
            by_pool[pool_id].add(unit)
        for pool_id, units in sorted(by_pool.items()):
            await cvlans._look(pool_id, units)
        return cvlans

    async def take(self, candidate: Candidate, holder: Holder) -> None:
        """It is the holder's once it is written.

        Raises:
            UnitTaken, UnitReserved, UnitCooling, UnitExcluded, UnitDraining: why it can't be had.
            OthersWereQuicker: somebody is at it just now, or it was not looked at.
        """
        assert candidate.given is not None, "it is computed"
        key = candidate.pool_id, candidate.given
        wanted = candidate.unit(candidate.given, holder.tenant_id)
        if key in self._taken_by:
            raise held_by_another(wanted, self._taken_by[key])
        if (others := self._others.get(key)) is not None and others.state == "assigned":
            raise held_by_another(wanted, others.service_id)
        if others is not None or candidate.pool_id not in self._free:
            raise OthersWereQuicker([candidate.name])
        used = self._used.get(key)
        if used is not None:
            refuse_used(used, wanted, holder.subject, self._at)
        elif not self._is_free(*key):
            raise await self._why_not_free(wanted)
        self._taken_by[key] = holder.service_id
        self._not_written.append(Taken(*key, None if used is None else used.id, holder))

    def taken_elsewhere(self, chosen: Iterable[Candidate], holder: Holder) -> None:
        """What the holder has taken otherwise in this transaction, after ``write()``."""
        self._taken_by |= {
            (each.pool_id, each.given): holder.service_id for each in chosen if each.takes and each.given is not None
        }

    async def write(self) -> None:
        """What was taken so far."""
        first: dict[int, list[int]] = defaultdict(list)
        for each in self._not_written:
            if each.row_id is None:
                first[each.pool_id].append(each.unit)
        for pool_id, units in sorted(first.items()):
            await cut_ranges(self._rows, pool_id, merge((unit, unit) for unit in units))
        await write_taken(self._rows.db, self._not_written, tenant_id=self._rows.tenant_id, at=self._at)
        self._not_written.clear()

    async def _look(self, pool_id: int, units: Iterable[int]) -> None:
        ranges = await all_locked(self._rows, pool_id)
        self._free[pool_id] = merge((each.next_unit, each.last_unit) for each in ranges)
        if not (used := sorted(unit for unit in units if not self._is_free(pool_id, unit))):
            return
        these = select(_ALLOCATION).where(_ALLOCATION.c.pool_id == pool_id, _ALLOCATION.c.unit.in_(used))
        locked = await self._rows.db.execute(these.with_for_update(skip_locked=True))
        self._used |= {(pool_id, row.unit): row for row in locked}
        if any((pool_id, unit) not in self._used for unit in used):
            seen = {(pool_id, row.unit): row for row in await self._rows.db.execute(these)}
            self._others |= {key: row for key, row in seen.items() if key not in self._used}

    def _is_free(self, pool_id: int, unit: int) -> bool:
        return bool(touching(self._free[pool_id], (unit, unit)))

    async def _why_not_free(self, wanted: Unit) -> UnitExcluded | UnitDraining | OthersWereQuicker:
        """Read once for all of its pool."""
        if wanted.pool_id not in self._out:
            self._out[wanted.pool_id] = (await self._excluded(wanted.pool_id), await self._drained(wanted.pool_id))
        excluded, drained = self._out[wanted.pool_id]
        if (reason := _covering(excluded, wanted.unit)) is not None:
            return UnitExcluded(wanted.value, pool=wanted.pool, reason=reason, follows_from=wanted.computed_from)
        if (note := _covering(drained, wanted.unit)) is not None:
            return UnitDraining(wanted.value, pool=wanted.pool, note=note, follows_from=wanted.computed_from)
        return OthersWereQuicker([wanted.pool])

    async def _excluded(self, pool_id: int) -> _Reasons:
        found = await excluded_of(self._rows, pool_id)
        return [(each.interval, excluded_because(each.reason, each.note)) for each in found]

    async def _drained(self, pool_id: int) -> _Reasons:
        drains = select(Drain.first_unit, Drain.last_unit, Drain.note).where(Drain.pool_id == pool_id)
        return [((first, last), note) for first, last, note in await self._rows.db.execute(drains)]


def _covering(reasons: Sequence[tuple[Interval, str]], unit: int) -> str | None:
    return next((why for (first, last), why in reasons if first <= unit <= last), None)
