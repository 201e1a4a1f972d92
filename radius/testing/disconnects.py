"""The server side of a lab NAS: takes Disconnect- and CoA-Requests as RFC 5176 has it, in a good mood or a bad one.

It answers nobody who has not the secret, nor a request that is older or younger than five minutes (s6.3); a request
that comes again is given its first answer again and ends nothing twice (RFC 5080 s2.2.2).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from ipaddress import IPv6Address
from typing import Any, cast

from pyrad import packet as pyrad_packet

from radius.nas.packets import dictionary

DISCONNECT_REQUEST, COA_REQUEST = 40, 43
SESSION_CONTEXT_NOT_FOUND = 503
NAS_IDENTIFICATION_MISMATCH = 403
NAS_IPV6_ADDRESS = 95
"""RFC 3162 s2.1."""
OLDEST = timedelta(seconds=300)


@dataclass
class Mood:
    """How it answers. ``silent``: not at all. ``refuses``: with a NAK and this Error-Cause. ``forgetful``: it knows of
    no session. ``keeps_quiet``: it ends the session, says so, and never accounts for its end. ``drops``: so many
    requests are lost before the first is heard. ``refuses_changes``: as ``refuses``, of CoA-Requests only.
    ``one_key``: it knows a session by its id alone. ``late_seconds``: after which it answers. ``twice``: it says
    everything twice. ``forged``: before its answer comes one of somebody who has not the secret. ``first``: what it
    does before it answers."""

    silent: bool = False
    refuses: int | None = None
    forgetful: bool = False
    keeps_quiet: bool = False
    drops: int = 0
    refuses_changes: int | None = None
    one_key: bool = False
    late_seconds: float = 0.0
    twice: bool = False
    forged: bool = False
    first: Callable[[], Awaitable[None]] | None = None


@dataclass
class SeenRequest:
    """One request as it came, whatever was answered."""

    attributes: dict[str, Any] = field(repr=False)
    signed: bool
    genuine: bool
    code: int = DISCONNECT_REQUEST
    values: dict[str, list[Any]] = field(default_factory=dict, repr=False)


Find = Callable[[str | None, str, str | None], bool]
"""Whether a session of this (username, session id, framed address) is up; of the first and last one may be unsaid."""


class DisconnectServer(asyncio.DatagramProtocol):
    """Listens where the NAS takes such requests."""

    def __init__(
        self,
        *,
        secret: str,
        knows: Find,
        end: Find,
        now: Callable[[], datetime],
        is_it: Callable[[str], bool] = lambda _address: True,
    ) -> None:
        """``is_it``: whether it calls itself by this address (RFC 5176 s3)."""
        self._secret = secret.encode()
        self._knows = knows
        self._end = end
        self._now = now
        self._is_it = is_it
        self._answers: dict[tuple[Any, int, bytes], bytes] = {}
        self.mood = Mood()
        self.requests: list[SeenRequest] = []
        self._busy: set[asyncio.Task[None]] = set()

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
        answer = self._answers[duplicate]
        said = [forged(answer)] * self.mood.forged + [answer] * (1 + self.mood.twice)
        if self.mood.first is not None:
            task = asyncio.get_running_loop().create_task(self._say_after(self.mood.first, said, addr))
            self._busy.add(task)
            task.add_done_callback(self._busy.discard)
            return
        asyncio.get_running_loop().call_later(self.mood.late_seconds, self._say, said, addr)

    async def _say_after(self, first: Callable[[], Awaitable[None]], packets: list[bytes], addr: Any) -> None:
        await first()
        self._say(packets, addr)

    def _say(self, packets: list[bytes], addr: Any) -> None:
        if not self._transport.is_closing():
            for packet in packets:
                self._transport.sendto(packet, addr)

    def _heard(self, data: bytes) -> Any:
        try:
            request = pyrad_packet.CoAPacket(packet=data, secret=self._secret, dict=dictionary())
        except pyrad_packet.PacketError:
            return None
        signed = request.message_authenticator is not None
        genuine = (
            request.code in (DISCONNECT_REQUEST, COA_REQUEST)
            and request.VerifyCoARequest()
            and (not signed or request.verify_message_authenticator())
        )
        values = {str(name): list(request[name]) for name in request.keys()}  # noqa: SIM118
        first = {name: each[0] for name, each in values.items()}
        self.requests.append(SeenRequest(first, signed, genuine, request.code, values))
        return request if genuine and self._is_of_now(request) else None

    def _is_of_now(self, request: Any) -> bool:
        said = request.get("Event-Timestamp")
        return said is None or abs(self._now().timestamp() - int(said[0])) <= OLDEST.total_seconds()

    def _answer(self, request: Any) -> bytes:
        reply = request.CreateReply()
        ends = request.code == DISCONNECT_REQUEST
        cause = self.mood.refuses
        if cause is None and not ends:
            cause = self.mood.refuses_changes
        if cause is None and not all(self._is_it(address) for address in _named(request)):
            cause = NAS_IDENTIFICATION_MISMATCH
        if cause is None and (self.mood.forgetful or not self._found(request, self._end if ends else self._knows)):
            cause = SESSION_CONTEXT_NOT_FOUND
        reply.code = request.code + (1 if cause is None else 2)
        if cause is not None:
            reply[101] = [cause.to_bytes(4, "big")]
        reply.add_message_authenticator()
        packet: bytes = reply.ReplyPacket()
        return packet

    def _found(self, request: Any, find: Find) -> bool:
        username, framed = request.get("User-Name"), request.get("Framed-IP-Address")
        if self.mood.one_key and (username or framed):
            return False
        return find(
            None if username is None else str(username[0]),
            str(request.get("Acct-Session-Id", [""])[0]),
            None if framed is None else str(framed[0]),
        )


def forged(answer: bytes) -> bytes:
    """The same with another authenticator."""
    return answer[:4] + bytes(octet ^ 0xFF for octet in answer[4:20]) + answer[20:]


def _named(request: Any) -> Iterator[str]:
    """For which NAS a request says it is."""
    yield from request.get("NAS-IP-Address", [])
    yield from (str(IPv6Address(octets)) for octets in request.get(NAS_IPV6_ADDRESS, []))
