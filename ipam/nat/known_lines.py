"""What is known that has to do with lines of a log: read by its index, however much else is known.

Who had a block's first port is in the index, by time. Of each first port of an outside address no more is looked at
than the time in which the lines have something there, and the one block that was there before it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import CTE, ColumnElement, FromClause, and_, bindparam, column, func, or_, select, values
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.nat.log_lines import BlockLine, Key
from ipam.nat.meeting import ON_AND_ON
from ipam.tables import NatBlock, table_of

AT_ONCE = 500
"""So many blocks are asked for by one statement."""
QUIET = timedelta(hours=1)
"""So long nothing of an outside address may be told in a window: who asks for less would ask very often."""

_BLOCK = table_of(NatBlock)
_OTHER = _BLOCK.alias("other")
_Asked = TypeVar("_Asked")


async def known_around(
    db: AsyncSession, tenant_id: str, told: Sequence[BlockLine], rules: Sequence[Any]
) -> list[BlockLine]:
    """All that these lines of one source say again or meet, and what shows whether an end of that was only assumed:
    the next block of its ports."""
    known = _Known(db, tenant_id)
    await known.read_keys({line.key for line in told})
    nobodys = known.nobodys(told)
    reopened = await known.read_beside(nobodys, rules)
    fresh = await asyncio.to_thread(known.unsaid, told)
    for outside, windows in (await known.windows_of([*fresh, *reopened], {line.row_id for line in nobodys})).items():
        for window in windows:
            await known.read_window(outside, window)
    said = {(line.block, line.ended_at) for line in told}
    untold = [line for line in known.lines if not line.end_told and (line.block, line.ended_at) not in said]
    await known.read_next(untold, rules)
    return known.lines


@dataclass
class _Window:
    """A time, and between which ports something is told for part of it."""

    begins: datetime
    ends: datetime
    first_port: int
    last_port: int

    def takes(self, line: BlockLine, ends: datetime) -> bool:
        """Lines are taken as they begin."""
        if line.began_at - QUIET > self.ends:
            return False
        self.ends = max(self.ends, ends)
        self.first_port, self.last_port = min(self.first_port, line.first_port), max(self.last_port, line.last_port)
        return True


class _Known:
    """What was read so far, each row once."""

    def __init__(self, db: AsyncSession, tenant_id: str) -> None:
        self._db = db
        self._mine = _BLOCK.c.tenant_id == tenant_id
        self._other_mine = _OTHER.c.tenant_id == tenant_id
        self._is_postgresql = db.get_bind().dialect.name == "postgresql"
        self._by_id: dict[int, BlockLine] = {}

    @property
    def lines(self) -> list[BlockLine]:
        return list(self._by_id.values())

    def unsaid(self, told: Iterable[BlockLine]) -> list[BlockLine]:
        """What isn't known yet, with this end if with any. Of what is known otherwise the source is that of then."""
        before = {line.block: line for line in self._by_id.values()}
        fresh: list[BlockLine] = []
        for line in told:
            known = before.get(line.block)
            if not line.for_no_time and (known is None or line.ended_at not in {None, known.ended_at}):
                fresh.append(line if known is None else replace(line, source=known.source))
        return fresh

    def nobodys(self, told: Iterable[BlockLine]) -> list[BlockLine]:
        """What was for no time, as is told now: it may have ended others."""
        for_no_time = {line.block for line in told if line.for_no_time}
        return [line for line in self._by_id.values() if line.block in for_no_time]

    async def read_beside(self, nobodys: Sequence[BlockLine], rules: Sequence[Any]) -> list[BlockLine]:
        """The blocks of the same ports before and after these. Those before that may have ended by them have no end
        in what comes back: they go on to the next that was for a time."""
        await self._next_of(nobodys)
        begins = {(line.ports, line.began_at) for line in nobodys}
        since = {rule.since for rule in rules}
        return [
            replace(line, ended_at=None)
            for line in await self._next_of(nobodys, backwards=True)
            if not line.end_told and ((line.ports, line.ended_at) in begins or line.ended_at in since)
        ]

    async def read_keys(self, keys: Collection[Key]) -> None:
        """The blocks of that outside address and first port that began just then."""
        key = (_BLOCK.c.outside, _BLOCK.c.first_port, _BLOCK.c.began_at)
        for some in _in_parts(list(keys)):
            asked = self._asked([column.name for column in key], some)
            same = and_(*(column == asked.c[column.name] for column in key))  # SQLite looks for no tuple in its index
            await self._read(select(_BLOCK).join(asked, same).where(self._mine))

    async def windows_of(
        self, fresh: Sequence[BlockLine], nobodys: Collection[int | None]
    ) -> dict[bytes, list[_Window]]:
        """When something is told of each outside address; a block without an end ends with the next of its ports, but
        for the rows that were ``nobodys``."""
        begins: dict[tuple[str, bytes, int, int], list[datetime]] = defaultdict(list)
        for line in (*fresh, *(line for line in self._by_id.values() if line.row_id not in nobodys)):
            begins[line.ports].append(line.began_at)
        for of_ports in begins.values():
            of_ports.sort()
        last = [line for line in fresh if line.ended_at is None and begins[line.ports][-1] == line.began_at]
        for line in await self._next_of(last):
            if line.row_id not in nobodys:
                begins[line.ports].append(line.began_at)
        windows: dict[bytes, list[_Window]] = defaultdict(list)
        for line in sorted(fresh, key=lambda each: each.began_at):
            of_ports, of_address = begins[line.ports], windows[line.outside]
            after = bisect_right(of_ports, line.began_at)
            ends = line.ended_at or (of_ports[after] if after < len(of_ports) else ON_AND_ON)
            if not of_address or not of_address[-1].takes(line, ends):
                of_address.append(_Window(line.began_at, ends, line.first_port, line.last_port))
        return windows

    async def read_window(self, outside: bytes, window: _Window) -> None:
        """All blocks of these ports in this time. Of those that began before it only the last of a first port may reach
        into it: whoever had that port earlier gave it up to that one."""
        ports = self._first_ports(outside, window.last_port)
        here = (self._mine, _BLOCK.c.outside == outside, _BLOCK.c.last_port >= window.first_port)
        began_in_it = and_(_BLOCK.c.began_at >= window.begins, _BLOCK.c.began_at < window.ends)
        await self._read(select(_BLOCK).where(*here, _BLOCK.c.first_port.in_(select(ports.c.port)), began_in_it))
        before = (
            select(_OTHER.c.id)
            .where(
                self._other_mine,
                _OTHER.c.outside == outside,
                _OTHER.c.first_port == ports.c.port,
                _OTHER.c.began_at < window.begins,
            )
            .order_by(_OTHER.c.began_at.desc())
            .limit(1)
            .correlate(ports)
        ).scalar_subquery()
        reaches_in = or_(_BLOCK.c.ended_at.is_(None), _BLOCK.c.ended_at > window.begins)
        await self._read(select(_BLOCK).where(*here, _BLOCK.c.id.in_(select(before).select_from(ports)), reaches_in))

    async def read_next(self, lines: Sequence[BlockLine], rules: Sequence[Any]) -> None:
        """Of those that ended, the next one of their ports if it began then, or later where a rule began then."""
        ended = [(line, line.ended_at) for line in lines if line.ended_at is not None]
        await self.read_keys({(line.outside, line.first_port, at) for line, at in ended})
        since = {rule.since for rule in rules}
        await self._next_of([line for line, at in ended if at in since])

    async def _next_of(self, lines: Sequence[BlockLine], *, backwards: bool = False) -> list[BlockLine]:
        """The next blocks of the same ports from the same source; ``backwards``: those before."""
        found: list[BlockLine] = []
        began_at = _OTHER.c.began_at
        for some in _in_parts(lines):
            names = ("source", "outside", "first_port", "last_port", "began_at")
            asked = self._asked(names, [(*line.ports, line.began_at) for line in some])
            next_id = (
                select(_OTHER.c.id)
                .where(
                    self._other_mine,
                    *(_OTHER.c[name] == asked.c[name] for name in names[:-1]),
                    began_at < asked.c.began_at if backwards else began_at > asked.c.began_at,
                )
                .order_by(began_at.desc() if backwards else began_at)
                .limit(1)
                .correlate(asked)
            ).scalar_subquery()
            found += await self._read(
                select(_BLOCK).where(self._mine, _BLOCK.c.id.in_(select(next_id).select_from(asked)))
            )
        return found

    def _first_ports(self, outside: bytes, up_to: int) -> CTE:
        """Those that blocks of this address have or had, each once: jumping from one to the next in the index."""
        port = _OTHER.c.first_port
        here: tuple[ColumnElement[bool], ...] = (self._other_mine, _OTHER.c.outside == outside, port <= up_to)
        ports = select(func.min(port).label("port")).where(*here).cte("ports", recursive=True)
        following = select(func.min(port)).where(*here, port > ports.c.port).correlate(ports).scalar_subquery()
        return ports.union_all(select(following).where(ports.c.port.is_not(None)))

    def _asked(self, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> FromClause:
        """These rows as a table with columns like those of ``NatBlock``."""
        types = [(name, _BLOCK.c[name].type) for name in names]
        if not self._is_postgresql:
            return values(*(column(name, type_) for name, type_ in types), name="asked").data(rows).cte("asked")
        arrays = [
            bindparam(None, list(column_), type_=ARRAY(type_))
            for column_, (_, type_) in zip(zip(*rows, strict=True), types, strict=True)
        ]
        columns = [column(name, type_) for name, type_ in types]
        return func.unnest(*arrays).table_valued(*columns, name="asked").render_derived()

    async def _read(self, statement: Any) -> list[BlockLine]:
        found: list[BlockLine] = []
        for row in await self._db.execute(statement):
            where = f"a block imported from {row.source}"
            ports, times = (row.first_port, row.last_port), (row.began_at, row.ended_at, row.end_told)
            line = BlockLine(where, row.source, row.outside, *ports, row.inside, row.vrf_id, *times, row_id=row.id)
            found.append(self._by_id.setdefault(row.id, line))
        return found


def _in_parts(asked: Sequence[_Asked]) -> Iterator[Sequence[_Asked]]:
    return (asked[start : start + AT_ONCE] for start in range(0, len(asked), AT_ONCE))
