"""Asks a NAS to end or to change one session (RFC 5176), with an answer that says no more than it knows.

A NAK with *Session-Context-Not-Found* may only mean that one of the keys is written otherwise at the NAS, so such a
request goes out once more with the session's id alone before it is believed, unless another session has that too.
Silence is no answer: a wrong secret, a closed port and a lost reply look alike.
"""

from __future__ import annotations

import random
import secrets as randomness
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pyrad import packet as pyrad_packet

from radius.attributes import ATTRIBUTES
from radius.coa.wire import Request, Words, request_of
from radius.dialects import SessionKey
from radius.nas.packets import send_until_answered

DISCONNECT_REQUEST, COA_REQUEST = 40, 43
NAS_IDENTIFICATION_MISMATCH, SESSION_CONTEXT_NOT_FOUND = 403, 503
EVERY_KEY: tuple[SessionKey, ...] = ("User-Name", "NAS-IP-Address", "Acct-Session-Id", "Framed-IP-Address")
ONE_KEY: tuple[SessionKey, ...] = ("Acct-Session-Id",)

Shares = Callable[[], Awaitable[bool]]
"""Whether another open session at the NAS has the same id by now."""

_NAMES = {DISCONNECT_REQUEST: "Disconnect-Request", COA_REQUEST: "CoA-Request"}
_OF_ITS_OWN = "a cause of its own"
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
            yield wait * (1 + random.random() / 10)


@dataclass(frozen=True)
class NasDoor:
    """Where a NAS takes such requests (UDP 3799 by RFC 5176 s3, often 1700), how, and the secret shared with it.

    ``keys`` name a session to it; ``event_timestamp`` is false for one that refuses requests with an Event-Timestamp.
    ``calls_itself`` is how it is named to itself where that is another address: it refuses what is for another NAS
    (Error-Cause 403).
    ``pace`` waits before each datagram until it may be sent.
    """

    name: str
    address: str
    port: int
    secret: str = field(repr=False)
    keys: tuple[SessionKey, ...] = EVERY_KEY
    event_timestamp: bool = True
    calls_itself: str | None = None
    pace: Callable[[], Awaitable[None]] | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True)
class SessionIdentity:
    """What names a session to its NAS: all of it that is sent must fit."""

    username: str
    session_id: str
    nas_address: str
    framed_ip_address: str | None


@dataclass(frozen=True)
class NasReply:
    """``heard``: ACK, NAK, or nothing. ``error_cause`` is the NAS' number for it (RFC 5176 s3.5), ``words`` say why
    it is no ACK. ``unbelieved``: so many answers came that were not signed as they must be, and count for nothing."""

    heard: Literal["ack", "nak", "silence"]
    words: str = ""
    error_cause: int | None = None
    unbelieved: int = 0

    @property
    def knows_no_session(self) -> bool:
        return self.heard == "nak" and self.error_cause == SESSION_CONTEXT_NOT_FOUND

    @property
    def is_for_another(self) -> bool:
        """The NAS takes the request for one to another NAS."""
        return self.heard == "nak" and self.error_cause == NAS_IDENTIFICATION_MISMATCH


_PROVES_NOTHING = NasReply(
    "nak", "it knows no session by more than the id, and another open session there has the same one"
)


async def ask(
    door: NasDoor,
    code: int,
    session: SessionIdentity,
    attributes: Sequence[tuple[str, str | int]] = (),
    *,
    now: datetime,
    retransmission: Retransmission,
    shares_its_id: Shares | None = None,
) -> NasReply:
    """One request, sent until it is answered; another one with a single key if the NAS knows of no such session.

    ``shares_its_id`` is asked before any request that goes by the id alone, which would be for somebody else then, who
    is online.
    """

    async def by(keys: Sequence[SessionKey]) -> NasReply:
        return await _ask(door, code, session, attributes, keys=keys, now=now, retransmission=retransmission)

    if door.keys == ONE_KEY:
        if shares_its_id is None or not await shares_its_id():
            return await by(ONE_KEY)
        reply = await by(EVERY_KEY)
        return _PROVES_NOTHING if reply.knows_no_session else reply
    reply = await by(door.keys)
    if reply.knows_no_session and (shares_its_id is None or not await shares_its_id()):
        return await by(ONE_KEY)
    return reply


async def _ask(
    door: NasDoor,
    code: int,
    session: SessionIdentity,
    attributes: Sequence[tuple[str, str | int]],
    *,
    keys: Sequence[SessionKey],
    now: datetime,
    retransmission: Retransmission,
) -> NasReply:
    request, unbelieved = _request(door, code, session, keys, tuple(attributes), now), 0

    def heard(data: bytes) -> NasReply | None:
        nonlocal unbelieved
        answer = _verified(request, data)
        unbelieved += answer is None
        return answer

    try:
        reply = await send_until_answered(
            request.packet,
            heard,
            server=door.address,
            port=door.port,
            waits=retransmission.waits(),
            pace=door.pace,
        )
    except OSError as error:
        why = error.strerror or "no reason given"
        return NasReply("silence", f"NAS {door.name} ({door.address}) can't be reached: {why}")
    if reply is None:
        where = f"{door.address} port {door.port}"
        words = f"NAS {door.name} at {where} did not answer {retransmission.sends} {_NAMES[code]}s"
        if unbelieved:
            words += (
                f"; it sent {unbelieved} answers that are not signed as they must be: with another secret, or with a"
                " wrong Message-Authenticator (RFC 5176 s3.4), as FreeRADIUS 3.2.1 does when it is told to sign"
            )
        return NasReply("silence", words, unbelieved=unbelieved)
    return reply


def _request(
    door: NasDoor, code: int, session: SessionIdentity, keys: Sequence[SessionKey], words: Words, now: datetime
) -> Request:
    known: dict[SessionKey, str | None] = {
        "User-Name": session.username,
        "NAS-IP-Address": door.calls_itself or session.nas_address,
        "Acct-Session-Id": session.session_id,
        "Framed-IP-Address": session.framed_ip_address,
    }
    named = [(key, value) for key in keys if (value := known[key]) is not None]
    at = now if door.event_timestamp else None
    return request_of(code, randomness.token_bytes(1)[0], door.secret, keys=named, words=words, at=at)


def _verified(request: Request, data: bytes) -> NasReply | None:
    """The answer, if it is one and comes from who has the secret. Not every NAS signs it with a Message-Authenticator;
    one that does signs it right (RFC 5176 s3.4)."""
    if request.is_answered_plainly(data):
        return NasReply("ack")
    asked = request.as_pyrad()
    try:
        reply = asked.CreateReply(packet=data)
        if not asked.VerifyReply(reply, data):
            return None
        raw_causes = reply.get(101, [])
    except pyrad_packet.PacketError:
        return None
    cause = _cause(raw_causes[0]) if raw_causes else None
    if reply.code == request.code + 1:
        return NasReply("ack", error_cause=cause)
    if reply.code != request.code + 2:
        return None
    words = "without a reason"
    if raw_causes:
        words = _OF_ITS_OWN if cause is None else f"{_CAUSES.get(cause, _OF_ITS_OWN)} ({cause})"
    return NasReply("nak", words, cause)


def _cause(raw: bytes) -> int | None:
    """An Error-Cause has four octets (RFC 5176 s3.5); one that is no such number, or none that can be kept, is none."""
    number = int.from_bytes(raw, "big")
    return number if len(raw) == 4 and number < 2**31 else None
