"""Lanes of a day: what is free between the visits."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from provisioning.console.day_board import blocks_of
from provisioning.field import VisitRecord


def at(hour: int, minute: int = 0) -> datetime:
    return datetime(2026, 3, 2, hour, minute, tzinfo=UTC)


def visit(begins: datetime, ends: datetime, **more: Any) -> VisitRecord:
    return cast(VisitRecord, {"starts_at": begins, "ends_at": ends, "state": "booked", "outcome_at": None, **more})


def shown(*, periods: list[tuple[datetime, datetime]], visits: list[VisitRecord]) -> list[tuple[Any, ...]]:
    return [
        (f"{each.begins:%H:%M}", f"{each.ends:%H:%M}", each.visit is not None) for each in blocks_of(periods, visits)
    ]


def test_visits_and_what_they_leave_of_the_hours_stand_in_the_order_of_time() -> None:
    periods, visits = [(at(8), at(12)), (at(13), at(17))], [visit(at(14), at(15)), visit(at(9), at(10))]
    assert shown(periods=periods, visits=visits) == [
        ("08:00", "09:00", False),
        ("09:00", "10:00", True),
        ("10:00", "12:00", False),
        ("13:00", "14:00", False),
        ("14:00", "15:00", True),
        ("15:00", "17:00", False),
    ]


def test_a_visit_across_a_break_or_outside_the_hours_leaves_what_it_doesn_t_touch() -> None:
    periods, visits = [(at(8), at(12)), (at(13), at(17))], [visit(at(11), at(14)), visit(at(18), at(19))]
    assert shown(periods=periods, visits=visits) == [
        ("08:00", "11:00", False),
        ("11:00", "14:00", True),
        ("14:00", "17:00", False),
        ("18:00", "19:00", True),
    ]


def test_a_gap_that_nothing_fits_into_is_none() -> None:
    visits = [visit(at(8, 10), at(10)), visit(at(10, 10), at(11, 50))]
    assert shown(periods=[(at(8), at(12))], visits=visits) == [("08:10", "10:00", True), ("10:10", "11:50", True)]


def test_a_visit_in_vain_stays_in_its_place_and_takes_time_until_that_was_reported() -> None:
    told = visit(at(9), at(10), state="no_access", outcome_at=at(9, 20))
    known_before = visit(at(11), at(12), state="not_feasible", outcome_at=at(7))
    assert shown(periods=[(at(8), at(13))], visits=[told, known_before]) == [
        ("08:00", "09:00", False),
        ("09:00", "10:00", True),
        ("09:20", "11:00", False),
        ("11:00", "12:00", True),
        ("11:00", "13:00", False),
    ]


def test_somebody_who_is_not_there_has_nothing_free() -> None:
    assert shown(periods=[], visits=[]) == []
