"""How bad it is with a pool, without flutter, and when it will be full."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipam.usage.running_dry import LEVELS, Level, Limits, days_left, level_of, units_per_day
from tests.ipam.conftest import STARTED_AT

LIMITS = Limits(warn_percent=80, crit_percent=95, minimum_free=0)


@pytest.mark.parametrize(
    ("before", "free", "level"),
    [
        ("ok", 201, "ok"),
        ("ok", 200, "low"),
        ("low", 201, "low"),
        ("low", 250, "low"),
        ("low", 251, "ok"),
        ("low", 51, "low"),
        ("low", 50, "critical"),
        ("critical", 51, "critical"),
        ("critical", 100, "critical"),
        ("critical", 101, "low"),
        ("critical", 251, "ok"),
        ("critical", 0, "exhausted"),
        ("exhausted", 1, "critical"),
        ("exhausted", 101, "low"),
        ("exhausted", 600, "ok"),
    ],
)
def test_a_level_is_left_only_well_below_its_threshold(before: Level, free: int, level: Level) -> None:
    assert level_of(size=1000, free=free, before=before, limits=LIMITS) == level


@pytest.mark.parametrize(
    ("before", "free", "level"),
    [("ok", 100, "ok"), ("ok", 99, "critical"), ("critical", 104, "critical"), ("critical", 105, "ok")],
)
def test_fewer_than_the_least_that_must_be_free_is_critical(before: Level, free: int, level: Level) -> None:
    limits = Limits(warn_percent=100, crit_percent=100, minimum_free=100)

    assert level_of(size=1000, free=free, before=before, limits=limits) == level


@given(st.integers(1, 400), st.data(), st.sampled_from(LEVELS))
@settings(max_examples=80)
def test_looking_again_at_the_same_never_changes_the_level(size: int, data: st.DataObject, before: Level) -> None:
    warn = data.draw(st.integers(1, 100))
    limits = Limits(warn, data.draw(st.integers(warn, 100)), data.draw(st.integers(0, size)))
    free = data.draw(st.integers(0, size))

    once = level_of(size=size, free=free, before=before, limits=limits)

    assert level_of(size=size, free=free, before=once, limits=limits) == once
    assert (once == "exhausted") == (free == 0)


def test_days_are_told_from_the_slope_when_there_is_one() -> None:
    now = STARTED_AT + timedelta(days=4)
    going = units_per_day(used_then=900, then=STARTED_AT, used_now=1000, now=now)
    coming = units_per_day(used_then=1000, then=STARTED_AT, used_now=900, now=now)

    assert (going, coming) == (25.0, -25.0)
    assert (days_left(900, going), days_left(900, coming), days_left(0, None)) == (36.0, None, 0.0)
    assert units_per_day(used_then=1, then=now - timedelta(minutes=59), used_now=9, now=now) is None
    assert days_left(900, None) is None
