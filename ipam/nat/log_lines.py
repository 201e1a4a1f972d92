"""Lines of a box's log against what is known: what is new, what ended when, and who had one port at one time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Any

from ipam.addresses import format_address
from ipam.errors import Fault
from ipam.nat.meeting import PortSweep
from ipam.nat.rule_rows import told as told_at

Key = tuple[bytes, int, datetime]
"""An outside address, the first port of a block, and when it began."""
Ends = dict[Key, datetime]


@dataclass(frozen=True)
class BlockLine:
    """A block of ports as a log tells of it; with a ``row_id`` it is known already."""

    where: str
    source: str
    outside: bytes
    first_port: int
    last_port: int
    inside: bytes
    vrf_id: int
    began_at: datetime
    ended_at: datetime | None
    end_told: bool | None = None
    """As in ``NatBlock``."""
    row_id: int | None = None

    @property
    def key(self) -> Key:
        return self.outside, self.first_port, self.began_at

    @property
    def ports(self) -> tuple[str, bytes, int, int]:
        """Of which box: it has one subscriber at a time on them."""
        return self.source, self.outside, self.first_port, self.last_port

    @property
    def block(self) -> tuple[object, ...]:
        """All that is said of it but when it ended."""
        return *self.key, self.last_port, self.inside, self.vrf_id

    @property
    def for_no_time(self) -> bool:
        """It ended when it began, as logs in whole seconds have it: it was nobody's at any time."""
        return self.ended_at == self.began_at

    def has_told_end(self, assumed: Ends) -> bool:
        """Where nobody knows, an end is taken for one that was told unless it is just as it would be ``assumed``."""
        return self.ended_at not in {None, assumed.get(self.key)} if self.end_told is None else self.end_told

    def in_words(self) -> str:
        until = "on" if self.ended_at is None else f"to {told_at(self.ended_at)}"
        return f"{format_address(self.inside)}'s from {told_at(self.began_at)} {until} ({self.where})"


Before = Mapping[int | None, BlockLine]
"""What is known, by its ``row_id``."""


def folded(lines: Iterable[BlockLine]) -> tuple[list[BlockLine], list[BlockLine]]:
    """Each block once, and with its end where a line says it; one that ended twice is left as it is. Then those that
    were for no time, which are none of them."""
    by_block: dict[tuple[object, ...], dict[datetime | None, BlockLine]] = defaultdict(dict)
    for line in lines:
        by_block[line.block].setdefault(line.ended_at, line)
    blocks, for_no_time = list[BlockLine](), list[BlockLine]()
    for by_end in by_block.values():
        if len(by_end) > 1:
            by_end.pop(None, None)
        for line in by_end.values():
            (for_no_time if line.for_no_time else blocks).append(line)
    return blocks, for_no_time


def ends_by_next(lines: Iterable[BlockLine], rules: Sequence[Any]) -> Ends:
    """When a block had ended at the latest: its box gave its ports out anew, or a rule over them began before that."""
    of_ports: dict[tuple[str, bytes, int, int], set[datetime]] = defaultdict(set)
    for line in lines:
        of_ports[line.ports].add(line.began_at)
    ends: Ends = {}
    for (_, outside, first_port, _), begins in of_ports.items():
        over = [rule.since for rule in rules if rule.first_outside <= outside <= rule.last_outside]
        for began_at, next_at in pairwise(sorted(begins)):
            ends[outside, first_port, began_at] = next((at for at in over if began_at < at < next_at), next_at)
    return ends


def compared(
    lines: Iterable[BlockLine], known: Iterable[BlockLine], assumed: Ends
) -> tuple[list[BlockLine], list[BlockLine]]:
    """What is new, and what has ended as only these lines tell; what was said before isn't said again. An end that was
    only ``assumed`` gives way to the one that is told."""
    before_by_key = {line.key: line for line in known}
    new: list[BlockLine] = []
    ended: dict[int | None, BlockLine] = {}
    for line in lines:
        before = before_by_key.get(line.key)
        if before is None or before.block != line.block:
            new.append(line)
        elif line.ended_at is None or (line.ended_at == before.ended_at and before.end_told):
            continue
        elif before.row_id not in ended and (line.ended_at == before.ended_at or not before.has_told_end(assumed)):
            ended[before.row_id] = replace(line, source=before.source, row_id=before.row_id)
        else:
            new.append(line)
    return new, list(ended.values())


def reopened(known: Iterable[BlockLine], assumed: Ends) -> list[BlockLine]:
    """What is known, without the ends that were only assumed: a delayed line may say who had the ports before that."""
    return [line if line.has_told_end(assumed) else replace(line, ended_at=None) for line in known]


def nobodys(
    for_no_time: Iterable[BlockLine], told: Iterable[BlockLine], known: Iterable[BlockLine], assumed: Ends
) -> list[BlockLine]:
    """What is known without a told end, of which these lines say only that it was for no time; each is where it is
    told. Whoever had ended by it has its end no more."""
    nothing = {line.block: line.where for line in for_no_time}
    for line in told:
        nothing.pop(line.block, None)
    return [
        replace(line, where=nothing[line.block])
        for line in known
        if line.block in nothing and not line.has_told_end(assumed)
    ]


def with_ends(lines: Iterable[BlockLine], ends: Ends, before: Before, assumed: Ends) -> list[BlockLine]:
    """The lines, with one of ``ends`` where none was told. One that is known moves to a later time only where it is
    seen what had ended the block, as by ``assumed``: a rule that was dated back since then isn't."""

    def ended(line: BlockLine) -> BlockLine:
        end, was = ends.get(line.key), before.get(line.row_id)
        if was is not None and was.ended_at is not None:
            is_later = end is None or end > was.ended_at
            if end == was.ended_at or (is_later and was.ended_at != assumed.get(line.key)):
                return was
        return replace(line, ended_at=end, end_told=None if end is None else False)

    return [line if line.ended_at is not None else ended(line) for line in lines]


def lengthened(lines: Iterable[BlockLine], before: Before, gone: Iterable[BlockLine]) -> list[BlockLine]:
    """The lines; those that end later than ``before``, as what had ended them is ``gone``, are where that is told."""
    told = {line.ports: line.where for line in gone}

    def is_longer(line: BlockLine) -> bool:
        was = before.get(line.row_id)
        if was is None or was.ended_at is None:
            return False
        return line.ended_at is None or line.ended_at > was.ended_at

    return [replace(line, where=told[line.ports]) if line.ports in told and is_longer(line) else line for line in lines]


def clashes(lines: Iterable[BlockLine]) -> list[Fault]:
    """Two who had one port at one time: one of the logs is wrong."""
    in_time = sorted(lines, key=lambda each: each.began_at)
    by_ports = sorted(enumerate(in_time), key=lambda each: (each[1].outside, each[1].first_port, each[0]))
    places = {id(line): place for place, line in by_ports}
    sweep = PortSweep[BlockLine]()
    pairs = [sorted((place, places[id(met)]), reverse=True) for place, line in by_ports for met in sweep.met_by(line)]
    faults: list[Fault] = []
    for later, earlier in sorted(pairs):
        line, other = in_time[later], in_time[earlier]
        told, before = (line, other) if line.row_id is None else (other, line)
        ports = f"{format_address(told.outside)}:{told.first_port}-{told.last_port}"
        faults.append(Fault(told.where, f"{ports} was {before.in_words()}"))
    return faults
