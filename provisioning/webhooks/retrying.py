"""How one sending ended, and when the next one is due."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MOST_ATTEMPTS = 14
FIRST_DELAY = timedelta(seconds=10)
FACTOR = 3
LONGEST_DELAY = timedelta(hours=12)
JITTER = 0.2
LONGEST_REST = timedelta(days=1)
"""Whatever the other side asks for in its ``Retry-After``."""

GONE = 410
COME_AGAIN = (429, 503)


@dataclass(frozen=True)
class Outcome:
    """``why_not`` None: it was taken. ``rest``: how long its side asks us to send it nothing at all."""

    why_not: str | None = None
    status: int | None = None
    rest: timedelta | None = None

    @property
    def gone(self) -> bool:
        """Its side wants nothing any more."""
        return self.status == GONE


def delay_after(attempts: int, random: Callable[[], float]) -> timedelta:
    """Ten seconds, three times as long after every attempt, half a day at most; a fifth more or less, so that what
    failed together doesn't come again together. All in all about three days."""
    delay = LONGEST_DELAY if attempts > MOST_ATTEMPTS else min(FIRST_DELAY * FACTOR ** (attempts - 1), LONGEST_DELAY)
    return delay * (1 - JITTER + 2 * JITTER * random())


def outcome_of(status: int, retry_after: str | None, *, now: datetime) -> Outcome:
    """What an answer means (Standard Webhooks 1.0): 2xx is a yes, 410 a farewell, all else a failure."""
    if 200 <= status <= 299:
        return Outcome(status=status)
    if status == GONE:
        return Outcome("HTTP 410: it wants nothing any more", status)
    if 300 <= status <= 399:
        return Outcome(f"HTTP {status}: it leads elsewhere, and redirects are not followed", status)
    rest = rest_of(retry_after, now=now) if status in COME_AGAIN else None
    return Outcome(f"HTTP {status}", status, rest)


def rest_of(retry_after: str | None, *, now: datetime) -> timedelta | None:
    """``Retry-After`` (RFC 9110 s10.2.3): seconds, or a date; None for what is neither, or over."""
    given = (retry_after or "").strip()
    if given.isascii() and given.isdigit():
        rest = timedelta(seconds=min(int(given[:9]), LONGEST_REST.total_seconds()))
    else:
        try:
            until = parsedate_to_datetime(given)
        except (ValueError, TypeError):
            return None
        rest = (until if until.tzinfo else until.replace(tzinfo=UTC)) - now
    return min(rest, LONGEST_REST) if rest > timedelta() else None
