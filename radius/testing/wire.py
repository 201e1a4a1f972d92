"""RADIUS packets over UDP, with pyrad inside and nothing of it outside.

One exchange is one connected socket with a random port and a random identifier, one request that is sent again
unchanged while nobody answers (RFC 5080 s2.2.1), and the first reply that proves it comes from somebody who has the
secret. Replies to Access-Request and Status-Server must carry a Message-Authenticator (CVE-2024-3596); anything else
that arrives is dropped, so a forged packet can neither answer nor end the wait.
"""

from __future__ import annotations

import asyncio
import io
import secrets as randomness
import socket
import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from pyrad import packet as pyrad_packet
from pyrad.dictionary import Dictionary

from radius.attributes import ATTRIBUTES, VENDORS, AttributeFact
from radius.testing.errors import NoAnswer

CODES = {2: "Access-Accept", 3: "Access-Reject", 5: "Accounting-Response", 11: "Access-Challenge"}

_PYRAD_TYPES = {"ipv4": "ipaddr"}
_STATUS_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Reply:
    """A verified reply: the packet's name (RFC 2865 s3) and its attributes as text, in the order they came."""

    code: str
    attributes: dict[str, tuple[str, ...]]


@cache
def dictionary() -> Dictionary:
    """pyrad's dictionary, made from the package's own table of facts."""
    lines = [f"VENDOR {name} {number}" for name, number in VENDORS.items()]
    on_the_wire = [fact for fact in ATTRIBUTES.values() if fact.number is not None]
    for vendor in (None, *VENDORS):
        lines += [f"BEGIN-VENDOR {vendor}"] if vendor else []
        for fact in on_the_wire:
            if fact.vendor == vendor:
                lines += _definition(fact)
        lines += [f"END-VENDOR {vendor}"] if vendor else []
    return Dictionary(io.StringIO("\n".join(lines) + "\n"))


def _definition(fact: AttributeFact) -> list[str]:
    values = [f"VALUE {fact.name} {name} {number}" for name, number in fact.values.items()]
    return [f"ATTRIBUTE {fact.name} {fact.number} {_PYRAD_TYPES.get(fact.type, fact.type)}", *values]


async def exchange(
    request: Any, *, server: str, port: int, source: str, timeout_seconds: float, sends: int = 3
) -> Reply:
    """Send a pyrad request until it is answered.

    Raises:
        NoAnswer: ``timeout_seconds`` passed without a reply that verifies.
    """
    loop = asyncio.get_running_loop()
    data = request.RequestPacket()
    answered: asyncio.Future[Reply] = loop.create_future()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: _Listener(request, answered), local_addr=(source, 0), remote_addr=(server, port)
    )
    try:
        for _ in range(sends):
            transport.sendto(data)
            done, _pending = await asyncio.wait((answered,), timeout=timeout_seconds / sends)
            if done:
                return answered.result()
    finally:
        transport.close()
    name = {1: "Access-Request", 4: "Accounting-Request"}.get(request.code, f"Request {request.code}")
    raise NoAnswer(name, server, port, timeout_seconds)


class _Listener(asyncio.DatagramProtocol):
    def __init__(self, request: Any, answered: asyncio.Future[Reply]) -> None:
        self._request = request
        self._answered = answered

    def datagram_received(self, data: bytes, addr: object) -> None:
        reply = _verified(self._request, data)
        if reply is not None and not self._answered.done():
            self._answered.set_result(reply)

    def error_received(self, exc: Exception) -> None:
        """Nobody listens there (ICMP). As with a lost packet, the server may be on its way up."""


def status_answers(port: int, secret: str, *, seconds: float) -> bool:
    """True when the server on this machine answers a Status-Server (RFC 5997) within ``seconds``. Blocks."""
    deadline = time.monotonic() + seconds
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", port))
        probe.settimeout(_STATUS_POLL_SECONDS)
        while time.monotonic() < deadline:
            request = new_request(12, secret)
            try:
                probe.send(request.RequestPacket())
                if _verified(request, probe.recv(4096)) is not None:
                    return True
            except ConnectionRefusedError:
                time.sleep(_STATUS_POLL_SECONDS)  # no socket there yet
            except TimeoutError:
                continue
    return False


def new_request(code: int, secret: str) -> Any:
    """An empty request with a random identifier and a Message-Authenticator as its first attribute."""
    kinds = {4: pyrad_packet.AcctPacket}
    make = kinds.get(code, pyrad_packet.AuthPacket)
    request = make(code=code, id=randomness.randbelow(256), secret=secret.encode(), dict=dictionary())
    request.add_message_authenticator()
    return request


def _verified(request: Any, data: bytes) -> Reply | None:
    try:
        reply = request.CreateReply(packet=data)
        genuine = request.VerifyReply(reply, data, enforce_ma=True)
    except pyrad_packet.PacketError:
        return None
    if not genuine:
        return None
    return Reply(CODES.get(reply.code, f"code {reply.code}"), _attributes(reply))


def _attributes(reply: Any) -> dict[str, tuple[str, ...]]:
    names = reply.keys()  # iterating over the packet itself would give numbers
    # a number or a pair stands for an attribute that the table of facts does not know
    return {str(name): tuple(_text(value) for value in reply[name]) for name in names}


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
