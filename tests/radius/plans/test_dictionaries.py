"""The table of facts says what the installed FreeRADIUS' own dictionaries say, entry by entry."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from radius.attributes import ATTRIBUTES, VENDORS, AttributeFact
from tests.support.freeradius import RADDB

FOLDER = Path("/usr/share/freeradius")
OUR_DICTIONARY = RADDB / "dictionary"
STANDARD = ("rfc2865", "rfc2866", "rfc2869", "rfc3162", "rfc3576", "rfc4818", "rfc5176", "freeradius.internal")
VENDOR_FILES = {
    "ADSL-Forum": "rfc4679",
    "Alcatel-Lucent-Service-Router": "alcatel.sr",
    "Cambium": "cambium",
    "ChilliSpot": "chillispot",
    "Cisco": "cisco",
    "ERX": "erx",
    "Huawei": "huawei",
    "Mikrotik": "mikrotik",
    "WISPr": "wispr",
    "ZTE": "zte",
}
TYPES = {
    "ipaddr": "ipv4",
    "ipv6addr": "ipv6",
    "ipv6prefix": "ipv6prefix",
    "string": "string",
    "octets": "octets",
    "integer": "integer",
    "date": "date",
}
OURS = {"ipv4route": "string", "ipv6route": "string"}
"""Types that are ours: what the RFCs say about a text of theirs."""
HIDDEN = {"User-Password": "octets"}
"""Text that nobody sees on the wire (RFC 2865 s5.2)."""


@dataclass
class Dictionary:
    """What one dictionary file defines: attributes by name as (number, type, tagged), vendors, names of values."""

    attributes: dict[str, tuple[int, str, bool]] = field(default_factory=dict)
    vendors: dict[str, int] = field(default_factory=dict)
    values: dict[str, dict[str, int]] = field(default_factory=dict)

    def read(self, file: Path) -> Dictionary:
        for line in file.read_text(encoding="utf-8").splitlines():
            match line.partition("#")[0].split():
                case ["VENDOR", vendor, number, *_]:
                    self.vendors[vendor] = int(number)
                case ["ATTRIBUTE", attribute, number, kind, *flags] if number.isdigit():
                    self.attributes.setdefault(attribute, (int(number), kind, "has_tag" in " ".join(flags)))
                case ["VALUE", attribute, value, number]:
                    self.values.setdefault(attribute, {})[value] = int(number, 0)
        return self


@pytest.fixture(scope="module")
def installed() -> dict[str | None, Dictionary]:
    """By vendor; None: the attributes of no vendor."""
    standard = Dictionary()
    for name in STANDARD:
        standard.read(FOLDER / f"dictionary.{name}")
    standard.read(OUR_DICTIONARY)
    return {
        None: standard,
        **{vendor: Dictionary().read(FOLDER / f"dictionary.{name}") for vendor, name in VENDOR_FILES.items()},
    }


def test_every_vendor_has_the_number_it_has_there(installed: dict[str | None, Dictionary]) -> None:
    assert {vendor: installed[vendor].vendors.get(vendor) for vendor in VENDORS} == dict(VENDORS)


@pytest.mark.parametrize("fact", ATTRIBUTES.values(), ids=lambda fact: fact.name)
def test_an_attribute_is_there_as_it_is_here(fact: AttributeFact, installed: dict[str | None, Dictionary]) -> None:
    dictionary = installed[fact.vendor]
    number, kind, tagged = dictionary.attributes[fact.name]
    # an item of the server's own has a number there and never leaves it
    assert fact.number in (number, None)
    assert OURS.get(fact.type, fact.type) == HIDDEN.get(fact.name, TYPES[kind.partition("[")[0]])
    assert fact.tagged == tagged
    known = dictionary.values.get(fact.name, {})
    assert set(fact.values.values()) <= set(known.values())
    if fact.place != "packet":  # what FreeRADIUS reads by name has its name; of the others the RFC's name is ours
        assert dict(fact.values).items() <= known.items()
