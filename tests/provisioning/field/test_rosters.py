"""Working hours: weeks, breaks, holidays, leave, and clocks that change."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from provisioning.errors import InvalidRequest
from provisioning.field.rosters import Leave, Roster, public_holidays, read_holidays, read_week, read_zone
from provisioning.intake import Faults

BERLIN = ZoneInfo("Europe/Berlin")
WEEK = {"mon": ["08:00-12:00", "12:30-17:00"], "tue": ["22:00-24:00"], "wed": ["00:00-06:00"]}
MONDAY, TUESDAY = date(2026, 3, 2), date(2026, 3, 3)


def utc(day: int, hour: int, minute: int = 0, month: int = 3) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


def roster(**more: object) -> Roster:
    return Roster(**{"week": WEEK, "zone": BERLIN, **more})  # type: ignore[arg-type]


def test_a_day_has_the_periods_of_its_weekday_in_the_technicians_own_zone() -> None:
    assert roster().periods(MONDAY) == [(utc(2, 7), utc(2, 11)), (utc(2, 11, 30), utc(2, 16))]
    assert roster().periods(TUESDAY) == [(utc(3, 21), utc(3, 23))]
    assert roster().periods(date(2026, 3, 5)) == []


def test_a_technician_whose_week_nobody_told_is_offered_from_eight_to_eighteen_and_may_be_sent_at_any_hour() -> None:
    untold = roster(week=None)
    assert untold.periods(MONDAY) == [(utc(2, 7), utc(2, 17))]
    assert untold.refusal(utc(2, 2), utc(2, 3)) is None


def test_a_visit_lies_within_one_period_and_past_midnight_where_the_hours_go_on() -> None:
    assert roster().refusal(utc(2, 7), utc(2, 11)) is None
    assert roster().refusal(utc(3, 22), utc(4, 1)) is None
    across_the_break = roster().refusal(utc(2, 10), utc(2, 12))
    assert across_the_break == "works 08:00-12:00 and 12:30-17:00 (Europe/Berlin) on Mondays"
    assert roster().refusal(utc(6, 10), utc(6, 11)) == "doesn't work on Fridays"


def test_hours_are_those_of_the_wall_clock_on_the_day_when_the_clocks_change() -> None:
    sundays = roster(week={"sun": ["02:00-03:00", "08:00-10:00"]})
    assert sundays.periods(date(2026, 3, 29)) == [(utc(29, 6), utc(29, 8))]  # the hour from two to three isn't there
    assert sundays.periods(date(2026, 3, 22)) == [(utc(22, 1), utc(22, 2)), (utc(22, 7), utc(22, 9))]


def test_public_holidays_are_free_where_they_are_kept() -> None:
    epiphany = date(2026, 1, 6)
    assert roster(week={"tue": ["08:00-16:00"]}, holidays="DE-BY").periods(epiphany) == []
    assert len(roster(week={"tue": ["08:00-16:00"]}, holidays="DE-BE").periods(epiphany)) == 1
    refused = roster(week={"tue": ["08:00-16:00"]}, holidays="DE-BY").refusal(utc(6, 9, month=1), utc(6, 10, month=1))
    assert refused is not None and refused.startswith("has a public holiday on 2026-01-06 (")
    assert date(2026, 12, 25) in public_holidays("DE", 2026)


def test_leave_cuts_a_hole_into_a_day_and_says_why() -> None:
    away = roster(leave=(Leave(utc(2, 8), utc(2, 12), "dentist"),))
    assert away.periods(MONDAY) == [(utc(2, 7), utc(2, 8)), (utc(2, 12), utc(2, 16))]
    assert away.refusal(utc(2, 7), utc(2, 8, 1)) == "is away from 2026-03-02 08:00 to 2026-03-02 12:00 UTC (dentist)"
    assert away.refusal(utc(2, 7), utc(2, 8)) is None


def test_a_week_is_read_into_its_plain_form() -> None:
    faults = Faults("The plan")
    assert read_week(faults, {"tue": [], "mon": ["12:30 - 17:00", "08:00-12:00"]}) == {
        "mon": ["08:00-12:00", "12:30-17:00"]
    }
    assert read_zone(faults, "Europe/Berlin") == "Europe/Berlin"
    assert read_holidays(faults, "DE-BY") == "DE-BY"
    assert faults.count == 0


def test_every_fault_of_a_plan_is_named_at_once() -> None:
    faults = Faults("The plan")
    read_week(
        faults,
        {"mon": ["8-12"], "tue": ["12:00-08:00"], "wed": ["08:00-12:00", "11:00-13:00"], "someday": [], "fri": "x"},
    )
    read_zone(faults, "Berlin")
    read_holidays(faults, "ZZ")
    with pytest.raises(InvalidRequest) as refused:
        faults.refuse_if_any()
    assert [fault.field for fault in refused.value.faults] == [
        "week.mon",
        "week.tue",
        "week.wed",
        "week",
        "week.fri",
        "time_zone",
        "holidays",
    ]
