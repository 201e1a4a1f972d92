"""Where a day begins and ends, also on those on which clocks are turned."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from provisioning.days import begin_of, day_of, end_of, moment_in


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


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-02T21:14Z", datetime(2026, 3, 2, 21, 14, tzinfo=UTC)),
        ("2026-03-02T20:59:59.999Z", datetime(2026, 3, 2, 20, 59, 59, 999_000, tzinfo=UTC)),
        ("2026-03-02 22:14:00.724282+01:00", datetime(2026, 3, 2, 21, 14, 0, 724_282, tzinfo=UTC)),
        ("20260302T211400Z", datetime(2026, 3, 2, 21, 14, tzinfo=UTC)),
        *((text, None) for text in ("2026-03-02T21:14", "2026-03-02", "20260302", "1772485200", "", "yesterday")),
        *((text, None) for text in ("202603021200Z", "2026-03-02+01:00", "2026-02-30T12:00Z")),
    ],
)
def test_a_moment_is_read_as_json_has_it_and_not_without_its_zone(text: str, moment: datetime | None) -> None:
    assert moment_in(text) == moment
