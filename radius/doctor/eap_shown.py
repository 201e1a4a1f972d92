"""The certificate that a running FreeRADIUS shows in EAP, beside the one that stands in its file: it reads the file
when it starts and not again. Looked at by ``radius.doctor.examination``.

A device's part is played up to the end of the TLS handshake (RFC 3748, RFC 5216 s2.1), by nobody, who says no password
in the tunnel and is not heard of again: nothing is refused, so the log of logins has nothing of it.
"""

from __future__ import annotations

import secrets as randomness
import ssl
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from cryptography import x509
from pyrad import packet as pyrad_packet

from radius.doctor.eap import named, shown_files
from radius.doctor.raddb import Raddb
from radius.doctor.traps import Trap
from radius.doctor.wire import Patient
from radius.nas.canary import ACCESS_REQUEST, CANARY, AuthDoor, is_of_this_machine
from radius.nas.packets import dictionary, send_until_answered

ACCESS_CHALLENGE, STATE, EAP_MESSAGE = 11, 24, 79
EAP_REQUEST, EAP_RESPONSE = 1, 2
IDENTITY, NAK, TTLS, PEAP = 1, 3, 21, 25
LENGTH_INCLUDED, MORE_FRAGMENTS, START = 0x80, 0x40, 0x20
MOST_IN_ATTRIBUTE = 253
MOST_ROUNDS = 40
"""Of a chain that is longer than anybody's there would be no end."""


class _NoTunnel(Exception):
    """Why the server's certificate was not seen, for an operator."""


async def eap_shown_traps(patient: Patient, raddb: Raddb, unseen: list[str]) -> list[Trap]:
    """Whether another certificate is shown than the files have; nothing where no EAP is served.

    What could not be looked at comes to ``unseen``.
    """
    files = {path: found for path in dict.fromkeys(shown_files(raddb)) if (found := _first(path)) is not None}
    doors = [door for door in patient.doors if is_of_this_machine(door.nas_address)]
    if not files or not doors:
        return []
    where = f"{doors[0].host} port {doors[0].port}"
    try:
        shown = x509.load_der_x509_certificate(await _shown_by(doors[0], waits=patient.waits))
    except (_NoTunnel, ssl.SSLError, ValueError, OSError) as error:
        unseen.append(f"which certificate FreeRADIUS at {where} shows in EAP: {_in_words(error)}")
        return []
    if any(shown == each for each in files.values()):
        return []
    ends = f"{shown.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return [
        Trap(
            trap="eap_certificate_not_taken_up",
            what=f"FreeRADIUS at {where} shows another certificate in EAP than {', '.join(map(str, files))} has: one of"
            f" {named(shown)}, until {ends}",
            why="It reads the file when it starts. Once the certificate that it still shows has run out, devices that"
            " look at it do not log in, whatever stands in the file.",
            fix="systemctl restart freeradius",
        )
    ]


def _first(path: Path) -> x509.Certificate | None:
    """The server's own; None of a file of which is said elsewhere what is wrong with it."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())[0]
    except (OSError, ValueError, x509.InvalidVersion):
        return None


def _in_words(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"the handshake failed ({error.reason or 'no reason given'})"
    if isinstance(error, OSError):
        return error.strerror or "no way to it"
    return str(error)


async def _shown_by(door: AuthDoor, *, waits: Iterable[float]) -> bytes:
    """The server's own certificate (DER).

    Raises:
        _NoTunnel, ssl.SSLError, OSError
    """
    conversation = _Conversation(door, tuple(waits))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = _context().wrap_bio(incoming, outgoing)
    kind, said = await conversation.say(IDENTITY, CANARY.encode())
    if kind not in (PEAP, TTLS):  # another one is what it begins with
        kind, said = await conversation.say(NAK, bytes([PEAP, TTLS]))
    if kind not in (PEAP, TTLS) or not said or not said[0] & START:
        raise _NoTunnel("it offers neither PEAP nor TTLS")
    for _ in range(MOST_ROUNDS):
        try:
            tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        else:
            return tls.getpeercert(binary_form=True) or b""
        _, said = await conversation.say(kind, b"\0" + outgoing.read())
        more = await _take(conversation, kind, said, incoming)
        if not more:
            raise _NoTunnel("the tunnel does not come about")
    raise _NoTunnel("the handshake has no end")


async def _take(conversation: _Conversation, kind: int, said: bytes, incoming: ssl.MemoryBIO) -> int:
    """All fragments of what it says next, each but the last acknowledged (RFC 5216 s2.1.5); how many octets."""
    taken = 0
    for _ in range(MOST_ROUNDS):
        flags, content = said[0] if said else 0, said[1:]
        content = content[4:] if flags & LENGTH_INCLUDED else content
        taken += incoming.write(content) if content else 0
        if not flags & MORE_FRAGMENTS:
            return taken
        _, said = await conversation.say(kind, b"\0")
    raise _NoTunnel("what it says has no end")


def _context() -> ssl.SSLContext:
    """Takes whatever is shown: it is compared, not trusted. Over TLS 1.3 a device says more before the server does."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


class _Conversation:
    """EAP with a server, as a NAS passes it on (RFC 3579 s2.1)."""

    def __init__(self, door: AuthDoor, waits: Sequence[float]) -> None:
        self._door = door
        self._waits = waits
        self._state: bytes | None = None
        self._number = 0

    async def say(self, kind: int, content: bytes) -> tuple[int, bytes]:
        """What the server asks next: its type and what follows the type.

        Raises:
            _NoTunnel, OSError
        """
        request = self._request(_message(EAP_RESPONSE, self._number, kind, content))
        door = self._door
        reply = await send_until_answered(
            request.RequestPacket(),
            partial(_verified, request),
            server=door.host,
            port=door.port,
            source=door.nas_address,
            waits=self._waits,
        )
        if reply is None:
            raise _NoTunnel("it does not answer")
        message = b"".join(reply.get(EAP_MESSAGE, []))
        if reply.code != ACCESS_CHALLENGE or len(message) < 5 or message[0] != EAP_REQUEST:
            raise _NoTunnel("it refuses EAP")
        self._number = message[1]
        self._state = next(iter(reply.get(STATE, [])), None)
        return message[4], message[5 : int.from_bytes(message[2:4], "big")]

    def _request(self, message: bytes) -> Any:
        door = self._door
        request: Any = pyrad_packet.AuthPacket(
            code=ACCESS_REQUEST, id=randomness.randbelow(256), secret=door.secret.encode(), dict=dictionary()
        )
        request.add_message_authenticator()
        request["User-Name"] = CANARY
        request["NAS-IP-Address"] = door.nas_address
        request["NAS-Identifier"] = door.nas_name
        request[EAP_MESSAGE] = list(_cut(message))
        if self._state is not None:
            request[STATE] = [self._state]
        return request


def _message(code: int, number: int, kind: int, content: bytes) -> bytes:
    return bytes([code, number]) + (len(content) + 5).to_bytes(2, "big") + bytes([kind]) + content


def _cut(message: bytes) -> Iterator[bytes]:
    for start in range(0, len(message), MOST_IN_ATTRIBUTE):
        yield message[start : start + MOST_IN_ATTRIBUTE]


def _verified(request: Any, data: bytes) -> Any:
    """The answer, if who has the secret has signed it."""
    try:
        reply = request.CreateReply(packet=data)
        return reply if request.VerifyReply(reply, data, enforce_ma=True) else None
    except pyrad_packet.PacketError:
        return None
