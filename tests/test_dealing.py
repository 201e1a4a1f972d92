"""In which order the processes of a test run get their tests."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import dealt


class Planned:
    """A test, as far as it is looked at."""

    def __init__(self, number: int, *, of_the_sweep: bool) -> None:
        self.number = number
        self.of_the_sweep = of_the_sweep

    def get_closest_marker(self, name: str) -> bool:
        return self.of_the_sweep and name == "durability_sweep"


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5])
def test_each_process_has_its_part_of_the_sweep_first(processes: int) -> None:
    planned: list[Any] = [Planned(number, of_the_sweep=number in range(40, 57)) for number in range(100)]
    order: list[Any] = list(dealt(planned, processes))
    counts = []
    assert sorted(each.number for each in order) == list(range(100))
    rest = order
    for left in range(processes, 0, -1):  # as xdist's WorkStealingScheduling gives them out
        share, rest = rest[: len(rest) // left], rest[len(rest) // left :]
        dear = [each.of_the_sweep for each in share]
        assert dear == sorted(dear, reverse=True)
        counts.append(sum(dear))
    assert max(counts) - min(counts) <= 1


def test_without_the_sweep_nothing_is_moved() -> None:
    planned: list[Any] = [Planned(number, of_the_sweep=False) for number in range(10)]
    assert dealt(planned, 3) == planned
