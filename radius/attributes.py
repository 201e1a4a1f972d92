"""The table of facts about RADIUS attributes (``attributes.toml``), read once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

ValueType = Literal["string", "octets", "integer", "ipv4", "ipv6", "ipv6prefix", "ipv4route", "ipv6route", "date"]
Place = Literal["check", "reply", "packet"]

MAX_INTEGER = 2**32 - 1
_VALUE_OCTETS, _VENDOR_VALUE_OCTETS = 253, 247


@dataclass(frozen=True)
class AttributeFact:
    """What is known about one attribute; ``attributes.toml`` explains each column."""

    name: str
    type: ValueType
    place: Place
    source: str
    number: int | None = None
    """None: it never leaves FreeRADIUS."""
    vendor: str | None = None
    secret: bool = False
    many: bool = False
    """An owner may have several values of it."""
    values: Mapping[str, int] = field(default_factory=dict)
    range: tuple[int, int] = (0, MAX_INTEGER)
    max_octets: int | None = None
    pattern: str | None = None
    form: str | None = None
    """What ``pattern`` matches, in words."""
    tagged: bool = False
    pool_of: str | None = None
    tells_rate: bool = False

    @property
    def value_octets(self) -> int:
        """How long a value may be: what its NAS takes, and never more than fits.

        RFC 2865 s5: type and length take two octets of 255; s5.26: the vendor's number, type and length take six more,
        and a tag one (RFC 2868 s3.1).
        """
        fits = (_VENDOR_VALUE_OCTETS if self.vendor else _VALUE_OCTETS) - self.tagged
        return fits if self.max_octets is None else min(fits, self.max_octets)


def _read() -> tuple[Mapping[str, int], Mapping[str, AttributeFact]]:
    text = resources.files(__package__).joinpath("attributes.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    facts = {name: _fact(name, columns) for name, columns in table["attributes"].items()}
    return MappingProxyType(table["vendors"]), MappingProxyType(facts)


def _fact(name: str, columns: dict[str, Any]) -> AttributeFact:
    bounds = {"range": tuple(columns["range"])} if "range" in columns else {}
    return AttributeFact(name=name, **{**columns, **bounds})


VENDORS, ATTRIBUTES = _read()
"""Vendor numbers (IANA private enterprise numbers) by name; attributes by name."""


def split_tag(attribute: str) -> tuple[str, str | None]:
    """The name and the tag of ``Name:1``, as FreeRADIUS writes a tagged attribute."""
    name, colon, tag = attribute.partition(":")
    return name, tag if colon else None


def fact_of(attribute: str) -> AttributeFact | None:
    """What is known of an attribute, with or without its tag; None for one we know nothing about."""
    return ATTRIBUTES.get(split_tag(attribute)[0])


def is_secret(attribute: str) -> bool:
    """True for an attribute whose value is never shown, and for one we know nothing about."""
    fact = fact_of(attribute)
    return fact is None or fact.secret


def single_valued() -> tuple[str, ...]:
    """Attributes of which FreeRADIUS must find one row an owner."""
    return tuple(name for name, fact in ATTRIBUTES.items() if fact.place != "packet" and not fact.many)
