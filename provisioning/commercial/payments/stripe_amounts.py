"""Amounts as Stripe counts them, which is not always as ISO 4217 does.

Source: docs.stripe.com/currencies, "Zero-decimal currencies", "Three-decimal currencies" and "Special cases": the króna
and the Uganda shilling have no small unit, but are written with two decimals that are always 00.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from provisioning.commercial.money import MoneyError, to_decimal, to_minor

NO_DECIMALS: Final = frozenset(
    ("BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "MGA", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF")
)
THREE_DECIMALS: Final = frozenset(("BHD", "JOD", "KWD", "OMR", "TND"))


def to_stripe(minor: int, currency: str) -> int:
    """Our minor units as Stripe's amount: 1250 EUR is 1250, 500 ISK is 50000.

    Raises: ValueError if Stripe can't take exactly this amount.
    """
    amount = to_decimal(minor, currency).scaleb(_decimals(currency))
    if amount != int(amount):
        raise ValueError(f"{to_decimal(minor, currency)} {currency} is finer than Stripe counts")
    if currency in THREE_DECIMALS and int(amount) % 10:
        raise ValueError(f"{to_decimal(minor, currency)} {currency} must end on a zero for the card networks")
    return int(amount)


def from_stripe(amount: int, currency: str) -> int:
    """Stripe's amount in our minor units.

    Raises: ValueError if the currency has no such small unit.
    """
    try:
        return to_minor(Decimal(amount).scaleb(-_decimals(currency)), currency)
    except MoneyError as exc:
        raise ValueError(str(exc)) from exc


def _decimals(currency: str) -> int:
    if currency in NO_DECIMALS:
        return 0
    return 3 if currency in THREE_DECIMALS else 2
