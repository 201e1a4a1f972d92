"""What of a pool is never handed out: what the description of the network excludes, and what operators have by hand.

These are two layers, neither of which undoes the other: what lies in both is handed out when both have let go of it.
The table has each unit once, so that its rows can be counted: a row of both has the description's reason and the
operator's note.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ipam.allocation.carving import BY_HAND
from ipam.units import Interval, subtract, touching


@dataclass(frozen=True)
class Part:
    """Of one layer, and why: the reason of the description, or the note of who has excluded it by hand."""

    first: int
    last: int
    why: str

    @property
    def interval(self) -> Interval:
        return self.first, self.last


@dataclass(frozen=True)
class Excluded:
    """Units that are never handed out. ``note``: an operator's, who has excluded them by hand; ``reason``: the
    description's, or that they are excluded by hand alone."""

    first: int
    last: int
    reason: str
    note: str | None

    @property
    def interval(self) -> Interval:
        return self.first, self.last

    @property
    def is_described(self) -> bool:
        return self.reason != BY_HAND


def described_in(excluded: Iterable[Excluded]) -> list[Part]:
    """The description's layer, in as few parts as there can be."""
    return joined(Part(*each.interval, each.reason) for each in excluded if each.is_described)


def by_hand_in(excluded: Iterable[Excluded]) -> list[Part]:
    """The operators' layer, in as few parts as there can be."""
    return joined(Part(*each.interval, each.note) for each in excluded if each.note is not None)


def joined(parts: Iterable[Part]) -> list[Part]:
    """In their order, neighbours of one reason as one. None may overlap another."""
    found: list[Part] = []
    for part in sorted(parts, key=lambda each: each.first):
        if found and (found[-1].last + 1, found[-1].why) == (part.first, part.why):
            found[-1] = Part(found[-1].first, part.last, part.why)
        else:
            found.append(part)
    return found


def laid_over(described: Sequence[Part], by_hand: Sequence[Part]) -> list[Excluded]:
    """Both layers, each in its order, as the table has them: no two rows overlap."""
    notes = {each.interval: each.why for each in by_hand}
    out, kept = [each.interval for each in described], [each.interval for each in by_hand]
    rows: list[Excluded] = []
    for part in described:
        beneath = touching(kept, part.interval)
        for each in beneath:
            both = max(each[0], part.first), min(each[1], part.last)
            rows.append(Excluded(*both, part.why, notes[each]))
        rows += [Excluded(*alone, part.why, None) for alone in subtract([part.interval], beneath)]
    for part in by_hand:
        alone_by_hand = subtract([part.interval], touching(out, part.interval))
        rows += [Excluded(*alone, BY_HAND, part.why) for alone in alone_by_hand]
    return sorted(rows, key=lambda each: each.first)
