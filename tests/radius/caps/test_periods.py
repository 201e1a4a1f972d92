"""Billing months begin where the ISP is, and count the days in UTC that begin in them."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from radius.caps.periods import period_at

BERLIN, NEW_YORK, TOKYO = ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York"), ZoneInfo("Asia/Tokyo")


@pytest.mark.parametrize(
    ("moment", "zone", "billing_day", "begins", "ends", "first_day"),
    [
        ("2026-11-30T22:59", BERLIN, None, "2026-10-31T23:00", "2026-11-30T23:00", date(2026, 11, 1)),
        ("2026-11-30T23:00", BERLIN, None, "2026-11-30T23:00", "2026-12-31T23:00", date(2026, 12, 1)),
        # the clocks change within the month
        ("2026-10-20T12:00", BERLIN, None, "2026-09-30T22:00", "2026-10-31T23:00", date(2026, 10, 1)),
        ("2026-12-01T04:59", NEW_YORK, None, "2026-11-01T04:00", "2026-12-01T05:00", date(2026, 11, 2)),
        ("2026-12-01T05:00", NEW_YORK, None, "2026-12-01T05:00", "2027-01-01T05:00", date(2026, 12, 2)),
        ("2026-11-30T15:00", TOKYO, None, "2026-11-30T15:00", "2026-12-31T15:00", date(2026, 12, 1)),
        ("2026-11-16T00:00", ZoneInfo("UTC"), 17, "2026-10-17T00:00", "2026-11-17T00:00", date(2026, 10, 17)),
        # February has no 31st, and March has its own again
        ("2026-02-28T00:00", ZoneInfo("UTC"), 31, "2026-02-28T00:00", "2026-03-31T00:00", date(2026, 2, 28)),
        ("2026-01-05T00:00", ZoneInfo("UTC"), 31, "2025-12-31T00:00", "2026-01-31T00:00", date(2025, 12, 31)),
    ],
)
def test_a_billing_month_begins_at_midnight_of_its_day_where_the_isp_is(
    moment: str, zone: ZoneInfo, billing_day: int | None, begins: str, ends: str, first_day: date
) -> None:
    period = period_at(datetime.fromisoformat(moment).replace(tzinfo=UTC), zone, billing_day)
    shown = [f"{each:%Y-%m-%dT%H:%M}" for each in (period.begins, period.ends)]
    assert (*shown, period.first_day, period.billing_day) == (begins, ends, first_day, billing_day)
