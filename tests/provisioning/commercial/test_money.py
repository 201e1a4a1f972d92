"""Money and months: exact, or refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from provisioning.commercial.money import to_decimal, to_minor
from provisioning.commercial.terms import months_later


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("12.50", "EUR", 1250), ("500", "JPY", 500), ("5.124", "KWD", 5124), ("-1", "EUR", -100)],
)
def test_amounts_become_minor_units_and_come_back(amount: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(amount), currency) == minor
    assert to_decimal(minor, currency) == Decimal(amount)


def test_decimals_are_written_as_the_currency_has_them() -> None:
    assert (str(to_decimal(1250, "EUR")), str(to_decimal(500, "JPY"))) == ("12.50", "500")


@pytest.mark.parametrize(
    ("amount", "currency", "words"),
    [
        ("0.005", "EUR", "finer than EUR"),
        ("0.5", "JPY", "finer than JPY"),
        ("NaN", "EUR", "not a number"),
        ("1", "EU", "ISO"),
    ],
)
def test_nothing_is_rounded_or_guessed(amount: str, currency: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        to_minor(Decimal(amount), currency)


def test_a_term_keeps_its_day_of_the_month() -> None:
    ends = [date(2026, 1, 31)]
    for _ in range(3):
        ends.append(months_later(ends[-1], 1, anchor_day=31))
    assert ends[1:] == [date(2026, 2, 28), date(2026, 3, 31), date(2026, 4, 30)]
    assert months_later(date(2028, 1, 31), 1, anchor_day=31) == date(2028, 2, 29)
    assert months_later(date(2028, 2, 29), 12, anchor_day=29) == date(2029, 2, 28)
    assert months_later(date(2026, 2, 28), -1, anchor_day=31) == date(2026, 1, 31)
