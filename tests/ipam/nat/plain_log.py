"""What reading logs comes to, worked out from all that is known, as a model of what is read by windows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise

from ipam import LoggedBlock
from ipam.nat.rule_rows import told

Begins = tuple[str, int, datetime]


@dataclass(frozen=True)
class Row:
    """A block that is known, or one that is told."""

    block: LoggedBlock
    source: str
    where: str
    known: bool = False
    told: bool | None = None
    """Whether a log has told its end; None: it has none, or nobody knows."""

    @property
    def begins(self) -> Begins:
        return self.block.outside, self.block.first_port, self.block.began_at

    @property
    def said(self) -> LoggedBlock:
        return replace(self.block, ended_at=None)

    def ending(self, ended_at: datetime | None, *, told: bool | None = None) -> Row:
        return replace(self, block=replace(self.block, ended_at=ended_at), told=told)

    def is_told(self, assumed: datetime | None) -> bool:
        return self.block.ended_at not in {None, assumed} if self.told is None else self.told

    def meets(self, other: Row) -> bool:
        one, two = self.block, other.block
        return (
            one.outside == two.outside
            and one.first_port <= two.last_port
            and two.first_port <= one.last_port
            and (one.ended_at is None or two.began_at < one.ended_at)
            and (two.ended_at is None or one.began_at < two.ended_at)
        )


@dataclass
class PlainLog:
    """All blocks that are known; ``ruled``: of which address since when a rule held."""

    rows: list[Row] = field(default_factory=list)
    ruled: dict[str, datetime] = field(default_factory=dict)

    def read(self, blocks: Sequence[LoggedBlock], source: str) -> tuple[int, int] | list[str]:
        """How many are new and how many were ended by the next one; or all clashes, in which case nothing is kept."""
        lines = [
            Row(block, source, f"blocks.{number}", told=None if block.ended_at is None else True)
            for number, block in enumerate(blocks)
        ]
        assumed, new, ends_told = self._ends(self.rows), list[Row](), dict[Begins, Row]()
        before = {row.begins: row for row in self.rows}
        told_now, nothing = _folded(lines)
        gone = {row.begins for row in self.rows if row.said in nothing and not row.is_told(assumed.get(row.begins))}
        for line in told_now:
            was = before.get(line.begins)
            if was is None or was.said != line.said:
                new.append(line)
            elif line.block.ended_at is None or (line.block.ended_at == was.block.ended_at and was.told):
                continue
            elif line.begins not in ends_told and (
                line.block.ended_at == was.block.ended_at or not was.is_told(assumed.get(line.begins))
            ):
                ends_told[line.begins] = replace(was.ending(line.block.ended_at, told=True), where=line.where)
            else:
                new.append(line)
        standing = [*new]
        for row in self.rows:
            if row.begins not in gone:
                open_ = row if row.is_told(assumed.get(row.begins)) else row.ending(None)
                standing.append(ends_told.get(row.begins, open_))
        ends = self._ends(standing)
        standing = [self._ended(row, before.get(row.begins), ends.get(row.begins)) for row in standing]
        if clashes := [clash for nth, row in enumerate(standing) for clash in _clashes(row, standing[nth + 1 :])]:
            return sorted(clashes)
        by_next = [
            row
            for row in standing
            if row.told is False and (not row.known or row.block.ended_at != before[row.begins].block.ended_at)
        ]
        ended = [
            row
            for begins, row in ends_told.items()
            if before[begins].told is False or before[begins].block.ended_at != row.block.ended_at
        ]
        self.rows = [replace(row, known=True, where=f"a block imported from {row.source}") for row in standing]
        return len(new) + len(ended) + len(gone), len(by_next)

    def forget_who_told(self) -> None:
        """As a release before has kept it."""
        self.rows = [replace(row, told=None) for row in self.rows]

    @staticmethod
    def _ended(row: Row, was: Row | None, end: datetime | None) -> Row:
        if row.block.ended_at is not None:
            return row
        if row.known and was is not None and was.block.ended_at == end:
            return was
        return row.ending(end, told=None if end is None else False)

    def _ends(self, rows: Iterable[Row]) -> dict[Begins, datetime]:
        of_ports: dict[tuple[str, str, int, int], set[datetime]] = defaultdict(set)
        for row in rows:
            of_ports[row.source, row.block.outside, row.block.first_port, row.block.last_port].add(row.block.began_at)
        ends: dict[Begins, datetime] = {}
        for (_, outside, first_port, _), begins in of_ports.items():
            since = self.ruled.get(outside)
            for began_at, next_at in pairwise(sorted(begins)):
                ruled = since is not None and began_at < since < next_at
                ends[outside, first_port, began_at] = since if ruled and since is not None else next_at
        return ends


def _folded(lines: Iterable[Row]) -> tuple[list[Row], set[LoggedBlock]]:
    """Each block once; and of which nothing is said but that they ended when they began."""
    by_block: dict[LoggedBlock, dict[datetime | None, Row]] = defaultdict(dict)
    for line in lines:
        by_block[line.said].setdefault(line.block.ended_at, line)
    for by_end in by_block.values():
        if len(by_end) > 1:
            by_end.pop(None, None)
    blocks = [line for by_end in by_block.values() for line in by_end.values()]
    for_a_time = [line for line in blocks if line.block.ended_at != line.block.began_at]
    return for_a_time, {line.said for line in blocks} - {line.said for line in for_a_time}


def _clashes(row: Row, others: Iterable[Row]) -> list[str]:
    found = []
    for other in others:
        if row.meets(other):
            first, second = sorted((row, other), key=lambda each: each.block.began_at)
            line, before = (first, second) if second.known else (second, first)
            block, was = line.block, before.block
            until = "on" if was.ended_at is None else f"to {told(was.ended_at)}"
            ports = f"{block.outside}:{block.first_port}-{block.last_port}"
            found.append(f"{line.where}: {ports} was {was.inside}'s from {told(was.began_at)} {until} ({before.where})")
    return found
