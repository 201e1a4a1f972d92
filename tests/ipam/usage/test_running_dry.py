"""How bad it is with a pool, without flutter, and when it will be full."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ipam.usage.running_dry import LEVELS, Level, Limits, days_left, level_of, shown, units_per_day
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
        ("exhausted", 1, "exhausted"),
        ("exhausted", 49, "exhausted"),
        ("exhausted", 50, "critical"),
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


@pytest.mark.parametrize(
    ("size", "kept", "free", "level"),
    [
        (6, 0, 1, "exhausted"),
        (6, 0, 2, "low"),
        (6, 0, 3, "ok"),
        (3, 0, 1, "exhausted"),
        (3, 0, 2, "ok"),
        (2, 0, 1, "exhausted"),
        (2, 0, 2, "ok"),
        (2, 1, 1, "ok"),
        (1, 0, 1, "ok"),
        (100, 96, 3, "exhausted"),
        (100, 96, 4, "critical"),
    ],
)
def test_a_small_pool_has_room_again_with_two_units_or_with_all_that_can_be_free(
    size: int, kept: int, free: int, level: Level
) -> None:
    assert level_of(size=size, free=free, before="exhausted", limits=LIMITS, kept=kept) == level


@pytest.mark.parametrize(
    ("size", "limits", "levels"),
    [
        (5, LIMITS, "1 low 2 low 1 low 2 low 3 ok 2 ok 3 ok 2 ok 1 low"),
        (10, LIMITS, "2 low 3 low 2 low 3 low 4 ok 3 ok 4 ok 3 ok 2 low"),
        (20, LIMITS, "1 critical 2 critical 1 critical 2 critical 3 low 2 low 1 critical"),
        (20, LIMITS, "4 low 5 low 4 low 6 ok 5 ok 6 ok 5 ok 4 low"),
        (14, Limits(100, 100, 3), "2 critical 3 critical 2 critical 4 ok 3 ok 4 ok 3 ok 2 critical"),
        (14, Limits(70, 70, 4), "4 critical 5 critical 4 critical 6 ok 5 ok 4 critical"),
        (4, Limits(50, 75, 1), "2 low 1 critical 2 critical 3 low 2 low 4 ok 3 ok"),
        (1000, LIMITS, "200 low 201 low 250 low 251 ok 250 ok 201 ok 200 low"),
    ],
)
def test_one_unit_that_comes_and_goes_changes_nothing_however_small_the_pool(
    size: int, limits: Limits, levels: str
) -> None:
    said = levels.split()
    level: Level = "ok"
    seen: list[str] = []
    for free in said[::2]:
        level = level_of(size=size, free=int(free), before=level, limits=limits)
        seen += [free, level]

    assert seen == said


@pytest.mark.parametrize(
    ("size", "kept", "limits"),
    [
        (2, 0, Limits(50, 95, 0)),
        (5, 0, Limits(80, 95, 5)),
        (1000, 0, Limits(3, 4, 0)),
        (100, 90, Limits(90, 92, 9)),
    ],
)
def test_a_pool_of_which_all_is_free_that_can_be_has_recovered_as_far_as_it_can(
    size: int, kept: int, limits: Limits
) -> None:
    fresh = level_of(size=size, free=size - kept, before="ok", limits=limits, kept=kept)

    again = [level_of(size=size, free=size - kept, before=before, limits=limits, kept=kept) for before in LEVELS]

    assert again == 4 * [fresh]


def test_a_pool_that_is_still_told_as_exhausted_is_shown_as_critical_when_a_unit_is_free() -> None:
    assert [shown(level, 1) for level in LEVELS] == ["ok", "low", "critical", "critical"]
    assert shown("exhausted", 0) == "exhausted"


@given(st.integers(1, 400), st.data(), st.sampled_from(LEVELS))
@settings(max_examples=80)
def test_looking_again_at_the_same_never_changes_the_level(size: int, data: st.DataObject, before: Level) -> None:
    warn = data.draw(st.integers(1, 100))
    limits = Limits(warn, data.draw(st.integers(warn, 100)), data.draw(st.integers(0, size)))
    kept = data.draw(st.integers(0, size))
    free = data.draw(st.integers(0, size - kept))

    once = level_of(size=size, free=free, before=before, limits=limits, kept=kept)

    assert level_of(size=size, free=free, before=once, limits=limits, kept=kept) == once
    assert once == "exhausted" or free > 0
    if before != "exhausted" or free == size - kept:
        assert (once == "exhausted") == (free == 0)


@given(st.integers(2, 20) | st.integers(2, 400), st.data(), st.sampled_from(LEVELS))
@settings(max_examples=300)
def test_after_a_crossing_one_unit_back_never_crosses_again(size: int, data: st.DataObject, before: Level) -> None:
    """But where that unit is the last one in use, for then nothing more could become free."""
    warn = data.draw(st.integers(1, 100))
    limits = Limits(warn, data.draw(st.integers(warn, 100)), data.draw(st.integers(0, size)))
    kept = data.draw(st.integers(0, size - 2))
    free, step = data.draw(st.integers(0, size - kept - 1)), data.draw(st.sampled_from([-1, 1]))
    assume(0 <= free + step < size - kept)
    looked = partial(level_of, size=size, limits=limits, kept=kept)

    once = looked(free=free, before=before)
    back = looked(free=free + step, before=once)

    if once != before:
        assert back != before
    assert looked(free=free, before=back) == back


@given(st.integers(1, 40), st.data())
@settings(max_examples=100)
def test_the_fewer_are_free_the_worse_it_is(size: int, data: st.DataObject) -> None:
    warn = data.draw(st.integers(1, 100))
    limits = Limits(warn, data.draw(st.integers(warn, 100)), data.draw(st.integers(0, size)))
    for before in LEVELS:
        levels = [level_of(size=size, free=free, before=before, limits=limits) for free in range(size + 1)]
        assert levels == sorted(levels, key=LEVELS.index, reverse=True)


def test_days_are_told_from_the_slope_when_there_is_one() -> None:
    now = STARTED_AT + timedelta(days=4)
    going = units_per_day(used_then=900, then=STARTED_AT, used_now=1000, now=now)
    coming = units_per_day(used_then=1000, then=STARTED_AT, used_now=900, now=now)

    assert (going, coming) == (25.0, -25.0)
    assert (days_left(900, going), days_left(900, coming), days_left(0, None)) == (36.0, None, 0.0)
    assert units_per_day(used_then=1, then=now - timedelta(minutes=59), used_now=9, now=now) is None
    assert days_left(900, None) is None
