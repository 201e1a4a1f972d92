"""Arithmetic on units: a pool counts what it hands out as whole numbers 0..span-1, and never looks at an address.

An *interval* is an inclusive pair ``(first, last)``. Everything here is pure, and what it
takes grows with the intervals, not with the size of the pool.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence

Interval = tuple[int, int]
UnitKey = tuple[int, int]
"""A pool's id and a unit of it."""

MOST_STRIPES = 64
FEWEST_STRIPES = 8
UNITS_PER_STRIPE = 16
VLAN_STRIPES = 8
"""Of the C-VLANs in an S-VLAN: there are thousands of such pools, each with a handful of writers."""


def merge(intervals: Iterable[Interval]) -> list[Interval]:
    """The same units as few, sorted, disjoint intervals; neighbours grow together."""
    merged: list[Interval] = []
    for first, last in sorted(intervals):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def subtract(intervals: Iterable[Interval], taken: Iterable[Interval]) -> list[Interval]:
    """What is left of ``intervals`` without ``taken``: one scan over both."""
    holes = merge(taken)
    left: list[Interval] = []
    begin = 0
    for interval_first, last in merge(intervals):
        first = interval_first
        while begin < len(holes) and holes[begin][1] < first:
            begin += 1
        at = begin
        while at < len(holes) and holes[at][0] <= last:
            if holes[at][0] > first:
                left.append((first, holes[at][0] - 1))
            first = holes[at][1] + 1
            at += 1
        begin = max(begin, at - 1)  # the last hole may reach into the next interval
        if first <= last:
            left.append((first, last))
    return left


def touching(intervals: Sequence[Interval], interval: Interval) -> Sequence[Interval]:
    """Those of merged ``intervals`` that have something of ``interval``, found without looking at the others."""
    begin = bisect_left(intervals, interval[0], key=lambda each: each[1])
    return intervals[begin : bisect_right(intervals, interval[1], key=lambda each: each[0])]


def intersect(intervals: Iterable[Interval], others: Iterable[Interval]) -> list[Interval]:
    """What is in both."""
    these = merge(intervals)
    return subtract(these, subtract(these, others))


def count(intervals: Iterable[Interval]) -> int:
    return sum(last - first + 1 for first, last in intervals)


def stripes(intervals: Sequence[Interval], most: int = MOST_STRIPES) -> list[Interval]:
    """Cut free space into about ``most`` stripes (fewer when there is little of it).

    So writers at the same time each find one of their own. With a single free interval every writer would wait for the
    commit of the one before it.
    """
    size = count(intervals)
    if not size:
        return []
    wanted = max(FEWEST_STRIPES, min(most, size // UNITS_PER_STRIPE))
    width = -(-size // wanted)
    return [
        (start, min(start + width - 1, last)) for first, last in intervals for start in range(first, last + 1, width)
    ]
