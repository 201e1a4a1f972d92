"""Amounts in minor units, as many as the currency has."""

from __future__ import annotations

from decimal import Decimal

import pytest

from provisioning.commercial.money import as_amount, read_amount, read_currency
from provisioning.errors import InvalidRequest
from provisioning.intake import Faults


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [("25.50", "EUR", 2550), ("25", "EUR", 2500), ("900", "JPY", 900), ("1.234", "KWD", 1234)],
)
def test_an_amount_is_kept_in_the_currencys_smallest_unit(amount: str, currency: str, minor: int) -> None:
    faults = Faults("The sum")
    assert read_amount(faults, "amount", Decimal(amount), currency) == minor
    faults.refuse_if_any()
    assert as_amount(minor, currency) == Decimal(amount)


def test_places_are_those_of_the_currency() -> None:
    assert [str(as_amount(2500, "EUR")), str(as_amount(900, "JPY"))] == ["25.00", "900"]


@pytest.mark.parametrize(
    "amount", [0.1, Decimal("0"), Decimal("-1"), Decimal("NaN"), Decimal("Infinity"), Decimal("0.001"), "1", None]
)
def test_what_is_no_amount_of_that_currency_is_a_fault(amount: object) -> None:
    faults = Faults("The sum")
    assert read_amount(faults, "amount", amount, "EUR") == 0
    with pytest.raises(InvalidRequest, match="The sum was refused, nothing was written: amount "):
        faults.refuse_if_any()


@pytest.mark.parametrize("code", ["eur", "EURO", "XX", "ZZZ", "", None, 978])
def test_what_is_no_currency_is_a_fault(code: object) -> None:
    faults = Faults("The sum")
    assert read_currency(faults, "currency", code) == ""
    with pytest.raises(InvalidRequest, match="currency"):
        faults.refuse_if_any()
