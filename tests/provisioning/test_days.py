"""Where a day begins and ends, also on those on which clocks are turned."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from provisioning.days import begin_of, day_of, end_of


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("UTC", date(2026, 3, 29), datetime(2026, 3, 29, 0, tzinfo=UTC), 24),
        ("Europe/Berlin", date(2026, 3, 29), datetime(2026, 3, 28, 23, tzinfo=UTC), 23),
        ("Europe/Berlin", date(2026, 10, 25), datetime(2026, 10, 24, 22, tzinfo=UTC), 25),
        ("America/Havana", date(2026, 3, 8), datetime(2026, 3, 8, 5, tzinfo=UTC), 23),  # without a midnight: 01:00
        ("Pacific/Kiritimati", date(2026, 1, 2), datetime(2026, 1, 1, 10, tzinfo=UTC), 24),
    ],
)
def test_a_day_lasts_from_midnight_to_midnight_of_its_place(zone: str, day: date, begins: datetime, hours: int) -> None:
    there = ZoneInfo(zone)
    assert (begin_of(day, there), end_of(day, there)) == (begins, begins + timedelta(hours=hours))
    assert day_of(begins, there) == day == day_of(end_of(day, there) - timedelta(seconds=1), there)
    assert day_of(begins - timedelta(seconds=1), there) != day
