"""Terms in calendar months. A term that began on the 31st ends on the 31st, or on the last day of a shorter month."""

from __future__ import annotations

from datetime import date

from dateutil.relativedelta import relativedelta

LONGEST_TERM_MONTHS = 120


def months_later(day: date, months: int, *, anchor_day: int) -> date:
    """So many calendar months after ``day`` (or before), on the anchor's day of the month if that month has it.

    31 January, one month: 28 or 29 February; from there with the anchor 31, one month: 31 March.
    """
    return day + relativedelta(months=months, day=anchor_day)
