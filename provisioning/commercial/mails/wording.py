"""How a value reads in a mail: each filter takes one kind of value, refuses every other, and writes it in the language.

========  ==============================================  =========================
filter    takes                                           reads
========  ==============================================  =========================
day       a date, or a moment (told as the ISP's date)    2. März 2026
moment    an aware moment                                 Montag, 2. März 2026, 10:00 MEZ
clock     an aware moment                                 12:00
money     whole minor units; its argument: the currency   49,90 €
web       an http(s) address                              as it is
link      a one-time link                                 its address
ends      a one-time link                                 the moment until which it opens
========  ==============================================  =========================

Whatever goes through no filter must be text or a whole number: a raw moment or fraction is a mistake of the template.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_time, get_datetime_format, get_timezone_gmt, get_timezone_name
from babel.numbers import format_currency, parse_pattern
from jinja2 import Undefined
from jinja2.exceptions import FilterArgumentError

from provisioning.commercial.money import DECIMALS

T = TypeVar("T")


@dataclass(frozen=True)
class IssuedLink:
    """A one-time link with its token: whoever has the address may use it, so it is in no repr."""

    url: str = field(repr=False)
    expires_at: datetime


@dataclass(frozen=True)
class Wording:
    """The filters of one language, in the ISP's time zone."""

    locale: Locale
    zone: ZoneInfo

    def filters(self) -> dict[str, Callable[..., str]]:
        names = ("day", "moment", "clock", "money", "web", "link", "ends")
        return {name: getattr(self, name) for name in names}

    def day(self, value: object) -> str:
        if isinstance(value, datetime):
            value = self._local(value, "day")
        return format_date(_only(value, date, "day", "a date"), "long", locale=self.locale)

    def weekday(self, value: object) -> str:
        """A day with its name; of pages, not of mails."""
        return format_date(self._local(value, "weekday"), "full", locale=self.locale)

    def moment(self, value: object) -> str:
        local = self._local(value, "moment")
        pattern = get_datetime_format("medium", locale=self.locale)
        time = f"{format_time(local, 'short', locale=self.locale)} {self._zone_name(local)}"
        return str(pattern).replace("{0}", time).replace("{1}", format_date(local, "full", locale=self.locale))

    def clock(self, value: object) -> str:
        return format_time(self._local(value, "clock"), "short", locale=self.locale)

    def money(self, minor: object, currency: object) -> str:
        """Of whole minor units (cents, fils) under ISO 4217's exponent of the currency."""
        if isinstance(minor, bool):
            raise FilterArgumentError("money takes whole minor units, not yes or no")
        units = _only(minor, int, "money", "whole minor units")
        code = _only(currency, str, "money", "a currency")
        if code not in DECIMALS:
            raise FilterArgumentError(f"money: {code} is no currency of ISO 4217")
        exponent = DECIMALS[code]
        pattern = parse_pattern(self.locale.currency_formats["standard"].pattern)
        pattern.frac_prec = (exponent, exponent)
        amount = Decimal(units).scaleb(-exponent)
        return format_currency(amount, code, format=pattern, locale=self.locale, currency_digits=False)

    def web(self, value: object) -> str:
        address = _only(value, str, "web", "a web address")
        if urlsplit(address).scheme not in ("http", "https"):
            raise FilterArgumentError("web takes an address that begins with http:// or https://")
        return address

    def link(self, value: object) -> str:
        return _only(value, IssuedLink, "link", "a one-time link").url

    def ends(self, value: object) -> str:
        return self.moment(_only(value, IssuedLink, "ends", "a one-time link").expires_at)

    def _local(self, value: object, name: str) -> datetime:
        aware = _only(value, datetime, name, "a moment")
        if aware.tzinfo is None:
            raise FilterArgumentError(f"{name} takes a moment with its time zone")
        return aware.astimezone(self.zone)

    def _zone_name(self, local: datetime) -> str:
        """MEZ where people say so, otherwise the offset."""
        short = get_timezone_name(local, "short", locale=self.locale)
        return short if short[:1].isalpha() else str(get_timezone_gmt(local, "long", locale=self.locale))


def only_words(value: Any) -> Any:
    """What a template prints without a filter."""
    if isinstance(value, Undefined) or (isinstance(value, str | int) and not isinstance(value, bool)):
        return value
    raise FilterArgumentError(f"a {type(value).__name__} is printed as it is; it needs a filter that says how it reads")


def _only(value: object, kind: type[T], name: str, what: str) -> T:
    if isinstance(value, Undefined):
        str(value)  # raises what StrictUndefined has to say
    if not isinstance(value, kind):
        raise FilterArgumentError(f"{name} takes {what}, not a {type(value).__name__}")
    return value
