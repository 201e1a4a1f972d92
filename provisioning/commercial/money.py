"""Money as it is kept, whole minor units of an ISO 4217 currency, and as it is told, a Decimal with its decimals.

How many decimals a currency has is ISO 4217's word (list one), written down here: the table of a library of locales
follows daily use and changes with its releases, and what an amount in the database means must never change.

MoneyError
|-- CurrencyUnknown     no currency in use has this code
`-- AmountRefused       no amount of this currency is written so
"""

from __future__ import annotations

from decimal import Decimal

from provisioning.errors import ProvisioningError
from provisioning.intake import Faults

LARGEST_AMOUNT_MINOR = 10**15
"""More than any bill; sums of some thousands fit 64 bits, and a JSON number still holds it exactly (2^53)."""

SMALLEST_EXPONENT = -60  # an amount written with more decimals than that is a mistake, or meant to keep us busy

DECIMALS: dict[str, int] = {
    code: decimals
    for decimals, codes in {
        0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
        2: "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC"
        " CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR"
        " JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD"
        " NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN"
        " SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG",
        3: "BHD IQD JOD KWD LYD OMR TND",
        4: "CLF UYW",
    }.items()
    for code in codes.split()
}
"""Decimals by currency code. MGA and MRU are divided by five; ISO 4217 gives them two decimals all the same."""


class MoneyError(ProvisioningError):
    """The amount can't be meant."""

    code = "money.error"


class CurrencyUnknown(MoneyError):
    """No currency in use has this code."""

    code = "money.currency_unknown"

    def __init__(self, currency: object) -> None:
        self.currency = currency
        super().__init__(f"{currency} is no currency of ISO 4217; write a code in use, such as EUR.")


class AmountRefused(MoneyError):
    """No amount of this currency is written so."""

    code = "money.amount_refused"

    def __init__(self, amount: object, currency: str, reason: str) -> None:
        self.amount = amount
        self.currency = currency
        self.reason = reason
        super().__init__(f"{amount} {currency} {reason}.")


def decimals_of(currency: str) -> int:
    """How many decimals amounts of this currency have.

    Raises: CurrencyUnknown.
    """
    if not isinstance(currency, str) or currency not in DECIMALS:
        raise CurrencyUnknown(currency)
    return DECIMALS[currency]


def to_minor(amount: Decimal, currency: str) -> int:
    """The amount in minor units (cents, yen, fils), exactly: nothing is rounded.

    Raises: CurrencyUnknown, AmountRefused (no number, negative, too large, too many decimals).
    """
    decimals = decimals_of(currency)
    if not isinstance(amount, Decimal):
        raise AmountRefused(amount, currency, "is not a decimal number")
    _, digits, exponent = amount.as_tuple()
    if not isinstance(exponent, int):
        raise AmountRefused(amount, currency, "is not a number")
    if amount < 0:
        raise AmountRefused(amount, currency, "is negative")
    if amount > LARGEST_AMOUNT_MINOR:
        raise AmountRefused(amount, currency, "is more than any bill")
    if not amount:
        return 0
    if exponent < SMALLEST_EXPONENT:
        raise AmountRefused(amount, currency, _too_many(decimals))
    number, shift = int("".join(map(str, digits))), decimals + exponent
    minor, rest = (number * int(10**shift), 0) if shift >= 0 else divmod(number, int(10**-shift))
    if rest:
        raise AmountRefused(amount, currency, _too_many(decimals))
    if minor > LARGEST_AMOUNT_MINOR:
        raise AmountRefused(amount, currency, "is more than any bill")
    return minor


def to_decimal(minor: int, currency: str) -> Decimal:
    """The amount with exactly the currency's decimals: 4990 EUR is 49.90, 4990 JPY is 4990.

    Raises: CurrencyUnknown, AmountRefused (negative).
    """
    decimals = decimals_of(currency)
    if minor < 0:
        raise AmountRefused(minor, currency, "(in minor units) is negative")
    return Decimal((0, tuple(map(int, str(minor))), -decimals))


def in_words(minor: int, currency: str) -> str:
    """For a person: ``EUR 49.90``."""
    return f"{currency} {to_decimal(minor, currency)}"


def read_currency(faults: Faults, field: str, value: object) -> str:
    """A currency code as a request gives it; what is none goes to ``faults``."""
    code = faults.line(field, value)
    if code and code not in DECIMALS:
        faults.add(field, f"is no currency of ISO 4217: {code}")
    return code


def read_minor(faults: Faults, field: str, value: object) -> int:
    """An amount in minor units, 0 or more, as a request gives it; what is none goes to ``faults``."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= LARGEST_AMOUNT_MINOR:
        faults.add(field, "is not a whole number of minor units, 0 or more")
        return 0
    return value


def _too_many(decimals: int) -> str:
    return f"has more than {decimals} decimals" if decimals else "has decimals, and this currency has none"
