"""The server side of a lab NAS: takes Disconnect-Requests as RFC 5176 has it, in a good mood or a bad one.

It answers nobody who has not the secret, nor a request that is older or younger than five minutes (s6.3); a request
that comes again is given its first answer again and ends nothing twice (RFC 5080 s2.2.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, cast

from pyrad import packet as pyrad_packet

from radius.packets import dictionary

DISCONNECT_REQUEST, DISCONNECT_NAK = 40, 42
SESSION_CONTEXT_NOT_FOUND = 503
OLDEST = timedelta(seconds=300)


@dataclass
class Mood:
    """How it answers. ``silent``: not at all. ``refuses``: with a NAK and this Error-Cause. ``forgetful``: it knows of
    no session. ``keeps_quiet``: it ends the session, says so, and never accounts for its end. ``drops``: so many
    requests are lost before the first is heard."""

    silent: bool = False
    refuses: int | None = None
    forgetful: bool = False
    keeps_quiet: bool = False
    drops: int = 0


@dataclass
class SeenRequest:
    """One request as it came, whatever was answered."""

    attributes: dict[str, Any] = field(repr=False)
    signed: bool
    genuine: bool


End = Callable[[str, str, str | None], bool]
"""Ends the session of this (username, session id, framed address) if it is up: whether it was."""


class DisconnectServer(asyncio.DatagramProtocol):
    """Listens where the NAS takes such requests."""

    def __init__(self, *, secret: str, end: End, now: Callable[[], datetime]) -> None:
        self._secret = secret.encode()
        self._end = end
        self._now = now
        self._answers: dict[tuple[Any, int, bytes], bytes] = {}
        self.mood = Mood()
        self.requests: list[SeenRequest] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    @property
    def port(self) -> int:
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    def close(self) -> None:
        self._transport.close()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        request = self._heard(data)
        if request is None or self.mood.silent:
            return
        if self.mood.drops:
            self.mood.drops -= 1
            return
        duplicate = (addr, request.id, bytes(request.authenticator))
        if duplicate not in self._answers:
            self._answers[duplicate] = self._answer(request)
        self._transport.sendto(self._answers[duplicate], addr)

    def _heard(self, data: bytes) -> Any:
        try:
            request = pyrad_packet.CoAPacket(packet=data, secret=self._secret, dict=dictionary())
        except pyrad_packet.PacketError:
            return None
        signed = request.message_authenticator is not None
        genuine = (
            request.code == DISCONNECT_REQUEST
            and request.VerifyCoARequest()
            and (not signed or request.verify_message_authenticator())
        )
        self.requests.append(SeenRequest({str(name): request[name][0] for name in request.keys()}, signed, genuine))  # noqa: SIM118
        return request if genuine and self._is_of_now(request) else None

    def _is_of_now(self, request: Any) -> bool:
        said = request.get("Event-Timestamp")
        return said is None or abs(self._now().timestamp() - int(said[0])) <= OLDEST.total_seconds()

    def _answer(self, request: Any) -> bytes:
        reply = request.CreateReply()
        cause = self.mood.refuses
        if cause is None and (self.mood.forgetful or not self._ended(request)):
            cause = SESSION_CONTEXT_NOT_FOUND
        if cause is not None:
            reply.code = DISCONNECT_NAK
            reply[101] = [cause.to_bytes(4, "big")]
        reply.add_message_authenticator()
        packet: bytes = reply.ReplyPacket()
        return packet

    def _ended(self, request: Any) -> bool:
        framed = request.get("Framed-IP-Address")
        return self._end(
            str(request.get("User-Name", [""])[0]),
            str(request.get("Acct-Session-Id", [""])[0]),
            None if framed is None else str(framed[0]),
        )
