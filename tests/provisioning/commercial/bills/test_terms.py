"""Months: a term keeps its day."""

from __future__ import annotations

from datetime import date

from provisioning.commercial.bills.terms import months_later


def test_a_term_keeps_its_day_of_the_month() -> None:
    ends = [date(2026, 1, 31)]
    for _ in range(3):
        ends.append(months_later(ends[-1], 1, anchor_day=31))
    assert ends[1:] == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]
    assert months_later(date(2028, 1, 31), 1, anchor_day=31) == date(2028, 2, 29)
    assert months_later(date(2028, 2, 29), 12, anchor_day=29) == date(2029, 2, 28)
    assert months_later(date(2026, 2, 28), -1, anchor_day=31) == date(2026, 1, 31)
