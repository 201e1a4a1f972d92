"""What a NAS asks a server, with pyrad inside and nothing of it outside.

Replies to Access-Request and Status-Server must carry a Message-Authenticator (CVE-2024-3596).
"""

from __future__ import annotations

import secrets as randomness
import socket
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from pyrad import packet as pyrad_packet

from radius.attributes import ATTRIBUTES
from radius.nas.packets import dictionary, send_until_answered
from radius.testing.errors import NoAnswer

CODES = {2: "Access-Accept", 3: "Access-Reject", 5: "Accounting-Response", 11: "Access-Challenge"}

_STATUS_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class Reply:
    """A verified reply: the packet's name (RFC 2865 s3) and its attributes as text, in the order they came."""

    code: str
    attributes: dict[str, tuple[str, ...]]


async def exchange(
    request: Any, *, server: str, port: int, source: str, timeout_seconds: float, sends: int = 3
) -> Reply:
    """Send a pyrad request until it is answered.

    Raises:
        NoAnswer: ``timeout_seconds`` passed without a reply that verifies.
    """
    waits = [timeout_seconds / sends] * sends
    verified = partial(_verified, request)
    reply = await send_until_answered(
        request.RequestPacket(), verified, server=server, port=port, source=source, waits=waits
    )
    if reply is None:
        name = {1: "Access-Request", 4: "Accounting-Request"}.get(request.code, f"Request {request.code}")
        raise NoAnswer(name, server, port, timeout_seconds)
    return reply


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
    return {
        str(key): tuple(_text(value) for value in reply[key])
        for name in names
        for key in ([name] if name not in ATTRIBUTES or not ATTRIBUTES[name].tagged else _with_tags(reply, name))
    }


def _with_tags(reply: Any, name: str) -> list[str]:
    """A tagged attribute as FreeRADIUS writes it, Name:1, once for each tag that came (RFC 2868 s3)."""
    return [f"{name}:{tag}" for tag in range(32) if _has(reply, f"{name}:{tag}")]


def _has(reply: Any, key: str) -> bool:
    try:
        reply[key]
    except KeyError:
        return False
    return True


def _text(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)
