"""Leaves an ACS in peace that is in trouble, and finds out when it is well again, for all that would ask it.

::

    closed     everybody may ask; what cannot be reached opens it at once, three silences in a row do
    open       nobody asks for 2, 4, 8 ... 60 s; who comes is told why, and when it is asked again
    half-open  the next that comes asks something harmless first, once and without patience, whatever it is about to
               ask; the others still wait for how that ends

An answer of any kind closes it: an ACS that rejects is well. A request that kills a worker (``NbiPoisoned``) says
nothing about the ACS's health: another request is answered by another worker, or by this one in a moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import structlog

from acs.nbi.errors import NbiLeftInPeace

SILENCES = 3
"""Time-outs and cuts in a row that make trouble; one may be a heavy query, or a worker that went."""
SHORTEST_PAUSE_SECONDS = 2.0
LONGEST_PAUSE_SECONDS = 60.0

BreakerState = Literal["closed", "open", "half_open"]

log = structlog.get_logger(__name__)


class CircuitBreaker:
    """Of one ACS, in one process."""

    def __init__(self, acs: str, *, monotonic: Callable[[], float]) -> None:
        self._acs = acs
        self._monotonic = monotonic
        self._silences = 0
        self._openings = 0
        self._resume_at: float | None = None
        self._why = ""
        self._probing = False

    @property
    def state(self) -> BreakerState:
        if self._resume_at is None:
            return "closed"
        return "open" if self._probing or self._monotonic() < self._resume_at else "half_open"

    @property
    def why(self) -> str:
        """What the trouble was; empty while it is closed."""
        return "" if self._resume_at is None else self._why

    @contextmanager
    def asking(self) -> Iterator[bool]:
        """Around one request; whether it is the probe, which has no patience. What it meets is told by the others.

        Raises: NbiLeftInPeace without a request.
        """
        if self._resume_at is None:
            yield False
            return
        self.require_peace_is_over()
        self._probing = True
        try:
            yield True
        finally:  # cancelled or poisoned, it has proved nothing: the next that comes is the probe
            self._probing = False

    def require_peace_is_over(self) -> None:
        """For who is about to try once more. Raises: NbiLeftInPeace."""
        if self._resume_at is None:
            return
        if self._probing:
            raise NbiLeftInPeace(self._acs, why=self._why, seconds=None)
        pause = self._resume_at - self._monotonic()
        if pause > 0:
            raise NbiLeftInPeace(self._acs, why=self._why, seconds=pause)

    def answered(self) -> None:
        if self._resume_at is not None:
            log.info("acs answers again", acs=self._acs)
        self._silences = self._openings = 0
        self._resume_at, self._why = None, ""

    def unreachable(self, why: str) -> None:
        self._open(why)

    def silent(self, why: str) -> None:
        """No answer came in time, or it was cut off."""
        self._silences += 1
        if self._silences >= SILENCES or self._resume_at is not None:
            self._open(why)

    def _open(self, why: str) -> None:
        if self._resume_at is not None and not self._probing and self._monotonic() < self._resume_at:
            return  # what was under way when it opened: no further trouble
        self._openings += 1
        pause = min(SHORTEST_PAUSE_SECONDS * 2.0 ** min(self._openings - 1, 10), LONGEST_PAUSE_SECONDS)
        self._resume_at, self._why = self._monotonic() + pause, why
        log.warning("acs is left in peace", acs=self._acs, why=why, pause_seconds=pause)
