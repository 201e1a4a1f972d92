"""Money as the database keeps it, whole minor units of an ISO 4217 currency, and as people write it."""

from __future__ import annotations

from decimal import Decimal
from functools import cache

from babel.numbers import get_currency_precision, list_currencies


def to_minor(amount: Decimal, currency: str) -> int:
    """12.50 EUR is 1250, 500 JPY is 500.

    Raises: ValueError if the currency has no such small unit, or isn't one; nothing is rounded.
    """
    decimals = _decimals(currency)
    if not amount.is_finite():
        raise ValueError("is not a number")
    shifted = amount.scaleb(decimals)
    minor = int(shifted)
    if shifted != minor:
        raise ValueError(f"is finer than {currency} has units: it has {decimals} decimals")
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """1250 EUR is 12.50, 500 JPY is 500.

    Raises: ValueError if the currency isn't one.
    """
    return Decimal(minor).scaleb(-_decimals(currency))


@cache
def _decimals(currency: str) -> int:
    if currency not in list_currencies():
        raise ValueError(f"{currency} is not a currency of ISO 4217")
    return get_currency_precision(currency)
