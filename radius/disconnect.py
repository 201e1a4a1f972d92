"""Asks a NAS to end one session: Disconnect-Request (RFC 5176 s2.1), with an answer that says no more than it knows.

An ACK is the NAS' word that the session is gone, and a NAK with *Session-Context-Not-Found* that it knows of none. Any
other NAK is a refusal. Silence is none of these: a wrong secret, a closed port and a lost reply look alike, so what
became of the session is unknown until accounting tells.
"""

from __future__ import annotations

import secrets as randomness
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Literal

from pyrad import packet as pyrad_packet

from radius.attributes import ATTRIBUTES
from radius.packets import dictionary, send_until_answered

DISCONNECT_REQUEST, DISCONNECT_ACK, DISCONNECT_NAK = 40, 41, 42
SESSION_CONTEXT_NOT_FOUND = 503

NasSaid = Literal["disconnected", "unknown_to_nas", "refused", "unanswered", "nas_unknown"]
"""``nas_unknown``: it could not be asked, since no NAS of that address is known here."""

_CAUSES = {number: name.replace("-", " ") for name, number in ATTRIBUTES["Error-Cause"].values.items()}


@dataclass(frozen=True)
class Retransmission:
    """How often a request is sent, and how long each is waited for: twice as long every time (RFC 5080 s2.2.1)."""

    sends: int = 4
    first_wait_seconds: float = 2.0
    longest_wait_seconds: float = 16.0

    def waits(self) -> Iterator[float]:
        """In seconds, each up to a tenth longer, so that many who ask do not ask in step."""
        for number in range(self.sends):
            wait = min(self.first_wait_seconds * 2**number, self.longest_wait_seconds)
            yield wait * (1 + randomness.randbelow(1000) / 10_000)


@dataclass(frozen=True)
class NasDoor:
    """Where a NAS takes such requests (UDP 3799 by RFC 5176 s3, often 1700), and the secret shared with it."""

    name: str
    address: str
    port: int
    secret: str = field(repr=False)


@dataclass(frozen=True)
class SessionIdentity:
    """What names a session to its NAS: all of it must fit, so it is no more than every NAS keeps (RFC 5176 s3)."""

    username: str
    session_id: str
    nas_address: str
    framed_ip_address: str | None


@dataclass(frozen=True)
class DisconnectAnswer:
    """What came of one request. ``error_cause`` is the NAS' number for it (RFC 5176 s3.5)."""

    said: NasSaid
    reason: str
    error_cause: int | None = None


async def ask_to_disconnect(
    door: NasDoor, session: SessionIdentity, *, now: datetime, retransmission: Retransmission
) -> DisconnectAnswer:
    """One request, sent until it is answered. Safe to repeat: a session that is gone is unknown to the NAS."""
    request = _request(door, session, now)
    try:
        answer = await send_until_answered(
            request.RequestPacket(),
            partial(_verified, request, door.name),
            server=door.address,
            port=door.port,
            waits=retransmission.waits(),
        )
    except OSError as error:
        why = error.strerror or "no reason given"
        return DisconnectAnswer("unanswered", f"NAS {door.name} ({door.address}) can't be reached: {why}")
    if answer is None:
        where = f"{door.address} port {door.port}"
        words = f"NAS {door.name} at {where} did not answer {retransmission.sends} Disconnect-Requests"
        return DisconnectAnswer("unanswered", words)
    return answer


def _request(door: NasDoor, session: SessionIdentity, now: datetime) -> Any:
    request = pyrad_packet.CoAPacket(
        code=DISCONNECT_REQUEST, id=randomness.randbelow(256), secret=door.secret.encode(), dict=dictionary()
    )
    request.add_message_authenticator()
    request["User-Name"] = session.username
    request["NAS-IP-Address"] = session.nas_address
    request["Acct-Session-Id"] = session.session_id
    if session.framed_ip_address is not None:
        request["Framed-IP-Address"] = session.framed_ip_address
    request["Event-Timestamp"] = int(now.timestamp())  # against replay (RFC 5176 s6.3)
    return request


def _verified(request: Any, nas: str, data: bytes) -> DisconnectAnswer | None:
    """The answer, if it is one and comes from who has the secret. Not every NAS signs it with a Message-Authenticator;
    one that does signs it right (RFC 5176 s3.4)."""
    try:
        reply = request.CreateReply(packet=data)
        if not request.VerifyReply(reply, data):
            return None
        causes = [int.from_bytes(raw, "big") for raw in reply.get(101, [])]
    except pyrad_packet.PacketError:
        return None
    cause = causes[0] if causes else None
    if reply.code == DISCONNECT_ACK:
        return DisconnectAnswer("disconnected", f"NAS {nas} has ended it", cause)
    if reply.code != DISCONNECT_NAK:
        return None
    if cause == SESSION_CONTEXT_NOT_FOUND:
        return DisconnectAnswer("unknown_to_nas", f"NAS {nas} knows of no such session", cause)
    words = "without a reason" if cause is None else f"{_CAUSES.get(cause, 'a cause of its own')} ({cause})"
    return DisconnectAnswer("refused", f"NAS {nas} refused to end it: {words}", cause)
