"""Amounts: whole minor units in, the currency's own decimals out, and nothing is ever rounded."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from babel.numbers import get_currency_precision, is_currency
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provisioning.commercial.money import (
    DECIMALS,
    LARGEST_AMOUNT_MINOR,
    AmountRefused,
    CurrencyUnknown,
    in_words,
    read_currency,
    read_minor,
    to_decimal,
    to_minor,
)
from provisioning.errors import InvalidRequest
from provisioning.intake import Faults

CURRENCIES = st.sampled_from(sorted(DECIMALS))
MINOR = st.integers(0, LARGEST_AMOUNT_MINOR)
CUSTOMARY = set(["AFN", "ALL", "IQD", "IRR", "KPW", "LAK", "LBP", "MGA", "MMK", "RSD", "SOS", "SYP", "YER"])
"""Daily life, and with it Unicode's CLDR, has given up these currencies' subunits; ISO 4217 has not."""


@pytest.mark.parametrize(
    ("minor", "currency", "told"),
    [
        (4990, "EUR", "49.90"),
        (5, "EUR", "0.05"),
        (0, "EUR", "0.00"),
        (4990, "JPY", "4990"),
        (4990, "BHD", "4.990"),
        (4990, "CLF", "0.4990"),
        (LARGEST_AMOUNT_MINOR, "USD", "10000000000000.00"),
    ],
)
def test_an_amount_has_its_currencys_own_decimals(minor: int, currency: str, told: str) -> None:
    assert str(to_decimal(minor, currency)) == told
    assert to_minor(Decimal(told), currency) == minor
    assert in_words(minor, currency) == f"{currency} {told}"


@given(MINOR, CURRENCIES)
@settings(max_examples=150)
def test_there_and_back_is_the_same_amount_in_any_arithmetic(minor: int, currency: str) -> None:
    with localcontext() as context:
        context.prec = 3
        amount = to_decimal(minor, currency)
        assert to_minor(amount, currency) == minor
    assert -int(amount.as_tuple().exponent) == DECIMALS[currency]
    assert amount * 10 ** DECIMALS[currency] == minor


@given(st.decimals(), CURRENCIES)
@example(Decimal("NaN"), "EUR")
@example(Decimal("sNaN"), "EUR")
@example(Decimal("-Infinity"), "EUR")
@example(Decimal("1E+999999"), "EUR")
@example(Decimal("1E-999999"), "EUR")
@example(Decimal("0E+999999"), "EUR")
@example(Decimal("1.0000000000000000000000000000001"), "EUR")
@settings(max_examples=200)
def test_what_is_taken_is_exact_and_the_rest_is_refused(amount: Decimal, currency: str) -> None:
    try:
        minor = to_minor(amount, currency)
    except AmountRefused as error:
        finite = amount.is_finite()
        exact = finite and abs(amount) <= LARGEST_AMOUNT_MINOR and amount == round(amount, DECIMALS[currency])
        assert not exact or amount < 0 or amount * 10 ** DECIMALS[currency] > LARGEST_AMOUNT_MINOR
        assert str(error).startswith(f"{amount} {currency} ")
    else:
        assert to_decimal(minor, currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "reason"),
    [
        (Decimal("1.005"), "EUR", "1.005 EUR has more than 2 decimals."),
        (Decimal("10.5"), "JPY", "10.5 JPY has decimals, and this currency has none."),
        (Decimal("-0.01"), "EUR", "-0.01 EUR is negative."),
        (Decimal("NaN"), "EUR", "NaN EUR is not a number."),
        (Decimal(LARGEST_AMOUNT_MINOR), "EUR", f"{LARGEST_AMOUNT_MINOR} EUR is more than any bill."),
        (19.99, "EUR", "19.99 EUR is not a decimal number."),
    ],
)
def test_a_refusal_says_what_is_wrong(amount: Decimal, currency: str, reason: str) -> None:
    with pytest.raises(AmountRefused) as refused:
        to_minor(amount, currency)
    assert str(refused.value) == reason


@pytest.mark.parametrize("code", ["eur", "EURO", "", "DEM", "XXX", "XAU", None, 978])
def test_only_currencies_in_use_are_known(code: str) -> None:
    with pytest.raises(CurrencyUnknown):
        to_decimal(1, code)
    with pytest.raises(CurrencyUnknown):
        to_minor(Decimal(1), code)


def test_the_table_is_that_of_iso_4217_where_daily_life_agrees_with_it() -> None:
    assert all(is_currency(code) for code in DECIMALS)
    assert {code for code, decimals in DECIMALS.items() if get_currency_precision(code) != decimals} == CUSTOMARY


def test_a_request_is_told_every_fault() -> None:
    faults = Faults("The offer")
    assert (read_currency(faults, "currency", "EUR"), read_minor(faults, "price_minor", 0)) == ("EUR", 0)
    read_currency(faults, "currency", "DEM")
    for value in (-1, True, 1.5, "5", LARGEST_AMOUNT_MINOR + 1):
        assert read_minor(faults, "price_minor", value) == 0
    with pytest.raises(InvalidRequest) as refused:
        faults.refuse_if_any()
    assert [fault.field for fault in refused.value.faults] == ["currency"] + ["price_minor"] * 5
