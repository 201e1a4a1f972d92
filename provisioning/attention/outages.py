"""Where lines are down: sessions that were lost at once, grouped by port, access node and BNG. Pure.

A place is down when at least half of those behind it have lost their session within the window. What is down as a whole
is told once: the BNG and not its access nodes, the access node and not its ports. Lines of an access node whose port
nobody knows are a place of their own, unless the whole access node is down.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from ipam import Behind
from workflows import RunSummary

WINDOW = timedelta(minutes=10)
LEAST_LOST = 3
"""One or two at a time come and go by themselves."""
LEAST_SHARE = 0.5

Level = Literal["port", "access_node", "bng"]
LEVELS: Mapping[Level, int] = {"bng": 1, "access_node": 2, "port": 3}
"""How many of BNG, access node and port name such a place. A BNG is down when several of its access nodes are hit, an
access node when several of its ports are."""
LINE_STEPS = frozenset(
    {
        "hand_over_line",
        "line_answer",
        "device_informed",
        "apply_device",
        "verify_device",
        "session_started",
        "disconnect_sessions",
        "request_resets",
        "see_resets",
        "take_line_off",
        "line_removed",
        "see_sessions_ended",
    }
)
"""They need the OLT, the line, the CPE behind it or its session: what a line that is down may hold."""
CountBehind = Callable[[Sequence[str | None], int], Awaitable[int]]


@dataclass(frozen=True)
class LostLine:
    """A line that has lost its session, and where it is."""

    username: str
    customer_id: int
    behind: Behind
    lost_at: datetime


@dataclass(frozen=True)
class Outage:
    """A place that is down: how many lines of how many, since when, and whose they are. Without ``port`` a level of
    ``port`` is all lines of the access node whose port nobody knows.
    """

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
        if self.level == "access_node":
            return node
        return f"lines of {node} whose port is not known" if self.port is None else f"port {self.port} of {node}"

    @property
    def is_down(self) -> str:
        """The same as a sentence begins."""
        several = self.level == "port" and self.port is None
        return f"{self.where[:1].upper()}{self.where[1:]} {'are' if several else 'is'} down"

    def holds(self, behind: Behind) -> bool:
        """Whether a place lies in this one."""
        depth = LEVELS[self.level]
        return behind[:depth] == (self.bng, self.access_node, self.port)[:depth]

    def may_hold(self, run: RunSummary) -> bool:
        """Whether it is plausible that this held run is held by nothing else: it is for somebody there, stopped where
        the line is needed, and not before the outage."""
        is_at_line = run.customer_id in self.customers and run.current_step in LINE_STEPS
        return is_at_line and run.updated_at >= self.since - WINDOW


async def outages(lost: Sequence[LostLine], count: CountBehind) -> list[Outage]:
    """The places that are down, the largest first. ``count`` says how many services there are behind a place, up to a
    number: more than twice what was lost need not be counted."""
    found: list[Outage] = []
    for level, depth in LEVELS.items():
        for place, lines in _grouped(lost, depth).items():
            if len(lines) < LEAST_LOST or any(each.holds(lines[0].behind) for each in found):
                continue
            parts = {line.behind[: depth + 1] for line in lines}
            if level != "port" and len(parts) == 1 and not (depth == 2 and lines[0].behind[2] is None):
                continue
            of = await count(place, int(len(lines) / LEAST_SHARE) + 1)
            if _is_down(len(lines), of):
                found.append(_outage(level, lines, of))
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


def _is_down(lost: int, of: int) -> bool:
    return lost >= LEAST_LOST and lost >= LEAST_SHARE * of


def _grouped(lost: Sequence[LostLine], depth: int) -> dict[tuple[str | None, ...], list[LostLine]]:
    groups: dict[tuple[str | None, ...], list[LostLine]] = {}
    for line in lost:
        groups.setdefault(line.behind[:depth], []).append(line)
    return groups


def _outage(level: Level, lines: Sequence[LostLine], of: int) -> Outage:
    bng, node, port = lines[0].behind
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
