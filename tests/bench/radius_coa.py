"""``radius.coa``: thousands of CoA-Requests to simulated NASes, by our client alone.

What comes of each request is counted here, what was changed there.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import uvloop

from radius.coa.coa import ask_to_change
from radius.coa.dynamic_authorization import NasDoor, Retransmission, SessionIdentity
from tests.bench.lines import percentiles, say
from tests.bench.radius_nas import NASES, started, stopped
from tests.bench.radius_tables import QUICK

SESSIONS = 1_000 if QUICK else 10_000
AT_ONCE = 32
SECRET = "a-bench-secret-of-24-characters"
WORDS = (("Mikrotik-Rate-Limit", "20000k/100000k"), ("Session-Timeout", 3600))


def measure() -> None:
    """The NASes first, while there is no event loop that they would inherit."""
    nases = started()
    try:
        for nas in nases:
            nas.share(SECRET)
        doors = [NasDoor(name=nas.address, address=nas.address, port=nas.port, secret=SECRET) for nas in nases]
        answers, seconds, cpu = uvloop.run(_fan_out(doors))
    finally:
        changed = stopped(nases)
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
