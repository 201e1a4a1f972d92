"""What RADIUS gives to names that no live service has, by what can become of it.

What is told as unknown, an import of radreply takes over as it is (where several VRFs have the address, once it is said
in which one it is meant); of all else something must be put right first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy.ext.asyncio import AsyncSession

from ipam.estate.rows import EstateRows
from ipam.inventory.answers import DifferenceKind
from ipam.inventory.lines import Cells, ImportLine
from ipam.inventory.pools import PoolIndex
from ipam.inventory.reading import Standing, standing
from ipam.inventory.shapes import NEEDED, reply_line
from ipam.inventory.standing import covering
from ipam.units import UnitKey
from ipam.upkeep.pool_units import all_pools

Given = tuple[str, str]
"""An attribute and its value."""
GivenTo = Mapping[str, frozenset[Given]]
"""What RADIUS gives, by name."""


class _Row(NamedTuple):
    """What a name is given: of which unit it is (or in which it lies), of several where several VRFs have the address,
    or else why of none."""

    name: str
    given: Given
    line: ImportLine
    units: Sequence[UnitKey] = ()
    why: DifferenceKind = "unfit"


class Unclaimed:
    """Takes some names at a time, and keeps no more than its pools and who was given what is nobody's here."""

    def __init__(self, db: AsyncSession, tenant_id: str, at: datetime) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._at = at
        self._pools: PoolIndex | None = None
        self._given: dict[UnitKey, dict[str, bool]] = {}
        """Names, and whether each is given all of the unit."""
        self._free: list[_Row] = []
        """What is nobody's, as far as the names that were read say."""

    async def sorted_out(
        self, unclaimed: GivenTo, besides: GivenTo
    ) -> list[tuple[str, DifferenceKind, frozenset[Given]]]:
        """What each of these names is given, in parts; what an import has reserved for it is left out, and what is
        nobody's here kept for ``left``. ``besides`` is what services are given that they don't hold."""
        if not unclaimed:
            self._note(await self._rows(besides))
            return []
        rows = await self._rows(unclaimed)
        self._note([*rows, *await self._rows(besides)])
        now = await standing(EstateRows(self._db, self._tenant_id), {unit for row in rows for unit in row.units})
        kinds = [(row, self._kind(row, now)) for row in rows]
        self._free += [row for row, kind in kinds if kind == "unknown_to_ipam"]
        return _parts((row, kind) for row, kind in kinds if kind != "unknown_to_ipam")

    def left(self) -> list[tuple[str, DifferenceKind, frozenset[Given]]]:
        """What is nobody's here, in parts, when every name was read: only then it is known what two are given."""
        return _parts(
            (row, "given_twice" if self._is_given_twice(row.units) else "unknown_to_ipam") for row in self._free
        )

    async def _rows(self, gives: GivenTo) -> list[_Row]:
        if not any(gives.values()):
            return []
        if self._pools is None:
            self._pools = PoolIndex(await all_pools(self._db, self._tenant_id))
        return list(_located(self._pools, gives))

    def _note(self, rows: list[_Row]) -> None:
        for row in rows:
            if len(row.units) == 1:  # in several VRFs each name may have its own
                names = self._given.setdefault(row.units[0], {})
                names[row.name] = names.get(row.name, False) or row.line.is_exact

    def _kind(self, row: _Row, now: Standing) -> DifferenceKind | None:
        kinds = [self._kind_of(unit, row, now) for unit in row.units]
        if not kinds:
            return row.why
        return None if None in kinds else "unknown_to_ipam" if "unknown_to_ipam" in kinds else kinds[0]

    def _kind_of(self, key: UnitKey, row: _Row, now: Standing) -> DifferenceKind | None:
        pool_id, unit = key
        used = now.used.get(key)
        if used is not None and used.state == "reserved":
            return None if used.note == row.line.note else "reserved_otherwise"
        if used is not None and (used.available_at is None or used.available_at > self._at):
            return "held_otherwise"
        if covering(now.excluded.get(pool_id, ()), unit) is not None:
            return "unfit"
        if used is None and covering(now.drained.get(pool_id, ()), unit) is not None:
            return "unfit"
        return "unknown_to_ipam"

    def _is_given_twice(self, units: Sequence[UnitKey]) -> bool:
        names = self._given[units[0]] if len(units) == 1 else {}
        return len(names) > 1 and any(names.values())


def _parts(
    kinds: Iterable[tuple[_Row, DifferenceKind | None]],
) -> list[tuple[str, DifferenceKind, frozenset[Given]]]:
    """By name and kind; what is of none is no difference."""
    parts: dict[tuple[str, DifferenceKind], set[Given]] = {}
    for row, kind in kinds:
        if kind is not None:
            parts.setdefault((row.name, kind), set()).add(row.given)
    return [(name, kind, frozenset(given)) for (name, kind), given in parts.items()]


def _located(pools: PoolIndex, gives: GivenTo) -> Iterator[_Row]:
    """As an import reads them."""
    for name, all_given in gives.items():
        for given in sorted(all_given):
            attribute, value = given
            line = reply_line(0, Cells(NEEDED["radreply"][0], (name, attribute, ":=", value)))
            if line.faults or line.network is None:
                yield _Row(name, given, line)
            elif pools.is_outside(line.network):
                yield _Row(name, given, line, why="outside_pools")
            else:
                yield _Row(name, given, line, _units(pools, line))


def _units(pools: PoolIndex, line: ImportLine) -> list[UnitKey]:
    """None: it is no unit of the pool in which it lies."""
    try:
        found = pools.several(line) or [located for located in (pools.locate(line),) if located is not None]
    except ValueError:
        return []
    return [(pool.pool_id, first) for pool, first, last in found if first == last]
