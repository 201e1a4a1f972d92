"""What a campaign does next, from its terms, its counts and the time."""

from __future__ import annotations

from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acs.campaigns.pacing import Begin, Complete, Counts, Next, Stop, Terms, Wait, Window, what_is_next

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")
TERMS = Terms(canary=2, batch_size=10, most_failed_percent=20)
NIGHT = Window(time(23, 0), time(5, 0))


def decide(counts: Counts, terms: Terms = TERMS, *, pardoned: Counts | None = None, at: datetime = NOON) -> Next:
    return what_is_next(terms, counts, pardoned=pardoned or Counts(), at=at, zone=BERLIN)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (Counts(waiting=100), Begin(2)),
        (Counts(waiting=99, under_way=1), Begin(1)),
        (Counts(waiting=98, done=2), Begin(10)),
        (Counts(waiting=98, done=1, unreached=1), Begin(10)),
        (Counts(waiting=90, under_way=4, done=6), Begin(6)),
        (Counts(waiting=3, under_way=1, done=96), Begin(3)),
        (Counts(done=80, failed=10, unreached=5, skipped=5), Complete()),
        (Counts(), Complete()),
    ],
)
def test_it_begins_canaries_then_batches_until_every_cpe_has_ended(counts: Counts, expected: Next) -> None:
    assert decide(counts) == expected


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (Counts(waiting=98, under_way=1, done=1), "The first 2 CPEs are looked at before the others follow."),
        (Counts(waiting=88, under_way=10, done=2), "10 CPEs are under way, as many as may be at once."),
        (Counts(under_way=3, done=97), "3 CPEs are under way, none waits."),
    ],
)
def test_it_waits_for_those_under_way(counts: Counts, why: str) -> None:
    assert decide(counts) == Wait(why)


@pytest.mark.parametrize(
    ("counts", "why"),
    [
        (Counts(waiting=98, failed=2), "2 of 2 CPEs failed, which is more than 20 %."),
        (Counts(waiting=98, done=1, failed=1), "1 of 2 CPEs failed, which is more than 20 %."),
        (
            Counts(waiting=98, unreached=1, skipped=1),
            "None of the first 2 CPEs has come through, so the others were left alone.",
        ),
        (Counts(waiting=50, under_way=10, done=30, failed=10), "10 of 40 CPEs failed, which is more than 20 %."),
        (Counts(done=3, failed=1), "1 of 4 CPEs failed, which is more than 20 %."),
    ],
)
def test_it_stops_where_too_many_fail_or_no_canary_comes_through(counts: Counts, why: str) -> None:
    assert decide(counts) == Stop(why)


def test_a_rate_at_the_limit_is_no_reason_to_stop() -> None:
    assert decide(Counts(waiting=50, under_way=5, done=36, failed=9)) == Begin(5)


def test_without_canaries_the_first_fault_is_no_rate_yet() -> None:
    terms = Terms(canary=0, batch_size=10, most_failed_percent=20)
    assert decide(Counts(waiting=90, under_way=9, failed=1), terms) == Begin(1)
    assert decide(Counts(waiting=90, under_way=5, done=3, failed=2), terms) == Stop(
        "2 of 5 CPEs failed, which is more than 20 %."
    )
    assert decide(Counts(waiting=90, failed=1), terms) == Stop("1 of 1 CPEs failed, which is more than 20 %.")


def test_what_a_person_has_let_pass_is_not_held_against_it_again() -> None:
    stopped = Counts(waiting=98, failed=2)
    assert decide(stopped, pardoned=stopped) == Begin(10)
    assert decide(Counts(waiting=88, under_way=8, done=1, failed=3), pardoned=stopped) == Stop(
        "1 of 2 CPEs failed, which is more than 20 %."
    )


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        ("2026-11-26T12:00Z", Wait("Outside of its window 23:00-05:00, which opens at 2026-11-26 22:00 UTC.")),
        ("2026-11-26T21:59Z", Wait("Outside of its window 23:00-05:00, which opens at 2026-11-26 22:00 UTC.")),
        ("2026-11-26T22:00Z", Begin(2)),
        ("2026-11-27T03:59Z", Begin(2)),
        ("2026-11-27T04:00Z", Wait("Outside of its window 23:00-05:00, which opens at 2026-11-27 22:00 UTC.")),
        # The night of 25 October 2026 has an hour more: 23:00 of the 24th is UTC+2, 05:00 of the 25th UTC+1.
        ("2026-10-24T20:59Z", Wait("Outside of its window 23:00-05:00, which opens at 2026-10-24 21:00 UTC.")),
        ("2026-10-24T21:00Z", Begin(2)),
        ("2026-10-25T03:59Z", Begin(2)),
        ("2026-10-25T04:00Z", Wait("Outside of its window 23:00-05:00, which opens at 2026-10-25 22:00 UTC.")),
    ],
)
def test_a_window_is_told_by_the_isp_s_clock_and_goes_over_midnight(at: str, expected: Next) -> None:
    terms = Terms(canary=2, batch_size=10, most_failed_percent=20, window=NIGHT)
    assert decide(Counts(waiting=9), terms, at=datetime.fromisoformat(at)) == expected


def test_what_is_under_way_is_waited_for_outside_of_the_window_too() -> None:
    terms = Terms(canary=0, batch_size=10, most_failed_percent=20, window=NIGHT)
    assert decide(Counts(under_way=1), terms) == Wait("1 CPEs are under way, none waits.")


NUMBERS = st.integers(min_value=0, max_value=40)


@given(
    canary=st.integers(0, 5),
    batch_size=st.integers(1, 20),
    most=st.integers(0, 100),
    counts=st.builds(
        Counts, waiting=NUMBERS, under_way=NUMBERS, done=NUMBERS, failed=NUMBERS, unreached=NUMBERS, skipped=NUMBERS
    ),
)
def test_it_never_begins_more_than_it_may_and_never_idles_for_nothing(
    canary: int, batch_size: int, most: int, counts: Counts
) -> None:
    decided = decide(counts, Terms(canary=canary, batch_size=batch_size, most_failed_percent=most))
    match decided:
        case Begin(how_many):
            assert 0 < how_many <= counts.waiting
            assert counts.under_way + how_many <= max(batch_size, canary)
            assert counts.total - counts.waiting < canary or counts.ended >= canary
        case Wait():
            assert counts.under_way
        case Stop():
            assert counts.failed or not counts.done
        case Complete():
            assert not counts.waiting
            assert not counts.under_way
