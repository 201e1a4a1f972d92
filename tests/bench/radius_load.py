"""A NAS that asks as fast as it is answered: PAP logins by plain ``struct``, every answer verified and compared.

Each request has a Message-Authenticator, and each reply must have one that is right, as must its authenticator be
(RFC 2865 s3, RFC 3579 s3.2). It runs in a process of its own, and on two cores what it does is taken from the server:
requests are made before the window begins, and replies are looked at when it is over.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import random
import socket
import struct
import time
from dataclasses import dataclass
from ipaddress import IPv4Address

ACCEPT, REJECT = 2, 3
WRONG_EVERY = 16
"""Every so manieth login is with a wrong password."""
LOST_AFTER_SECONDS = 5.0
MOST_PER_SECOND = 10_000
"""Requests made for a second of a window; a server that answers more has none left to answer."""
_USER_NAME, _PASSWORD, _NAS_ADDRESS, _FRAMED_ADDRESS, _AUTHENTICATOR = 1, 2, 4, 8, 80


@dataclass(frozen=True)
class Logins:
    """What a window came to: how long each answered login took, how many were answered otherwise than they had to be,
    and how many not at all."""

    took_ms: list[float]
    seconds: float
    wrong: int
    lost: int

    @property
    def rate_per_s(self) -> float:
        return len(self.took_ms) / self.seconds


@dataclass(frozen=True)
class _Request:
    number: int
    good: bool
    authenticator: bytes
    packet: bytes

    @property
    def identifier(self) -> int:
        return self.packet[1]


def address_of(number: int) -> str:
    """Which address subscriber ``number`` is given."""
    return str(IPv4Address(int(IPv4Address("100.64.0.0")) + number))


def password_of(number: int) -> str:
    return f"pw-{number:018d}"


def log_in(
    port: int,
    secret: bytes,
    *,
    subscribers: int,
    seconds: float,
    under_way: int = 16,
    count: int | None = None,
    signed: bool = True,
) -> Logins:
    """Random subscribers, so many logins under way at a time, for so long, or until all that were made (``count``, or
    more than a server answers in that time) are asked. ``signed``: replies must have a Message-Authenticator, which a
    stock 3.2.1 gives to none."""
    made = int(seconds * MOST_PER_SECOND) if count is None else count
    requests = _requests(random.Random(port), secret, subscribers, count=made)
    asked, answered, took, lost = dict[int, tuple[_Request, float]](), list[tuple[bytes, _Request]](), list[float](), 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nas:
        nas.connect(("127.0.0.1", port))
        nas.settimeout(LOST_AFTER_SECONDS)
        waiting = iter(requests)
        following = next(waiting, None)
        began = time.perf_counter()
        until = began + seconds
        while (now := time.perf_counter()) < until or asked:
            while following and len(asked) < under_way and now < until and following.identifier not in asked:
                asked[following.identifier] = following, time.perf_counter()
                nas.send(following.packet)
                following = next(waiting, None)
            try:
                reply = nas.recv(4096) if asked else b""
            except TimeoutError:
                lost += len(asked)
                break
            if not reply:
                break
            if one := asked.pop(reply[1], None):
                took.append((time.perf_counter() - one[1]) * 1000)
                answered.append((reply, one[0]))
        took_seconds = time.perf_counter() - began
    wrong = sum(not _as_it_must_be(reply, request, secret, signed=signed) for reply, request in answered)
    return Logins(took, took_seconds, wrong, lost)


def _requests(chance: random.Random, secret: bytes, subscribers: int, *, count: int) -> list[_Request]:
    numbers = (chance.randint(1, subscribers) for _ in range(count))
    return [_request(each % 256, number, secret, good=bool(each % WRONG_EVERY)) for each, number in enumerate(numbers)]


def _request(identifier: int, number: int, secret: bytes, *, good: bool) -> _Request:
    authenticator = os.urandom(16)
    password = (password_of(number) if good else "wrong").encode()
    attributes = b"".join(
        (
            _attribute(_AUTHENTICATOR, bytes(16)),
            _attribute(_USER_NAME, f"u{number}@isp.example".encode()),
            _attribute(_PASSWORD, _hidden(password, authenticator, secret)),
            _attribute(_NAS_ADDRESS, socket.inet_aton("127.0.0.1")),
        )
    )
    head = struct.pack("!BBH", 1, identifier, 20 + len(attributes)) + authenticator
    signed = hmac.digest(secret, head + attributes, "md5")
    return _Request(number, good, authenticator, head + attributes[:2] + signed + attributes[18:])


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes((kind, len(value) + 2)) + value


def _hidden(password: bytes, authenticator: bytes, secret: bytes) -> bytes:
    """RFC 2865 s5.2."""
    padded, hidden, last = password + bytes(-len(password) % 16), b"", authenticator
    for start in range(0, len(padded), 16):
        key = hashlib.md5(secret + last).digest()
        last = bytes(a ^ b for a, b in zip(padded[start : start + 16], key, strict=True))
        hidden += last
    return hidden


def _as_it_must_be(reply: bytes, asked: _Request, secret: bytes, *, signed: bool) -> bool:
    """Genuine, and what this subscriber with this password must get."""
    body = reply[20:]
    whole = reply[:4] + asked.authenticator + body
    if hashlib.md5(whole + secret).digest() != reply[4:20] or (signed and not _is_signed(whole, secret)):
        return False
    address = _attribute(_FRAMED_ADDRESS, socket.inet_aton(address_of(asked.number)))
    return reply[0] == ACCEPT and address in body if asked.good else reply[0] == REJECT


def _is_signed(whole: bytes, secret: bytes) -> bool:
    """By a Message-Authenticator that comes first (CVE-2024-3596). ``whole`` has the request's authenticator."""
    unsigned = whole[:22] + bytes(16) + whole[38:]
    right = hmac.digest(secret, unsigned, "md5")
    return whole[20:22] == bytes((_AUTHENTICATOR, 18)) and hmac.compare_digest(right, whole[22:38])
