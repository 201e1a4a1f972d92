"""``radius.coa``: thousands of CoA-Requests to simulated NASes, each a process with a socket and a memory of its own.

A simulated NAS verifies who asks (RFC 5176 s3.5 and its Message-Authenticator), remembers what it was asked by source
and identifier (RFC 5080 s2.2.2), and acknowledges. What comes of each request is counted here, what was changed there.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import socket
import struct
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from multiprocessing.connection import Connection

import uvloop

from radius.coa.coa import ask_to_change
from radius.coa.dynamic_authorization import NasDoor, Retransmission, SessionIdentity
from tests.bench.lines import percentiles, say
from tests.bench.radius_tables import QUICK
from tests.bench.windows import FORK

SESSIONS = 1_000 if QUICK else 10_000
NASES, AT_ONCE = 4, 32
SECRET = "a-bench-secret-of-24-characters"
WORDS = (("Mikrotik-Rate-Limit", "20000k/100000k"), ("Session-Timeout", 3600))
_COA, _ACK, _SESSION_ID, _AUTHENTICATOR = 43, 44, 44, 80


def measure() -> None:
    """The NASes first, while there is no event loop that they would inherit."""
    pipes, doors = _started()
    try:
        answers, seconds, cpu = uvloop.run(_fan_out(doors))
    finally:
        changed = _stopped(pipes)
    said = Counter(each for of_nas, _ in answers for each in of_nas)
    took = [each for _, of_nas in answers for each in of_nas]
    say(
        {
            "bench": "radius.coa",
            "clients": NASES,
            "sessions": SESSIONS,
            "rate_per_s": round(SESSIONS / seconds, 1),
            **percentiles(took),
            "cpu_ms": round(cpu / SESSIONS * 1000, 3),
            "lost": SESSIONS - said["changed"],
            "not_changed": SESSIONS - changed,
            "runs": 1,
        }
    )


async def _fan_out(doors: Sequence[NasDoor]) -> tuple[list[tuple[list[str], list[float]]], float, float]:
    """One request a session, so many under way at each NAS as a NAS's lane has; the answers, and the seconds by the
    clock and of this process."""
    began, busy = time.perf_counter(), time.process_time()
    answers = await asyncio.gather(*(_all_of(door, number) for number, door in enumerate(doors)))
    return answers, time.perf_counter() - began, time.process_time() - busy


async def _all_of(door: NasDoor, first: int) -> tuple[list[str], list[float]]:
    said, took, numbers = list[str](), list[float](), iter(range(first, SESSIONS, NASES))

    async def one_after_the_other() -> None:
        for number in numbers:
            session = SessionIdentity(f"u{number}@isp.example", f"s{number}", door.address, None)
            began = time.perf_counter()
            answer = await ask_to_change(
                door, session, WORDS, now=datetime.now(UTC), retransmission=Retransmission(sends=3)
            )
            took.append((time.perf_counter() - began) * 1000)
            said.append(answer.said)

    await asyncio.gather(*(one_after_the_other() for _ in range(AT_ONCE)))
    return said, took


def _started() -> tuple[list[Connection], list[NasDoor]]:
    pipes, doors = [], []
    for number in range(NASES):
        ours, theirs = FORK.Pipe()
        FORK.Process(target=_be_a_nas, args=(theirs,), daemon=True).start()
        pipes.append(ours)
        doors.append(NasDoor(name=f"bng-{number}", address="127.0.0.1", port=ours.recv(), secret=SECRET))
    return pipes, doors


def _stopped(pipes: Sequence[Connection]) -> int:
    """How many sessions the NASes have changed, each counted once."""
    changed = 0
    for pipe in pipes:
        pipe.send(None)
        changed += pipe.recv()
    return changed


def _be_a_nas(pipe: Connection) -> None:
    secret, changed, answered = SECRET.encode(), set[bytes](), dict[tuple[object, bytes], bytes]()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * 1024 * 1024)
        door.bind(("127.0.0.1", 0))
        door.settimeout(0.2)
        pipe.send(door.getsockname()[1])
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
