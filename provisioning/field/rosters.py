"""When a technician works: their week, their public holidays and their leave. Pure; days are those of their own zone.

A week is told as a person would: ``{"mon": ["08:00-12:00", "12:30-17:00"], ...}``. A day that isn't in it is free, and
the gap between two periods of a day is a break. ``24:00`` is the midnight that ends a day.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import holidays

from provisioning.days import begin_of, day_of, span
from provisioning.intake import Faults

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY_MINUTES = 24 * 60
USUAL_DAY = (8 * 60, 18 * 60)
"""What is offered of a technician whose week nobody has told: 8 to 18 o'clock, every day."""

_PERIOD = re.compile(r"([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-4]):([0-5]\d)")

Period = tuple[datetime, datetime]


@dataclass(frozen=True)
class Leave:
    """A time in which the technician isn't there."""

    starts_at: datetime
    ends_at: datetime
    reason: str


@dataclass(frozen=True)
class Roster:
    """When one technician works. ``week`` is None as long as nobody has told it."""

    week: Mapping[str, Sequence[str]] | None
    zone: ZoneInfo
    holidays: str | None = None
    leave: tuple[Leave, ...] = ()

    def periods(self, day: date) -> list[Period]:
        """From when to when they work on this day, in UTC, in order, without what lies in their leave."""
        return _less(self._planned(day), [(each.starts_at, each.ends_at) for each in self.leave])

    def holiday(self, day: date) -> str | None:
        """The public holiday that it is for them, by name."""
        return None if self.holidays is None else public_holidays(self.holidays, day.year).get(day)

    def is_away(self, starts_at: datetime, ends_at: datetime) -> bool:
        """Whether any of this time lies in their leave."""
        return any(away.starts_at < ends_at and starts_at < away.ends_at for away in self.leave)

    def refusal(self, starts_at: datetime, ends_at: datetime) -> str | None:
        """Why they can't be sent then, in words; None if they work all that time."""
        for away in self.leave:
            if away.starts_at < ends_at and starts_at < away.ends_at:
                return f"is away from {span(away.starts_at, away.ends_at)} ({away.reason})"
        day = day_of(starts_at, self.zone)
        if self.week is None:
            name = self.holiday(day)
            return None if name is None else f"has a public holiday on {day.isoformat()} ({name})"
        around = [day + timedelta(days=offset) for offset in range(-1, (ends_at - starts_at).days + 3)]
        working = _joined([period for each in around for period in self._planned(each)])
        if any(begins <= starts_at and ends_at <= ends for begins, ends in working):
            return None
        if (name := self.holiday(day)) is not None:
            return f"has a public holiday on {day.isoformat()} ({name})"
        if not (hours := self.week.get(WEEKDAYS[day.weekday()])):
            return f"doesn't work on {day:%A}s"
        return f"works {' and '.join(hours)} ({self.zone.key}) on {day:%A}s"

    def _planned(self, day: date) -> list[Period]:
        if self.holiday(day) is not None:
            return []
        if self.week is None:
            hours = [USUAL_DAY]
        else:
            hours = [_minutes(text) for text in self.week.get(WEEKDAYS[day.weekday()], ())]
        planned = [(_moment(day, begin, self.zone), _moment(day, end, self.zone)) for begin, end in hours]
        return [period for period in planned if period[0] < period[1]]  # the clocks may skip a whole one


@lru_cache(maxsize=256)
def public_holidays(calendar: str, year: int) -> dict[date, str]:
    """The public holidays of a country (``DE``) or a part of it (``DE-BY``) in one year, by day.

    Raises: NotImplementedError if nobody knows that calendar.
    """
    country, _, part = calendar.partition("-")
    return dict(holidays.country_holidays(country, subdiv=part or None, years=year).items())


def read_week(faults: Faults, week: object) -> dict[str, list[str]] | None:
    """A week in its plain form, or faults."""
    if week is None:
        return None
    if not isinstance(week, Mapping):
        faults.add("week", "is not a table of weekdays")
        return None
    plain: dict[str, list[str]] = {}
    for day, periods in week.items():
        if day not in WEEKDAYS:
            faults.add("week", f"{day} is none of {', '.join(WEEKDAYS)}")
        elif not isinstance(periods, list | tuple):
            faults.add(f"week.{day}", "is not a list of periods")
        elif periods:
            plain[day] = _read_day(faults, day, periods)
    return {day: plain[day] for day in WEEKDAYS if day in plain}


def read_zone(faults: Faults, zone: object) -> str | None:
    """An IANA time zone by its name, or a fault."""
    name = faults.optional_line("time_zone", zone, longest=64)
    if name is not None and name not in available_timezones():
        faults.add("time_zone", f"{name} is no time zone, as Europe/Berlin is one")
    return name


def read_holidays(faults: Faults, calendar: object) -> str | None:
    """Whose public holidays: a country's, or those of a part of it; or a fault."""
    name = faults.optional_line("holidays", calendar, longest=16)
    if name is not None:
        try:
            public_holidays(name, 2026)
        except (NotImplementedError, KeyError):
            faults.add("holidays", f"{name} is no calendar of public holidays that is known, as DE or DE-BY is one")
            return None
    return name


def _read_day(faults: Faults, day: str, periods: Sequence[object]) -> list[str]:
    read: list[tuple[int, int]] = []
    for period in periods:
        if not isinstance(period, str) or not _PERIOD.fullmatch(period.strip()):
            faults.add(f"week.{day}", f"{period} is no period, as 08:00-12:30 is one")
            continue
        begin, end = _minutes(period.strip())
        if not begin < end <= DAY_MINUTES:
            faults.add(f"week.{day}", f"{period} doesn't end after it begins")
        else:
            read.append((begin, end))
    read.sort()
    if any(later[0] < earlier[1] for earlier, later in pairwise(read)):
        faults.add(f"week.{day}", "has periods that overlap")
    return [f"{begin // 60:02}:{begin % 60:02}-{end // 60:02}:{end % 60:02}" for begin, end in read]


def _minutes(period: str) -> tuple[int, int]:
    found = _PERIOD.fullmatch(period)
    assert found is not None, "a week is kept in its plain form"
    hours = [int(part) for part in found.groups()]
    return hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]


def _moment(day: date, minutes: int, zone: ZoneInfo) -> datetime:
    if minutes == DAY_MINUTES:
        return begin_of(day + timedelta(days=1), zone)
    return datetime.combine(day, time(minutes // 60, minutes % 60), tzinfo=zone).astimezone(UTC)


def _joined(periods: Sequence[Period]) -> list[Period]:
    """Periods that touch are one: who works past midnight has no break there."""
    joined: list[Period] = []
    for begins, ends in sorted(periods):
        if joined and begins <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], ends))
        else:
            joined.append((begins, ends))
    return joined


def _less(periods: Sequence[Period], taken: Sequence[Period]) -> list[Period]:
    """What is left of these periods without those."""
    left = list(periods)
    for begins, ends in taken:
        cut = [((start, min(end, begins)), (max(start, ends), end)) for start, end in left]
        left = [part for pair in cut for part in pair if part[0] < part[1]]
    return left
