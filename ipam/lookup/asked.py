"""Addresses as people ask for them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ipam.addresses import BITS, Family, Network, from_bytes, parse_address, parse_network, to_bytes
from ipam.errors import RequestInvalid

CLOCKS_DIFFER = timedelta(minutes=5)
"""Whoever asks about now may have a clock that is ahead."""


def looked_for(text: str, field: str = "address") -> Network:
    """An address or a prefix. An IPv4-mapped address is the IPv4 one that it stands for (RFC 4291 s2.5.5.2): servers
    that listen on both families log ``::ffff:198.51.100.10``.

    Raises:
        RequestInvalid: neither.
    """
    try:
        if "/" in text:
            return parse_network(text)
        family, number = _asked_for(text)
    except ValueError as exc:
        raise RequestInvalid(field, f"can't be looked up: {exc}") from exc
    return Network(family, number, BITS[family])


def by_then(at: datetime | None, now: datetime) -> datetime:
    """The moment that is asked about, or now.

    Raises:
        RequestInvalid: it is yet to come, and who will have something then nobody knows.
    """
    if at is not None and at > now + CLOCKS_DIFFER:
        raise RequestInvalid("at", f"is {at.astimezone(UTC):%Y-%m-%d %H:%M} UTC, which is yet to come")
    return at or now


def ipv4(field: str, text: str) -> int:
    """An IPv4 address, also as an IPv4-mapped one.

    Raises:
        RequestInvalid: none.
    """
    try:
        family, number = _asked_for(text)
    except ValueError as exc:
        raise RequestInvalid(field, f"can't be looked up: {exc}") from exc
    if family != 4:
        raise RequestInvalid(field, f"is {text}; CGNAT is about IPv4")
    return number


def _asked_for(text: str) -> tuple[Family, int]:
    return from_bytes(to_bytes(*parse_address(text)))
