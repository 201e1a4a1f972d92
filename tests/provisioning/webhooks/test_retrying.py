"""What an answer means, and how long until the next sending."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from provisioning.webhooks.retrying import LONGEST_REST, MOST_ATTEMPTS, delay_after, outcome_of, rest_of

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def test_delays_grow_threefold_to_half_a_day_and_differ_by_a_fifth() -> None:
    exact = [delay_after(attempts, lambda: 0.5) for attempts in range(1, MOST_ATTEMPTS)]
    assert exact[:4] == [timedelta(seconds=each) for each in (10, 30, 90, 270)]
    assert exact[-1] == timedelta(hours=12)
    assert timedelta(days=2.5) < sum(exact, timedelta()) < timedelta(days=3.5)
    assert delay_after(1, lambda: 0.0) == timedelta(seconds=8)
    assert delay_after(1, lambda: 1.0) == timedelta(seconds=12)


@pytest.mark.parametrize(
    ("header", "rest"),
    [
        ("30", timedelta(seconds=30)),
        ("Mon, 02 Mar 2026 09:02:00 GMT", timedelta(minutes=2)),
        ("Mon, 02 Mar 2026 08:00:00 GMT", None),
        ("0", None),
        ("-5", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("9" * 40, LONGEST_REST),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str | None, rest: timedelta | None) -> None:
    assert rest_of(header, now=NOW) == rest


def test_only_a_2xx_is_a_yes_and_only_429_and_503_can_ask_for_a_rest() -> None:
    assert [outcome_of(status, "60", now=NOW).why_not for status in (200, 202, 204)] == [None, None, None]
    rests = {status: outcome_of(status, "60", now=NOW).rest for status in (301, 400, 429, 500, 503)}
    assert [status for status, rest in rests.items() if rest] == [429, 503]
    assert outcome_of(410, None, now=NOW).gone and not outcome_of(404, None, now=NOW).gone
