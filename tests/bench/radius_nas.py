"""Simulated NASes for the benches, each a process with a socket and a memory of its own.

One verifies who asks (RFC 5176 s3.5 and its Message-Authenticator), remembers what it was asked by source and
identifier (RFC 5080 s2.2.2), and acknowledges.
"""

from __future__ import annotations

import hashlib
import hmac
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection

from tests.bench.windows import FORK

NASES = 4
_COA, _ACK, _SESSION_ID, _AUTHENTICATOR = 43, 44, 44, 80


@dataclass(frozen=True)
class BenchNas:
    """Where it listens. It answers nobody before it is told its secret."""

    address: str
    port: int
    pipe: Connection

    def share(self, secret: str) -> None:
        self.pipe.send(secret)

    def stop(self) -> int:
        """How many sessions it has changed, each counted once."""
        self.pipe.send(None)
        changed: int = self.pipe.recv()
        return changed


def started() -> list[BenchNas]:
    """While there is no event loop that they would inherit."""
    return [_start(f"127.88.0.{number}") for number in range(1, NASES + 1)]


def stopped(nases: Sequence[BenchNas]) -> int:
    """How many sessions they have changed."""
    return sum(nas.stop() for nas in nases)


def _start(address: str) -> BenchNas:
    ours, theirs = FORK.Pipe()
    FORK.Process(target=_be_a_nas, args=(theirs, address), daemon=True).start()
    return BenchNas(address, ours.recv(), ours)


def _be_a_nas(pipe: Connection, address: str) -> None:
    changed, answered = set[bytes](), dict[tuple[object, bytes], bytes]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        door.bind((address, 0))
        door.settimeout(0.2)
        pipe.send(door.getsockname()[1])
        told = pipe.recv()
        if told is None:
            pipe.send(0)
            return
        secret = told.encode()
        while not pipe.poll():
            try:
                asked, whose = door.recvfrom(4096)
            except TimeoutError:
                continue
            if not _genuine(asked, secret):
                continue
            key = (whose, asked[:20])
            if key not in answered:
                changed.add(_attribute(asked, _SESSION_ID))
                head = struct.pack("!BBH", _ACK, asked[1], 20)
                answered[key] = head + hashlib.md5(head + asked[4:20] + secret).digest()
            door.sendto(answered[key], whose)
        pipe.send(len(changed))


def _genuine(asked: bytes, secret: bytes) -> bool:
    blank = asked[:4] + bytes(16) + asked[20:]
    if asked[0] != _COA or hashlib.md5(blank + secret).digest() != asked[4:20]:
        return False
    at = blank.find(bytes((_AUTHENTICATOR, 18)), 20)
    unsigned = blank[: at + 2] + bytes(16) + blank[at + 18 :]
    return hmac.compare_digest(hmac.digest(secret, unsigned, "md5"), asked[at + 2 : at + 18])


def _attribute(packet: bytes, kind: int) -> bytes:
    place = 20
    while place < len(packet):
        if packet[place] == kind:
            return packet[place + 2 : place + packet[place + 1]]
        place += packet[place + 1]
    return b""
