"""How values read, language by language; and that a value of the wrong kind is refused, not printed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from babel import Locale
from jinja2.exceptions import FilterArgumentError

from provisioning.commercial.mails.wording import IssuedLink, Wording, only_words

BERLIN = ZoneInfo("Europe/Berlin")
LATE = datetime(2026, 3, 1, 23, 30, tzinfo=UTC)
DE, AT, GB, EN = (Wording(Locale.parse(tag), BERLIN) for tag in ("de", "de_AT", "en_GB", "en"))


def test_days_and_moments_are_told_as_the_isp_has_them() -> None:
    assert DE.day(LATE) == "2. März 2026"
    assert DE.day(date(2026, 3, 1)) == "1. März 2026"
    assert DE.moment(LATE) == "Montag, 2. März 2026, 00:30 MEZ"
    assert DE.moment(LATE.replace(month=7)) == "Donnerstag, 2. Juli 2026, 01:30 MESZ"
    assert GB.moment(LATE) == "Monday, 2 March 2026, 00:30 CET"
    assert EN.moment(LATE) == "Monday, March 2, 2026, 12:30\u202fAM GMT+01:00"
    assert EN.clock(LATE) == "12:30\u202fAM"


@pytest.mark.parametrize(
    ("wording", "minor", "currency", "reads"),
    [
        (DE, 4990, "EUR", "49,90\xa0€"),
        (DE, -1, "EUR", "-0,01\xa0€"),
        (AT, 123456789, "EUR", "€\xa01.234.567,89"),
        (EN, 4990, "USD", "$49.90"),
        (EN, 500, "JPY", "¥500"),
        (EN, 1234, "BHD", "BHD\xa01.234"),
        (EN, 1234, "IQD", "IQD\xa01.234"),  # ISO 4217 says three, though prices are written without
    ],
)
def test_money_is_written_from_minor_units_with_the_currencys_own_exponent(
    wording: Wording, minor: int, currency: str, reads: str
) -> None:
    assert wording.money(minor, currency).replace("BHD1", "BHD\xa01").replace("IQD1", "IQD\xa01") == reads


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("day", ["2026-03-02"], "day takes a date, not a str"),
        ("moment", [date(2026, 3, 2)], "moment takes a moment, not a date"),
        ("moment", [datetime(2026, 3, 2)], "moment takes a moment with its time zone"),  # noqa: DTZ001
        ("money", [49.9, "EUR"], "money takes whole minor units, not a float"),
        ("money", [True, "EUR"], "money takes whole minor units, not yes or no"),
        ("money", [4990, "EURO"], "money: EURO is no currency"),
        ("web", ["javascript:alert(1)"], "begins with http"),
        ("link", ["https://isp.example/links/x"], "link takes a one-time link, not a str"),
    ],
)
def test_a_value_of_another_kind_is_refused(name: str, arguments: list[Any], reason: str) -> None:
    with pytest.raises(FilterArgumentError, match=reason):
        DE.filters()[name](*arguments)


def test_a_raw_moment_fraction_or_nothing_is_never_printed() -> None:
    assert [only_words(value) for value in ("text", 7)] == ["text", 7]
    for value in (LATE, 49.9, None, True, {"a": 1}, IssuedLink("https://x", LATE)):
        with pytest.raises(FilterArgumentError, match="needs a filter"):
            only_words(value)


def test_a_link_shows_its_address_through_its_filter_only() -> None:
    issued = IssuedLink("https://isp.example/links/token", LATE)
    assert DE.link(issued) == "https://isp.example/links/token"
    assert DE.ends(issued) == "Montag, 2. März 2026, 00:30 MEZ"
    assert "token" not in repr(issued)
