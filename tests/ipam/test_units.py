"""Arithmetic on units, against sets of numbers."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.units import MOST_STRIPES, Interval, count, merge, stripes, subtract

INTERVALS = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda pair: (pair[0], sum(pair))), max_size=8
)


def numbers(intervals: list[Interval]) -> set[int]:
    return {number for first, last in intervals for number in range(first, last + 1)}


@given(INTERVALS)
@settings(max_examples=60)
def test_merging_keeps_the_numbers_in_few_separate_intervals(intervals: list[Interval]) -> None:
    merged = merge(intervals)

    assert numbers(merged) == numbers(intervals)
    assert count(merged) == len(numbers(intervals))
    assert all(after[0] > before[1] + 1 for before, after in itertools.pairwise(merged))


@given(INTERVALS, INTERVALS)
@settings(max_examples=60)
def test_subtracting_leaves_exactly_the_others(intervals: list[Interval], taken: list[Interval]) -> None:
    assert numbers(subtract(intervals, taken)) == numbers(intervals) - numbers(taken)


@given(INTERVALS)
@settings(max_examples=60)
def test_stripes_cover_free_space_once(intervals: list[Interval]) -> None:
    free = merge(intervals)

    cut = stripes(free)

    assert numbers(cut) == numbers(free)
    assert count(cut) == count(free)


def test_free_space_is_cut_according_to_its_size() -> None:
    assert stripes([]) == []
    assert stripes([(5, 5)]) == [(5, 5)]
    assert len(stripes([(1, 14)])) == 7
    assert len(stripes([(1, 254)])) == 15
    assert len(stripes([(0, 65_535)])) == MOST_STRIPES
    assert len(stripes([(0, 2**62 - 1)])) == MOST_STRIPES
    assert len(stripes([(2, 4094)], 8)) == 8
