"""Billing months: from which moment to which one a data cap counts.

A month begins at midnight where the ISP is, on the billing day of the subscription if that is known, else on the first.
Use is known by days in UTC (``radius.sessions.usage``). A day in UTC counts for the month in which it begins: what was
used between the month's begin there and the next midnight in UTC counts for neither month, and nothing counts twice.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class CapPeriod:
    """One billing month, from ``begins`` to just before ``ends``. ``billing_day`` None: it is the calendar's month."""

    begins: datetime
    ends: datetime
    billing_day: int | None

    @property
    def first_day(self) -> date:
        """The first day in UTC that begins within it."""
        day = self.begins.astimezone(UTC).date()
        return day if datetime.combine(day, time(), tzinfo=UTC) >= self.begins else day + timedelta(days=1)


def period_at(moment: datetime, zone: ZoneInfo, billing_day: int | None = None) -> CapPeriod:
    """The billing month of a moment. In a month that is too short for its billing day it begins on that month's last
    day.
    """
    today = moment.astimezone(zone).date()
    begins = _on(today.year, today.month, billing_day or 1)
    if begins > today:
        begins = _month_after(begins, -1, billing_day or 1)
    ends = _month_after(begins, 1, billing_day or 1)
    return CapPeriod(_midnight(begins, zone), _midnight(ends, zone), billing_day)


def _month_after(day: date, months: int, billing_day: int) -> date:
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    return _on(year, month + 1, billing_day)


def _on(year: int, month: int, billing_day: int) -> date:
    return date(year, month, min(billing_day, monthrange(year, month)[1]))


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)
