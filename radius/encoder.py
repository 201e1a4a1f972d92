"""The one writer of attribute values: what goes in is what the NAS gets, or it is refused.

FreeRADIUS 3.2 does things to a value it reads from SQL that nobody who writes one expects. In back-ticks it is
*expanded*, which runs SQL (and programs, where exec or echo is loaded) in the server's name; in ' or " it silently
loses its quotes; a backslash starts an escape (``a\\101b`` reaches the NAS as "aAb"). An attribute of an unknown
name and a value that does not parse reject the subscriber, or everybody on the plan. All of it was measured on 3.2.1;
``tests/radius/test_encoder.py`` shows that what passes here reaches a NAS unchanged.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Literal

from radius.attributes import AttributeFact, ValueType, fact_of, is_secret, split_tag
from radius.errors import (
    AddressConflict,
    AttributeUnknown,
    EncodingRefused,
    SeveralRefused,
    UsernameRefused,
    ValueRefused,
)

MAX_ROW_BYTES = 253
"""What the CHECKs of FreeRADIUS' tables let a value have."""

Value = str | bytes | int | datetime | IPv4Address | IPv6Address | IPv6Network

_USERNAME = re.compile(r"[A-Za-z0-9@._:/-]{1,128}")
_TAG = re.compile(r"[1-9]|[12][0-9]|3[01]")
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
    fact = fact_of(attribute)
    if fact is None or fact.place != place:
        raise AttributeUnknown(attribute, place)
    _check_tag(fact, attribute)
    text = _as_text(fact, value)
    reason = _mangled(text) or _unfit(fact, text)
    if reason:
        raise ValueRefused(attribute, reason)
    return EncodedAttribute(attribute, text)


def encode_reply(username: str, items: Iterable[tuple[str, Value]]) -> tuple[EncodedAttribute, ...]:
    """All reply attributes of one subscriber or plan, which must also agree with each other.

    Raises:
        AttributeUnknown, ValueRefused: as ``encode``.
        ValueRefused: twice the same attribute, or the same value of one that may have several.
        AddressConflict: an address or prefix, and a pool of the same family.
        SeveralRefused: more than one of these; it has them all.
    """
    encoded: list[EncodedAttribute] = []
    refused: list[EncodingRefused] = []
    for name, value in items:
        try:
            encoded.append(encode(name, value, place="reply"))
        except EncodingRefused as fault:
            refused.append(fault)
    refused += [*_repeated(encoded), *_conflicts(username, encoded)]
    if len(refused) > 1:
        raise SeveralRefused(refused)
    if refused:
        raise refused[0]
    return tuple(encoded)


def _repeated(encoded: list[EncodedAttribute]) -> Iterator[ValueRefused]:
    if len({item.attribute for item in encoded}) == len(encoded):
        return
    for attribute, count in Counter(item.attribute for item in encoded).items():
        fact = fact_of(attribute)
        if count > 1 and not (fact is not None and fact.many):
            yield ValueRefused(attribute, "it can have one value only and was given several")
    for item, count in Counter(encoded).items():
        if count > 1 and (fact := fact_of(item.attribute)) is not None and fact.many:
            yield ValueRefused(item.attribute, "it was given the same value twice")


def _conflicts(username: str, encoded: list[EncodedAttribute]) -> Iterator[AddressConflict]:
    names = {split_tag(item.attribute)[0] for item in encoded}
    for name in sorted(names):
        fact = fact_of(name)
        if fact is not None and fact.pool_of in names:
            yield AddressConflict(username, (fact.pool_of, name))


def safe_username(username: str) -> str:
    """The name itself, when FreeRADIUS looks up exactly what a subscriber types (its ``safe_characters``).

    Raises:
        UsernameRefused
    """
    if not _USERNAME.fullmatch(username):
        raise UsernameRefused(username)
    return username


def _check_tag(fact: AttributeFact, attribute: str) -> None:
    _, tag = split_tag(attribute)
    if not fact.tagged and tag is not None:
        raise ValueRefused(attribute, "it is written without a tag")
    if fact.tagged and (tag is None or not _TAG.fullmatch(tag)):
        raise ValueRefused(attribute, "it needs a tag from 1 to 31, as in Name:1 (RFC 2868 s3.1)")


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
    return f"it has {size} bytes, and {MAX_ROW_BYTES} fit into an attribute" if size > MAX_ROW_BYTES else None


def _unfit(fact: AttributeFact, text: str) -> str | None:
    size = len(text.encode("utf-8"))
    if fact.type == "string" and size > fact.value_octets:
        return f"it has {size} bytes, and a NAS takes {fact.value_octets}"
    if fact.pattern is not None and not re.fullmatch(fact.pattern, text):
        return f"a NAS reads nothing but {fact.form or fact.pattern}"
    return None


def _as_text(fact: AttributeFact, value: Value) -> str:
    if fact.values:
        return _named(fact, value)
    return _AS_TEXT[fact.type](fact, value)


def _named(fact: AttributeFact, value: Value) -> str:
    if isinstance(value, str) and value in fact.values:
        return value
    raise ValueRefused(fact.name, f"only {', '.join(fact.values)} may be written")


def _string(fact: AttributeFact, value: Value) -> str:
    if isinstance(value, str):
        return value
    raise ValueRefused(fact.name, "it must be text")


def _octets(fact: AttributeFact, value: Value) -> str:
    """Hexadecimal, which FreeRADIUS reads in one way only: other octets may begin with 0x by chance."""
    octets = value.encode() if isinstance(value, str) and value.isascii() else value
    if isinstance(octets, bytes) and octets:
        return f"0x{octets.hex()}"
    raise ValueRefused(fact.name, "it must be octets or ASCII text")


def _integer(fact: AttributeFact, value: Value) -> str:
    low, high = fact.range
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return str(value)
    raise ValueRefused(fact.name, f"it must be a whole number from {low} to {high}")


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


def of_no_host(address: IPv4Address) -> str | None:
    """Why no host beside this one can have the address (RFC 6890, RFC 5771); one that ends in 0 or 255 may be one's."""
    if address.is_unspecified:
        return "the unspecified address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_multicast:
        return "a multicast address"
    return "of a reserved block (240.0.0.0/4)" if address.is_reserved else None


def _ipv6(fact: AttributeFact, value: Value) -> str:
    try:
        # a zone (fe80::1%eth0) means something on one machine only
        if isinstance(value, IPv6Address) or (isinstance(value, str) and "%" not in value):
            return str(IPv6Address(value))
    except ValueError:
        pass
    raise ValueRefused(fact.name, "it must be an IPv6 address such as 2001:db8::53")


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


_AS_TEXT: dict[ValueType, Callable[[AttributeFact, Value], str]] = {
    "string": _string,
    "octets": _octets,
    "integer": _integer,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "ipv6prefix": _ipv6prefix,
    "ipv4route": _route,
    "ipv6route": _route,
    "date": _date,
}
