"""Days are the ISP's: what is told as a day begins and ends at midnight where the ISP is, not in UTC.

So a term that is sold there at half past twelve at night begins on the day that customer and operator see on their
calendar, and a service that ends after its last day ends when that day is over for them. Moments stay moments. A
licence alone counts its days in UTC, since its key is proven where nobody knows the ISP's time zone.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

UTC_DAYS = ZoneInfo("UTC")
"""What the setting says as long as nobody sets it."""

_DAY_AND_TIME = re.compile(r"(\d{4}-\d\d-\d\d|\d{8})[Tt ]", re.ASCII)
"""How a moment begins; ``fromisoformat`` would take a digit between them, and read 202603021200Z as eight at night."""


def moment_in(text: str) -> datetime | None:
    """A moment in ISO 8601 with its zone, as JSON has it, too; None: it is none."""
    if not _DAY_AND_TIME.match(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else moment


def minute(moment: datetime) -> str:
    """A moment to the minute, in UTC, as every sentence tells it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def second(moment: datetime) -> str:
    """A moment to the second, in UTC: the same where more is to be known of it."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def span(begins: datetime, ends: datetime) -> str:
    """From one moment to another, to the minute, in UTC."""
    return f"{begins.astimezone(UTC):%Y-%m-%d %H:%M} to {minute(ends)}"


def day_of(moment: datetime, zone: ZoneInfo) -> date:
    """The day that it is there at this moment."""
    return moment.astimezone(zone).date()


def begin_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which this day begins there; where the clocks skip midnight, the first one that there is."""
    return datetime.combine(day, time(), tzinfo=zone).astimezone(UTC)


def end_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which this day is over there."""
    return begin_of(day + timedelta(days=1), zone)
