"""CoA- and Disconnect-Requests as octets (RFC 5176 s2.3), and the short way to tell that an answer is a plain one.

pyrad encodes what a plan says, once, and reads every answer that has attributes. What differs from session to session
is put around it here, since thousands are told the same and pyrad would encode all of it twice for each.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from ipaddress import IPv4Address, ip_address
from typing import Any

from pyrad import packet as pyrad_packet

from radius.escapes import octets_of
from radius.nas.packets import dictionary

Words = tuple[tuple[str, str | int], ...]

_HEADER = struct.Struct("!BBH")
_LONGEST_VALUE = 253
_AUTHENTICATOR_LENGTH = 16
_MESSAGE_AUTHENTICATOR = bytes((80, 18))
_EVENT_TIMESTAMP = struct.Struct("!BBI")
_NUMBERS = {"User-Name": 1, "NAS-IP-Address": 4, "Framed-IP-Address": 8, "Acct-Session-Id": 44}
_NAS_IPV6_ADDRESS = 95
"""RFC 3162 s2.1."""


@dataclass(frozen=True)
class Request:
    """One request as it goes out, and all that its answer is verified by."""

    code: int
    identifier: int
    secret: bytes = field(repr=False)
    packet: bytes

    @property
    def authenticator(self) -> bytes:
        return self.packet[4:20]

    def is_answered_plainly(self, data: bytes) -> bool:
        """Whether these octets are an ACK of this request without a single attribute, from who has the secret."""
        if len(data) != 20 or data[:4] != _HEADER.pack(self.code + 1, self.identifier, 20):
            return False
        signed = hashlib.md5(data[:4] + self.authenticator + self.secret).digest()  # noqa: S324 - RFC 5176 s2.3
        return hmac.compare_digest(signed, data[4:])

    def as_pyrad(self) -> Any:
        """The same for pyrad, to read an answer by."""
        return pyrad_packet.CoAPacket(
            code=self.code,
            id=self.identifier,
            secret=self.secret,
            authenticator=self.authenticator,
            dict=dictionary(),
        )


def request_of(
    code: int,
    identifier: int,
    secret: str,
    *,
    keys: Sequence[tuple[str, str]],
    words: Words,
    at: datetime | None,
) -> Request:
    """The request that names a session by these attributes and says these words, signed with a Message-Authenticator
    as the first of all. A NAS-IP-Address that is an IPv6 address goes out as NAS-IPv6-Address. ``at`` None: without an
    Event-Timestamp.

    Raises:
        ValueError: a value that no attribute can hold.
    """
    said = b"".join(_key(name, value) for name, value in keys)
    if at is not None:
        said += _EVENT_TIMESTAMP.pack(55, 6, int(at.timestamp()))  # against replay (RFC 5176 s6.3)
    said += _encoded(words)
    key = secret.encode()
    head = _HEADER.pack(code, identifier, 20 + 18 + len(said))
    blank = bytes(_AUTHENTICATOR_LENGTH)
    unsigned = head + blank + _MESSAGE_AUTHENTICATOR + blank + said
    attributes = _MESSAGE_AUTHENTICATOR + hmac.digest(key, unsigned, "md5") + said  # RFC 5176 s3.4
    authenticator = hashlib.md5(head + blank + attributes + key).digest()  # noqa: S324 - RFC 5176 s2.3
    return Request(code, identifier, key, head + authenticator + attributes)


def _key(name: str, value: str) -> bytes:
    if name == "NAS-IP-Address":
        return _nas_address(value)
    octets = _address(value) if name == "Framed-IP-Address" else octets_of(value)
    if len(octets) > _LONGEST_VALUE:
        raise ValueError(f"{name} of a session has {len(octets)} octets, and {_LONGEST_VALUE} go into an attribute")
    return bytes((_NUMBERS[name], len(octets) + 2)) + octets


@lru_cache(maxsize=4096)
def _nas_address(value: str) -> bytes:
    address = ip_address(value)
    number = _NUMBERS["NAS-IP-Address"] if isinstance(address, IPv4Address) else _NAS_IPV6_ADDRESS
    return bytes((number, len(address.packed) + 2)) + address.packed


@lru_cache(maxsize=4096)
def _address(value: str) -> bytes:
    return IPv4Address(value).packed


@lru_cache(maxsize=256)  # thousands of sessions are told the same
def _encoded(words: Words) -> bytes:
    packet = pyrad_packet.CoAPacket(dict=dictionary())
    for name, value in words:
        packet.AddAttribute(name, value)
    encoded: bytes = packet._PktEncodeAttributes()
    return encoded
