"""The one writer of attribute values: what goes in is what the NAS gets, or it is refused.

FreeRADIUS 3.2 does things to a value it reads from SQL that nobody who writes one expects. In back-ticks it is
*expanded*, which runs SQL (and programs, where exec or echo is loaded) in the server's name; in ' or " it silently
loses its quotes; a backslash starts an escape (``a\\101b`` reaches the NAS as ``aAb``). An attribute of an unknown
name is dropped without a word, and a value that does not parse rejects the subscriber, or everybody on the plan. All
of it was measured on 3.2.1; ``tests/radius/test_encoder.py`` shows that what passes here reaches a NAS unchanged.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from radius.attributes import ATTRIBUTES, AttributeFact, is_secret
from radius.errors import AddressConflict, AttributeUnknown, UsernameRefused, ValueRefused

MAX_VALUE_BYTES = 253
"""RFC 2865 s5: one octet of type, one of length, and the value, within 255."""

Value = str | int | datetime | IPv4Address | IPv6Network

_USERNAME = re.compile(r"[A-Za-z0-9@._:/-]{1,128}")

_ADDRESS_OR_POOL = ("Framed-IP-Address", "Framed-Pool")
_USER_CHOOSES, _NAS_CHOOSES = IPv4Address("255.255.255.255"), IPv4Address("255.255.255.254")


_ROUTES: dict[str, tuple[type[IPv4Network | IPv6Network], type[IPv4Address | IPv6Address], str]] = {
    "ipv4route": (IPv4Network, IPv4Address, "198.51.100.8/29 0.0.0.0 1"),
    "ipv6route": (IPv6Network, IPv6Address, "2001:db8:ff00::/48 :: 1"),
}


@dataclass(frozen=True, repr=False)
class EncodedAttribute:
    """An attribute as it may stand in a FreeRADIUS table, proven. Secret values don't show in its repr."""

    attribute: str
    value: str

    def __repr__(self) -> str:
        shown = "***" if is_secret(self.attribute) else repr(self.value)
        return f"EncodedAttribute({self.attribute} {shown})"


def encode(attribute: str, value: Value, *, place: Literal["check", "reply"]) -> EncodedAttribute:
    """One attribute for a check or a reply table.

    Raises:
        AttributeUnknown: the table of facts has no such attribute for that place.
        ValueRefused: it is not of the attribute's type, or FreeRADIUS would not hand it on as it is.
    """
    fact = ATTRIBUTES.get(attribute)
    if fact is None or fact.place != place:
        raise AttributeUnknown(attribute, place)
    text = _as_text(fact, value)
    refuse_mangled(attribute, text)
    return EncodedAttribute(attribute, text)


def encode_reply(username: str, items: Iterable[tuple[str, Value]]) -> tuple[EncodedAttribute, ...]:
    """All reply attributes of one subscriber or plan, which must also agree with each other.

    Raises:
        AddressConflict: an IPv4 address and a pool.
        ValueRefused: twice the same attribute, or the same value of one that may have several.
    """
    encoded = tuple(encode(name, value, place="reply") for name, value in items)
    names = [item.attribute for item in encoded]
    for item in encoded:
        if names.count(item.attribute) > 1 and not ATTRIBUTES[item.attribute].many:
            raise ValueRefused(item.attribute, "it can have one value only and was given several")
        if encoded.count(item) > 1:
            raise ValueRefused(item.attribute, "it was given the same value twice")
    if all(name in names for name in _ADDRESS_OR_POOL):
        raise AddressConflict(username, _ADDRESS_OR_POOL)
    return encoded


def safe_username(username: str) -> str:
    """The name itself, when FreeRADIUS looks up exactly what a subscriber types (its ``safe_characters``).

    Raises:
        UsernameRefused
    """
    if not _USERNAME.fullmatch(username):
        raise UsernameRefused(username)
    return username


def refuse_mangled(attribute: str, text: str) -> None:
    """Raise ``ValueRefused`` for a text that FreeRADIUS would expand, change or cut; the message leaves it out."""
    reason = _mangled(text)
    if reason:
        raise ValueRefused(attribute, reason)


def _mangled(text: str) -> str | None:
    if not text:
        return "it is empty"
    if text[0] in "'\"`":
        return f"it begins with {text[0]}, which FreeRADIUS takes as a quote and interprets"
    if text != text.strip():
        return "it begins or ends with white space, which nobody sees"
    if "\\" in text:
        return "it holds a backslash, which FreeRADIUS takes as an escape"
    if "%{" in text:
        return "it holds %{, which some FreeRADIUS servers expand"
    return _unsendable(text)


def _unsendable(text: str) -> str | None:
    try:
        size = len(text.encode("utf-8"))
    except UnicodeEncodeError:
        return "it is not text"
    if not text.isprintable():
        return "it holds a character that nobody can see"
    return f"it has {size} bytes, and {MAX_VALUE_BYTES} fit into an attribute" if size > MAX_VALUE_BYTES else None


def _as_text(fact: AttributeFact, value: Value) -> str:
    if fact.values:
        return _named(fact, value)
    match fact.type:
        case "string":
            return _string(fact, value)
        case "integer":
            return _integer(fact, value)
        case "ipv4":
            return _ipv4(fact, value)
        case "ipv6prefix":
            return _ipv6prefix(fact, value)
        case "ipv4route" | "ipv6route":
            return _route(fact, value)
        case "date":
            return _date(fact, value)
        case "octets":
            raise ValueRefused(fact.name, "values of type octets are not written")


def _named(fact: AttributeFact, value: Value) -> str:
    if isinstance(value, str) and value in fact.values:
        return value
    raise ValueRefused(fact.name, f"only {', '.join(fact.values)} may be written")


def _string(fact: AttributeFact, value: Value) -> str:
    if isinstance(value, str):
        return value
    raise ValueRefused(fact.name, "it must be text")


def _integer(fact: AttributeFact, value: Value) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**32:
        return str(value)
    raise ValueRefused(fact.name, "it must be a whole number from 0 to 4294967295")


def _ipv4(fact: AttributeFact, value: Value) -> str:
    try:
        address = IPv4Address(value) if isinstance(value, str | IPv4Address) else None
    except ValueError:
        address = None
    if address is None:
        raise ValueRefused(fact.name, "it must be an IPv4 address such as 198.51.100.7")
    if fact.name == "Framed-IP-Address" and address in (_USER_CHOOSES, _NAS_CHOOSES):
        raise ValueRefused(fact.name, f"{address} does not name an address (RFC 2865 s5.8)")
    return str(address)


def _ipv6prefix(fact: AttributeFact, value: Value) -> str:
    try:
        # str() first: only a text with its length says what was meant
        text = str(value) if isinstance(value, str | IPv6Network) else ""
        # a zone (fe80::%eth0) means something on one machine only
        prefix = IPv6Network(text) if "/" in text and "%" not in text else None
    except ValueError:
        prefix = None
    if prefix is None:
        raise ValueRefused(fact.name, "it must be an IPv6 prefix such as 2001:db8:7::/56 with no bits set behind it")
    return str(prefix)


def _route(fact: AttributeFact, value: Value) -> str:
    """Prefix, gateway and metric, as both RFCs recommend to write them; 0.0.0.0 or :: is the line's own address."""
    network, address, example = _ROUTES[fact.type]
    try:
        prefix, gateway, metric = value.split(" ") if isinstance(value, str) and value.isascii() else ("", "", "")
        # a prefix without its length, or a zone, is not what was meant
        plain = "/" in prefix and "%" not in prefix + gateway and re.fullmatch(r"[1-9][0-9]{0,4}", metric)
        if plain and prefix.rpartition("/")[2].isdigit():
            return f"{network(prefix)} {address(gateway)} {metric}"
    except ValueError:
        pass
    raise ValueRefused(fact.name, f"it must be a prefix, a gateway and a metric of one family, such as {example}")


def _date(fact: AttributeFact, value: Value) -> str:
    """Seconds since 1970: FreeRADIUS reads a written date in its own time zone, a number everywhere alike."""
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueRefused(fact.name, "it must be a time with its zone")
    seconds = int(value.timestamp())
    if not 0 < seconds < 2**32:
        raise ValueRefused(fact.name, "it lies outside of what RADIUS can say (1970 to 2106)")
    return str(seconds)
