"""Why the sessions of a NAS are not closed at a word."""

from __future__ import annotations

import pytest

from radius import NasNotSilent


@pytest.mark.parametrize(
    ("is_heard", "sends_interims", "why"),
    [
        (True, True, "accounting comes from it, and what has missed three interims there is closed by itself"),
        (True, False, "it sends no interims, and has not been quiet for long enough to count as silent"),
        (False, True, "no session was open there when the worker looked last, or it has not looked for ten minutes"),
    ],
)
def test_of_a_nas_without_interims_nobody_says_that_its_sessions_close_by_themselves(
    is_heard: bool, sends_interims: bool, why: str
) -> None:
    refused = NasNotSilent("10.0.0.1", is_heard=is_heard, sends_interims=sends_interims)
    assert str(refused) == (f"The sessions at 10.0.0.1 are not closed: {why}. See `firstlight sessions guard`.")
