"""How a line is told from others: by its Calling-Station-Id, its NAS-Port-Id, or what its access node says of it.

A MAC address has as many spellings as there are vendors, and is one thing: here and in
``calling_station_in_one_spelling`` of ``deploy/freeradius/raddb/policies.conf`` it is twelve hexadecimal digits, also
where it stands in a DHCP client's identifier (RFC 2132 s9.14). Everything else counts as it is written.
Agent-Circuit-Id and Agent-Remote-Id are those of TR-101 (RFC 4679 s3.3.1 and s3.3.2, vendor 3561), which carry DHCP's
option 82 (RFC 3046 s3.1, s3.2). That is octets, which are not always text: a switch may write its VLAN, slot and port
there. Those are ``0x`` and their hexadecimal digits here and in the log of logins; what is text is that text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Row

from radius.encoder import EncodedAttribute, encode
from radius.errors import EncodingRefused
from radius.tables import Subscriber

_PAIR = "[0-9a-fA-F]{2}"
_MAC = re.compile(rf"{_PAIR}([^0-9a-fA-F]?{_PAIR}){{5}}")
_CLIENT_IDENTIFIER = re.compile(r"0?1(:[0-9a-fA-F]{1,2}){6}")
"""Of an Ethernet client, as MikroTik's DHCP server writes it: type 1, and the MAC address without leading zeros."""
_CLIENT_IDENTIFIER_IN_DOTS = re.compile(rf"01{_PAIR}(\.{_PAIR}{_PAIR}){{2}}\.{_PAIR}")
"""The same as Cisco's writes it."""
_ONE_SPELLING = re.compile("[0-9a-f]{12}")
_OCTETS = re.compile("0x((?:[0-9a-fA-F]{2})+)")
_HALF_OCTETS = re.compile("0x[0-9a-fA-F]+")
_ATTRIBUTES = {
    "station": "Firstlight-Station",
    "port": "Firstlight-Port",
    "circuit": "Firstlight-Circuit",
    "remote": "Firstlight-Remote",
}
_OF_OCTETS = ("circuit", "remote")
_SAFE = frozenset("@abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_: /+")
"""``safe_characters`` of ``deploy/freeradius/raddb/sql/queries.conf``."""


@dataclass(frozen=True)
class LineIdentity:
    """A line: ``station`` is its Calling-Station-Id (most often the MAC address of the CPE), ``port`` its NAS-Port-Id,
    ``circuit`` and ``remote`` what its access node calls it. None: whatever it is."""

    station: str | None = None
    port: str | None = None
    circuit: str | None = None
    remote: str | None = None

    @property
    def in_one_spelling(self) -> LineIdentity:
        """The same with a MAC address as it is compared, and with octets that are text as that text."""
        return LineIdentity(
            _digits_of(self.station), self.port, _text_of_octets(self.circuit), _text_of_octets(self.remote)
        )

    @property
    def said(self) -> dict[str, str]:
        """What of it is said, by name."""
        every = {"station": self.station, "port": self.port, "circuit": self.circuit, "remote": self.remote}
        return {name: value for name, value in every.items() if value is not None}

    def faults(self, *, logs_in: bool) -> list[str]:
        """Everything for which no subscriber can be bound to it, in plain phrases."""
        found = list(_unsayable(self))
        if not self.said:
            found.append("one of station, port, circuit and remote is needed")
        elif logs_in and not (self.station or self.circuit):
            found.append("a line logs in by its station or its circuit, and neither is said")
        elif logs_in and not self.station and _OCTETS.fullmatch(self.circuit or ""):
            found.append(
                "circuit: a line logs in by one that is text, or by its station; this one's octets are no text"
            )
        return found


def line_of(subscriber: Subscriber | Row[*tuple[Any, ...]]) -> LineIdentity:
    """From where a subscriber may log in."""
    return LineIdentity(
        station=subscriber.bound_station,
        port=subscriber.bound_port,
        circuit=subscriber.bound_circuit,
        remote=subscriber.bound_remote,
    )


def line_columns(line: LineIdentity) -> dict[str, str | None]:
    """What is written of a line, by the columns of `Subscriber`."""
    station = line.station
    from_its_end = station[::-1] if station is not None and _ONE_SPELLING.fullmatch(station) else None
    given = {f"bound_{field.name}": getattr(line, field.name) for field in fields(line)}
    return {**given, "bound_station_from_its_end": from_its_end}


def give_line(subscriber: Subscriber, line: LineIdentity, *, logs_in: bool) -> None:
    for name, value in line_columns(line).items():
        setattr(subscriber, name, value)
    subscriber.login_by_line = logs_in


def line_checks(line: LineIdentity) -> Iterator[EncodedAttribute]:
    """What FreeRADIUS compares a login with.

    Raises:
        ValueRefused: its table could not carry one of them as it is.
    """
    for name, value in line.said.items():
        yield _check(name, value)


def lines_that_log_in(line: LineIdentity) -> Iterator[str]:
    """What FreeRADIUS asks its table of lines for, when the User-Name of a request is one of these: as it writes them
    into a query. A circuit that is no text is none of them: it is one more thing that has to fit."""
    for kind, value in (("station", line.station), ("circuit", line.circuit)):
        if value is not None and not (kind == "circuit" and _OCTETS.fullmatch(value)):
            yield f"{kind} {_as_in_a_query(value)}"


def _digits_of(station: str | None) -> str | None:
    """A MAC address as it is compared, or what it is instead."""
    if station is None:
        return None
    if _MAC.fullmatch(station):
        return re.sub(r"[^0-9a-f]", "", station.lower())
    if _CLIENT_IDENTIFIER.fullmatch(station):
        return "".join(pair.zfill(2) for pair in station.lower().split(":")[1:])
    if _CLIENT_IDENTIFIER_IN_DOTS.fullmatch(station):
        return station.lower().replace(".", "")[2:]
    return station


def _text_of_octets(value: str | None) -> str | None:
    """Octets as the text that they are. Those of a text which would be taken for octets itself stay octets."""
    if value is None or not _OCTETS.fullmatch(value):
        return value
    octets = _octets_of(value)
    text = octets.decode(errors="replace")
    is_text = text.encode() == octets and text.isprintable() and text == text.strip()
    return text if is_text and not _HALF_OCTETS.fullmatch(text) else f"0x{octets.hex()}"


def _octets_of(value: str) -> bytes:
    """What an access node sends that is called so."""
    digits = _OCTETS.fullmatch(value)
    return value.encode() if digits is None else bytes.fromhex(digits[1])


def _as_in_a_query(value: str) -> str:
    return "".join(each if each in _SAFE or not each.isascii() else f"={ord(each):02X}" for each in value)


def _unsayable(line: LineIdentity) -> Iterator[str]:
    for name, value in line.said.items():
        if not value.isprintable() or value != value.strip() or not value:
            yield f"{name}: it is empty, or holds what nobody can see"
            continue
        if name in _OF_OCTETS and _HALF_OCTETS.fullmatch(value) and not _OCTETS.fullmatch(value):
            yield f"{name}: octets are 0x and two hexadecimal digits for each, and it has an odd number of them"
            continue
        try:
            _check(name, value)
        except EncodingRefused as refused:
            yield f"{name}: {getattr(refused, 'reason', refused)}"


def _check(name: str, value: str) -> EncodedAttribute:
    return encode(_ATTRIBUTES[name], _octets_of(value) if name in _OF_OCTETS else value, place="check")
