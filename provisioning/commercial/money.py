"""Money: whole minor units (cents) of an ISO 4217 currency; decimals only where people and the contract speak."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from babel.numbers import get_currency_precision, is_currency

from provisioning.intake import Faults

LARGEST_MINOR: Final = 10**15
"""Ten thousand times a thousand million: whatever is more was not meant."""


def as_amount(minor: int, currency: str) -> Decimal:
    """2550 EUR cents as 25.50, with as many places as the currency has (none for JPY, three for KWD)."""
    return Decimal(minor).scaleb(-get_currency_precision(currency))


def read_currency(faults: Faults, field: str, value: object) -> str:
    """An ISO 4217 code in capitals, such as EUR."""
    code = faults.line(field, value, longest=3)
    if code and not (code.isascii() and code.isupper() and is_currency(code)):
        faults.add(field, f"is no ISO 4217 currency such as EUR: {code}")
        return ""
    return code


def read_amount(faults: Faults, field: str, value: object, currency: str) -> int:
    """A positive amount that the currency can express, in its minor units. Floats are refused: 0.1 is not ten cents."""
    if not isinstance(value, Decimal) or not value.is_finite():
        faults.add(field, "is not a decimal amount")
        return 0
    minor = value.scaleb(get_currency_precision(currency))
    if not 0 < minor <= LARGEST_MINOR:
        faults.add(field, f"is not more than nothing, or beyond all measure: {value}")
        return 0
    if minor != minor.to_integral_value():
        faults.add(field, f"has more places than {currency} knows: {value}")
        return 0
    return int(minor)
