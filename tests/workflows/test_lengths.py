"""Lengths of time in words, as a run's reason tells them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from workflows.lengths import in_words


@pytest.mark.parametrize(
    ("length", "told"),
    [
        (timedelta(days=14), "14 days"),
        (timedelta(hours=24), "1 day"),
        (timedelta(hours=36), "36 hours"),
        (timedelta(minutes=90), "90 minutes"),
        (timedelta(seconds=1), "1 second"),
    ],
)
def test_a_length_is_told_in_its_largest_whole_unit(length: timedelta, told: str) -> None:
    assert in_words(length) == told
