"""Prefixes, addresses and VLAN numbers as people write them, and as the tables hold them.

Bounds are 16 bytes, big-endian, IPv4 as ``::ffff:a.b.c.d`` (RFC 4291 s2.5.5.2), so that bytes sort as numbers on every
database and in both families. netaddr parses and formats; what a pool hands out is counted in units.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import netaddr  # type: ignore[import-untyped]

from ipam.units import Interval, merge

Family = Literal[4, 6]

BITS: dict[Family, int] = {4: 32, 6: 128}
_USUAL_LENGTH: dict[Family, int] = {4: 24, 6: 64}
FIRST_VID = 2
LAST_VID = 4094
_V4_MAPPED = 0xFFFF << 32
_V4_MAPPED_LAST = _V4_MAPPED + 2**32 - 1


@dataclass(frozen=True)
class Network:
    """A prefix with plain numbers for its bounds."""

    family: Family
    first: int
    length: int

    @property
    def bits(self) -> int:
        return BITS[self.family]

    @property
    def last(self) -> int:
        return self.first + (1 << (self.bits - self.length)) - 1

    def holds(self, family: Family, address: int) -> bool:
        return family == self.family and self.first <= address <= self.last

    def __str__(self) -> str:
        return f"{netaddr.IPAddress(self.first, self.family)}/{self.length}"


def spelt(network: Network) -> str:
    """The one spelling of an address or prefix: an address has no length behind it."""
    return str(network).removesuffix(f"/{network.bits}")


def parse_network(text: str) -> Network:
    """A prefix such as ``100.64.0.0/22`` or ``2001:db8::/40``.

    Raises:
        ValueError: says what is wrong with it.
    """
    if "/" not in text:
        raise ValueError(_without_length(text))
    try:
        parsed = netaddr.IPNetwork(text)
    except (netaddr.AddrFormatError, ValueError) as exc:
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 prefix") from exc
    if _is_wildcard(text.rpartition("/")[2]):
        raise ValueError(f"{text!r} has a wildcard mask, but a prefix length is meant; do you mean {parsed.cidr}?")
    if parsed.ip != parsed.network:
        raise ValueError(f"{text!r} has host bits set; do you mean {parsed.cidr}?")
    network = Network(_family(parsed.version), int(parsed.network), int(parsed.prefixlen))
    if network.family == 6 and network.first <= _V4_MAPPED_LAST and network.last >= _V4_MAPPED:
        raise ValueError(f"{text!r} covers the IPv4-mapped addresses ::ffff:0:0/96")
    return network


def _is_wildcard(mask: str) -> bool:
    """Whether it is an address that is no netmask. A length in any spelling is none."""
    try:
        family, address = parse_address(mask.strip())
    except ValueError:
        return False
    return not netaddr.IPAddress(address, family).is_netmask()


def _without_length(text: str) -> str:
    try:
        family, address = parse_address(text)
    except ValueError:
        return f"{text!r} is not an IPv4 or IPv6 prefix"
    host_bits = BITS[family] - _USUAL_LENGTH[family]
    network = Network(family, address >> host_bits << host_bits, _USUAL_LENGTH[family])
    alone = "" if network.first == address else f", or {text}/{BITS[family]} for that address alone"
    return f"{text!r} has no prefix length; write for example {network}{alone}"


def parse_address(text: str) -> tuple[Family, int]:
    """One address.

    Raises:
        ValueError: says what is wrong with it.
    """
    try:
        parsed = netaddr.IPAddress(text, flags=netaddr.INET_PTON)
    except (netaddr.AddrFormatError, ValueError) as exc:
        raise ValueError(f"{text!r} is not an IPv4 or IPv6 address") from exc
    return _family(parsed.version), int(parsed)


def parse_span(text: str) -> tuple[Family, int, int]:
    """Some addresses: one (``10.0.0.9``), from-to (``10.0.0.9-10.0.0.20``) or a prefix (``10.0.0.16/28``).

    Raises:
        ValueError: says what is wrong with it.
    """
    if "/" in text:
        network = parse_network(text)
        return network.family, network.first, network.last
    start, hyphen, end = (part.strip() for part in text.partition("-"))
    if hyphen and not (start and end):
        raise ValueError(f"{text!r} lacks one of its ends; write from-to, or one address without the hyphen")
    family, first = parse_address(start)
    if not hyphen:
        return family, first, first
    last_family, last = parse_address(end)
    if family != last_family or last < first:
        raise ValueError(f"{text!r} does not run from a lower to a higher address of one family")
    return family, first, last


def format_span(family: Family, first: int, last: int) -> str:
    """These addresses as ``parse_span`` reads them: a prefix where they are one, else from-to."""
    size = last - first + 1
    if size.bit_count() == 1 and first % size == 0:
        return str(Network(family, first, BITS[family] - size.bit_length() + 1))
    return f"{netaddr.IPAddress(first, family)}-{netaddr.IPAddress(last, family)}"


def parse_vids(texts: Iterable[str]) -> list[Interval]:
    """VLAN numbers such as ``["100-199", "300"]``, merged. 0 (priority tag), 1 (default) and 4095 are never usable.

    Raises:
        ValueError: says what is wrong with them.
    """
    spans: list[Interval] = []
    for text in texts:
        found = re.fullmatch(r"\s*(\d{1,5})\s*(?:-\s*(\d{1,5})\s*)?", text, flags=re.ASCII)
        if not found:
            raise ValueError(f"{text!r} is neither a VLAN number nor a range such as 100-199")
        first, last = int(found[1]), int(found[2] or found[1])
        if first < FIRST_VID or last > LAST_VID:
            raise ValueError(f"{text!r} reaches outside the usable VLAN numbers {FIRST_VID}..{LAST_VID} (IEEE 802.1Q)")
        if last < first:
            raise ValueError(f"{text!r} runs backwards")
        spans.append((first, last))
    return merge(spans)


def format_vids(spans: Iterable[Interval]) -> str:
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)


def to_bytes(family: Family, address: int) -> bytes:
    return (address | _V4_MAPPED if family == 4 else address).to_bytes(16, "big")


def from_bytes(stored: bytes) -> tuple[Family, int]:
    number = int.from_bytes(stored, "big")
    if _V4_MAPPED <= number <= _V4_MAPPED_LAST:
        return 4, number - _V4_MAPPED
    return 6, number


def format_address(stored: bytes) -> str:
    family, number = from_bytes(stored)
    return str(netaddr.IPAddress(number, family))


def format_unit(base: bytes, unit_length: int, unit: int) -> str:
    """What unit ``unit`` of a pool is to the world: a host address, or a prefix of ``unit_length``."""
    prefix = prefix_of_unit(base, unit_length, unit)
    return str(prefix).removesuffix(f"/{prefix.bits}")


def prefix_of_unit(base: bytes, unit_length: int, unit: int) -> Network:
    """The same as a prefix, be it of one address."""
    family, first = from_bytes(base)
    return Network(family, first + (unit << (BITS[family] - unit_length)), unit_length)


def unit_numbered(
    base: bytes | None, prefix_length: int | None, unit_length: int | None, number: str | int
) -> int | None:
    """The unit that an address, prefix or VLAN number is in a pool; None: the pool doesn't hand that out."""
    if base is None or prefix_length is None or unit_length is None:
        return number if isinstance(number, int) and 0 <= number <= LAST_VID + 1 else None
    if isinstance(number, int):
        return None
    family, first = from_bytes(base)
    wanted = parse_network(number if "/" in number else f"{number}/{BITS[parse_address(number)[0]]}")
    if wanted.length != unit_length or not Network(family, first, prefix_length).holds(wanted.family, wanted.first):
        return None
    return (wanted.first - first) >> (BITS[family] - unit_length)


def _family(version: int) -> Family:
    return 4 if version == 4 else 6
