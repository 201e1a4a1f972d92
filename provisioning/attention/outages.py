"""Where lines are down: sessions that were lost at once, grouped by port, access node and BNG. Pure.

A place is down when at least half of those behind it have lost their session within the window. What is down as a whole
is told once: the BNG and not its access nodes, the access node and not its ports.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from ipam import Behind

LEAST_LOST = 3
"""One or two at a time come and go by themselves."""
LEAST_SHARE = 0.5

Level = Literal["port", "access_node", "bng"]


@dataclass(frozen=True)
class LostLine:
    """A line that has lost its session, and where it is."""

    username: str
    customer_id: int
    behind: Behind
    lost_at: datetime


@dataclass(frozen=True)
class Outage:
    """A place that is down: how many lines of how many, since when, and whose they are."""

    level: Level
    bng: str
    access_node: str | None
    port: str | None
    lost: int
    of: int
    since: datetime
    customers: frozenset[int]

    @property
    def where(self) -> str:
        """As an operator calls it."""
        if self.level == "bng":
            return f"BNG {self.bng}"
        node = f"access node {self.access_node} (BNG {self.bng})"
        return node if self.level == "access_node" else f"port {self.port} of {node}"

    def holds(self, behind: Behind) -> bool:
        """Whether a place lies in this one."""
        bng, node, port = behind
        return self.bng == bng and self.access_node in (None, node) and self.port in (None, port)


def outages(lost: Sequence[LostLine], behind: Mapping[Behind, int]) -> list[Outage]:
    """The places that are down, the largest first; ``behind`` says how many services there are behind each port."""
    found: list[Outage] = []
    for level, key, part in _LEVELS:
        of = _summed(behind, key)
        for place, lines in _grouped(lost, key).items():
            if any(each.holds(lines[0].behind) for each in found):
                continue
            is_whole = part is None or len({part(line.behind) for line in lines}) > 1
            if is_whole and _is_down(len(lines), of.get(place, len(lines))):
                found.append(_outage(level, lines, of.get(place, len(lines))))
    return sorted(found, key=lambda one: (-one.lost, one.where))


def outages_at_nases(lost: Mapping[str, Sequence[datetime]], still_open: Mapping[str, int]) -> list[Outage]:
    """The NASes that are down for those whose lines are nowhere in our access network: when each of them was lost, and
    how many sessions are still open there."""
    return [
        Outage("bng", name, None, None, len(times), len(times) + still_open.get(name, 0), min(times), frozenset())
        for name, times in sorted(lost.items())
        if _is_down(len(times), len(times) + still_open.get(name, 0))
    ]


def elsewhere(lost: Collection[LostLine], found: Sequence[Outage]) -> int:
    """How many of the lost lines are in none of these places."""
    return sum(not any(outage.holds(line.behind) for outage in found) for line in lost)


def _bng(behind: Behind) -> Hashable:
    return behind[0]


def _node(behind: Behind) -> Hashable:
    return behind[:2]


def _port(behind: Behind) -> Hashable:
    return behind


_LEVELS: tuple[tuple[Level, Callable[[Behind], Hashable], Callable[[Behind], Hashable] | None], ...] = (
    ("bng", _bng, _node),
    ("access_node", _node, _port),
    ("port", _port, None),
)
"""Each with that of which several must be hit, for the place to be down as a whole."""


def _is_down(lost: int, of: int) -> bool:
    return lost >= LEAST_LOST and lost >= LEAST_SHARE * of


def _grouped(lost: Sequence[LostLine], key: Callable[[Behind], Hashable]) -> dict[Hashable, list[LostLine]]:
    groups: dict[Hashable, list[LostLine]] = {}
    for line in lost:
        groups.setdefault(key(line.behind), []).append(line)
    return groups


def _summed(behind: Mapping[Behind, int], key: Callable[[Behind], Hashable]) -> dict[Hashable, int]:
    sums: dict[Hashable, int] = {}
    for place, count in behind.items():
        sums[key(place)] = sums.get(key(place), 0) + count
    return sums


def _outage(level: Level, lines: Sequence[LostLine], of: int) -> Outage:
    bng, node, port = lines[0].behind
    if port is None and level == "port":
        level = "access_node"  # nobody knows which port it is
    return Outage(
        level=level,
        bng=bng,
        access_node=None if level == "bng" else node,
        port=port if level == "port" else None,
        lost=len(lines),
        of=max(of, len(lines)),
        since=min(line.lost_at for line in lines),
        customers=frozenset(line.customer_id for line in lines),
    )
