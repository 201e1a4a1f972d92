"""A login of nobody, to see whether FreeRADIUS answers a NAS and how: an Access-Request (RFC 2865 s4.1) under a name
that no subscriber can have a password for, and that the log of logins leaves out.
"""

from __future__ import annotations

import secrets as randomness
import socket
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pyrad import packet as pyrad_packet

from radius.nas.packets import dictionary, send_until_answered

CANARY = "firstlight-canary"
LOOKED_UP = "firstlight-canary was looked up"
"""What our configuration tells it (``sites/subscribers.conf``) when its tables could be asked for that name."""
ACCESS_REQUEST, ACCESS_ACCEPT, ACCESS_REJECT = 1, 2, 3
REPLY_MESSAGE, MESSAGE_AUTHENTICATOR = 18, 80
WAITS = (1.5, 1.5)
"""FreeRADIUS may hold a reject back for a second."""


@dataclass(frozen=True)
class AuthDoor:
    """Where FreeRADIUS takes logins, and the NAS as which it is asked: the packet leaves from its address."""

    host: str
    port: int
    nas_name: str
    nas_address: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class CanaryReply:
    """An answer that was made with the right secret. ``attributes`` are the numbers on the wire, in their order.
    ``looked_up``: it says that its tables were asked for that name, as our configuration does."""

    code: int
    authenticated: bool
    attributes: tuple[int, ...]
    looked_up: bool

    @property
    def authenticated_first(self) -> bool:
        """Whether it begins with a Message-Authenticator that verifies (CVE-2024-3596)."""
        return self.authenticated and self.attributes[:1] == (MESSAGE_AUTHENTICATOR,)


class NotFromHere(Exception):
    """The NAS's address is no address of this machine, so only the NAS itself can ask from it."""


async def ask_as(door: AuthDoor, *, authenticated: bool = True, waits: Iterable[float] = WAITS) -> CanaryReply | None:
    """The answer to a login of nobody; None: silence. ``authenticated``: the request carries a Message-Authenticator.

    Raises:
        NotFromHere: this machine has no such address.
        OSError: there is no way to the server.
    """
    if not is_of_this_machine(door.nas_address):
        raise NotFromHere
    request: Any = pyrad_packet.AuthPacket(
        code=ACCESS_REQUEST, id=randomness.randbelow(256), secret=door.secret.encode(), dict=dictionary()
    )
    if authenticated:
        request.add_message_authenticator()
    request["User-Name"] = CANARY
    request["User-Password"] = request.PwCrypt(randomness.token_urlsafe(12))
    request["NAS-IP-Address"] = door.nas_address
    request["NAS-Identifier"] = door.nas_name
    return await send_until_answered(
        request.RequestPacket(),
        partial(_verified, request),
        server=door.host,
        port=door.port,
        source=door.nas_address,
        waits=waits,
    )


def is_of_this_machine(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
        try:
            one.bind((address, 0))
        except OSError:
            return False
    return True


def _verified(request: Any, data: bytes) -> CanaryReply | None:
    try:
        reply = request.CreateReply(packet=data)
        if not request.VerifyReply(reply, data):
            return None
        authenticated = request.VerifyReply(request.CreateReply(packet=data), data, enforce_ma=True)
    except pyrad_packet.PacketError:
        return None
    attributes = _attributes(data)
    looked_up = (REPLY_MESSAGE, LOOKED_UP.encode()) in attributes
    return CanaryReply(reply.code, bool(authenticated), tuple(number for number, _ in attributes), looked_up)


def _attributes(data: bytes) -> list[tuple[int, bytes]]:
    """Numbers and values (RFC 2865 s5); the packet has been parsed before, so its lengths are right."""
    found, at = [], 20
    while at + 1 < len(data) and data[at + 1] >= 2:
        found.append((data[at], data[at + 2 : at + data[at + 1]]))
        at += data[at + 1]
    return found
