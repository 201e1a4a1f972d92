"""Whose turn is next, of several queues."""

from __future__ import annotations

from acs.operations.ledger import in_turns


def test_each_queue_has_its_turn_until_they_are_empty_or_that_is_enough() -> None:
    assert in_turns([[1, 2, 3], [], [7, 8]], limit=9) == [1, 7, 2, 8, 3]
    assert in_turns([[1, 2, 3], [5], [7, 8]], limit=4) == [1, 5, 7, 2]
    assert in_turns([[], []], limit=4) == []
