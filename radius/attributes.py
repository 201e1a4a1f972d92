"""The table of facts about RADIUS attributes (``attributes.toml``), read once."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from types import MappingProxyType
from typing import Any, Literal

ValueType = Literal["string", "octets", "integer", "ipv4", "ipv6prefix", "ipv4route", "ipv6route", "date"]
Place = Literal["check", "reply", "packet"]


@dataclass(frozen=True)
class AttributeFact:
    """What is known about one attribute. ``number`` is None for one that never leaves FreeRADIUS."""

    name: str
    type: ValueType
    place: Place
    source: str
    number: int | None = None
    vendor: str | None = None
    secret: bool = False
    many: bool = False
    """An owner may have several values of it."""
    values: Mapping[str, int] = field(default_factory=dict)


def _read() -> tuple[Mapping[str, int], Mapping[str, AttributeFact]]:
    text = resources.files(__package__).joinpath("attributes.toml").read_text(encoding="utf-8")
    table: dict[str, Any] = tomllib.loads(text)
    facts = {name: AttributeFact(name=name, **columns) for name, columns in table["attributes"].items()}
    return MappingProxyType(table["vendors"]), MappingProxyType(facts)


VENDORS, ATTRIBUTES = _read()
"""Vendor numbers (IANA private enterprise numbers) by name; attributes by name."""


def is_secret(attribute: str) -> bool:
    """True for an attribute whose value is never shown, and for one we know nothing about."""
    fact = ATTRIBUTES.get(attribute)
    return fact is None or fact.secret


def single_valued() -> tuple[str, ...]:
    """Attributes of which FreeRADIUS must find one row an owner."""
    return tuple(name for name, fact in ATTRIBUTES.items() if fact.place != "packet" and not fact.many)
