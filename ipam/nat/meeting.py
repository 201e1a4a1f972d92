"""Which blocks of ports had one port at one time, found without holding each against each."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

ON_AND_ON = datetime.max.replace(tzinfo=UTC)
"""When a block ends whose end no log has told."""


class PortsInTime(Protocol):
    """Ports of an outside address for a time; ``ended_at`` None: still."""

    @property
    def outside(self) -> bytes: ...
    @property
    def first_port(self) -> int: ...
    @property
    def last_port(self) -> int: ...
    @property
    def began_at(self) -> datetime: ...
    @property
    def ended_at(self) -> datetime | None: ...


Block = TypeVar("Block", bound=PortsInTime)


def end_of(block: PortsInTime) -> datetime:
    """Later than all else, where no log has told it."""
    return block.ended_at or ON_AND_ON


@dataclass
class PortSweep(Generic[Block]):
    """Is shown blocks by their outside address, first port and begin, in that order, and keeps of them what may still
    meet a later one: those that reach its ports.

    The cost is that of sorting them, and of what is found; where blocks don't meet, those with the same first port
    follow one another in time, so that whoever meets a new one is its neighbour.
    """

    _outside: bytes | None = None
    _port: int = 0
    _reaching: list[_SamePort[Block]] = field(default_factory=list)
    """The last one has the port of the block that was shown last."""

    def met_by(self, block: Block) -> Iterator[Block]:
        """Those shown before that had one of its ports at a time when it had them."""
        if block.outside != self._outside:
            self._outside, self._reaching = block.outside, [_SamePort()]
        elif block.first_port != self._port:
            kept = (each.reaching(block.first_port) for each in self._reaching)
            self._reaching = [*(each for each in kept if each.blocks), _SamePort()]
        self._port = block.first_port
        for each in self._reaching:
            yield from each.met_by(block)
        self._reaching[-1].add(block)


@dataclass
class _SamePort(Generic[Block]):
    """Blocks with the same first port, by their begin."""

    blocks: list[Block] = field(default_factory=list)
    begins: list[datetime] = field(default_factory=list)
    ended_by: list[datetime] = field(default_factory=list)
    """When each and all before it had ended."""
    reach: int = 65_535
    """All of them reach this port."""

    def add(self, block: Block) -> None:
        ended_by = max(self.ended_by[-1], end_of(block)) if self.ended_by else end_of(block)
        self.blocks.append(block)
        self.begins.append(block.began_at)
        self.ended_by.append(ended_by)
        self.reach = min(self.reach, block.last_port)

    def reaching(self, port: int) -> _SamePort[Block]:
        """Those of them that do."""
        if self.reach >= port:
            return self
        kept = _SamePort[Block]()
        for block in self.blocks:
            if block.last_port >= port:
                kept.add(block)
        return kept

    def met_by(self, block: Block) -> Iterator[Block]:
        """The latest first; all of them reach its ports."""
        at = bisect_left(self.begins, end_of(block))
        while at > 0 and self.ended_by[at - 1] > block.began_at:
            at -= 1
            if end_of(self.blocks[at]) > block.began_at:
                yield self.blocks[at]
