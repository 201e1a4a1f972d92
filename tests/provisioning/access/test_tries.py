"""Counting tries: the window moves, what is refused doesn't count, and the memory has an end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from provisioning.access.tries import Tries

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
WINDOW = timedelta(minutes=15)
SECOND = timedelta(seconds=1)


def test_the_window_moves_and_what_is_refused_does_not_count() -> None:
    tries = Tries(2, within=WINDOW)
    asked = [NOW, NOW + SECOND, NOW + 2 * SECOND, NOW + WINDOW, NOW + WINDOW]
    assert [tries.take("a", at=at) for at in asked] == [True, True, False, True, False]
    assert tries.take("b", at=NOW)
    assert tries.count("a", at=NOW + WINDOW) == 2


def test_one_try_can_be_given_back_and_a_key_be_cleared() -> None:
    tries = Tries(2, within=WINDOW)
    for at in (NOW, NOW + SECOND):
        tries.take("a", at=at)
    tries.give_back("a", at=NOW)
    tries.give_back("a", at=NOW + 5 * SECOND)  # there was none
    assert tries.count("a", at=NOW + SECOND) == 1
    tries.give_back("a", at=NOW + SECOND)
    assert len(tries) == 0
    tries.take("a", at=NOW)
    tries.clear("a")
    tries.clear("nothing")
    assert len(tries) == 0


def test_what_is_older_than_the_window_is_forgotten() -> None:
    tries = Tries(2, within=WINDOW)
    for number in range(50):
        tries.take(f"made up {number}", at=NOW)
    tries.take("kept", at=NOW + SECOND)
    assert len(tries) == 51
    tries.take("new", at=NOW + WINDOW)
    assert (len(tries), tries.count("kept", at=NOW + WINDOW)) == (2, 1)


def test_of_too_many_keys_the_one_that_was_tried_longest_ago_goes() -> None:
    tries = Tries(5, within=WINDOW, most_keys=3)
    for key in ("a", "b", "c", "a", "d"):
        tries.take(key, at=NOW)
    assert {key: tries.count(key, at=NOW) for key in "abcd"} == {"a": 2, "b": 0, "c": 1, "d": 1}
