"""How long ways take: as a router has told it for these places, else as the crow flies.

A router is asked by searches alone (``learn``), which hold nothing; who books, and who searches while technicians are
held (``as_known``), reads what is known by then, so nobody waits for a router then. What it told is kept for a day.
Where it can't be had, the straight line stands in, and offers say which of both it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from functools import partial
from typing import Protocol

import structlog

from provisioning.field.travel import DEFAULT_KMH, Place, minutes_between

BY_ROAD, STRAIGHT = "road", "straight line"
KEPT_SECONDS = 24 * 3600.0
AFTER_TROUBLE_SECONDS = 60.0
"""So long a router that could not be had is left alone."""
MOST_KEPT = 200_000
MOST_PLACES = 100
"""In one question: what OSRM answers as it is shipped (``--max-table-size``)."""

Seconds = Sequence[Sequence[float | None]]
"""From each place (rows) to each (columns); None: no road leads there."""

Asking = Callable[[], Awaitable[None]]
"""Asks a router for ways, and takes its time: to be called when no transaction is open."""

log = structlog.get_logger(__name__)


class RouterUnavailable(Exception):
    """The router gave no answer that can be used; ``str`` says why."""


class Router(Protocol):
    """Whoever knows the roads."""

    async def table(self, places: Sequence[Place], *, origins: Sequence[int], destinations: Sequence[int]) -> Seconds:
        """Seconds from these places to those, by their numbers. Raises: RouterUnavailable."""


class Ways:
    """What one process knows of ways. ``kmh``: the speed of straight lines."""

    def __init__(
        self,
        *,
        kmh: float = DEFAULT_KMH,
        router: Router | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kmh = kmh
        self._router = router
        self._monotonic = monotonic
        self._known: dict[tuple[Place, Place], tuple[float, int | None]] = {}
        self._rests_until = -math.inf

    @property
    def asks(self) -> bool:
        """Whether there is a router to be asked."""
        return self._router is not None

    def as_known(self) -> Ways:
        """What is known of ways, also what is learnt later, asking nobody: for who searches while technicians are
        held."""
        known = Ways(kmh=self._kmh, monotonic=self._monotonic)
        known._known = self._known
        return known

    def minutes(self, here: Place | None, there: Place | None) -> int | None:
        """Whole minutes, rounded up; None where a place isn't known."""
        told = self._told(here, there)
        return minutes_between(here, there, kmh=self._kmh) if told is None else told

    def by(self, here: Place | None, there: Place | None) -> str:
        """What ``minutes`` are of: the road, or the straight line."""
        return STRAIGHT if self._told(here, there) is None else BY_ROAD

    def to_ask(self, places: Collection[Place | None], *, around: Place | None) -> Asking | None:
        """What ``learn`` would ask, for whoever has read the places in a transaction and asks when that is over. None:
        there is nothing to ask."""
        if self._router is None or around is None or all(each is None or self._knows(each, around) for each in places):
            return None
        return partial(self.learn, places, around=around)

    async def learn(self, places: Collection[Place | None], *, around: Place | None) -> None:
        """Asks the router for the ways between ``around`` and each of these places, both ways, as far as they are not
        known. Without a router, or while it can't be had, nothing happens."""
        if self._router is None or around is None or self._monotonic() < self._rests_until:
            return
        unknown = [each for each in dict.fromkeys(places) if each is not None and not self._knows(each, around)]
        for start in range(0, len(unknown), MOST_PLACES - 1):
            some = unknown[start : start + MOST_PLACES - 1]
            try:
                await self._ask(self._router, around, some)
            except RouterUnavailable as error:
                log.warning("no ways by road", reason=str(error))
                self._rests_until = self._monotonic() + AFTER_TROUBLE_SECONDS
                return

    async def _ask(self, router: Router, around: Place, some: list[Place]) -> None:
        places, others = [around, *some], list(range(1, len(some) + 1))
        there = await router.table(places, origins=[0], destinations=others)
        back = await router.table(places, origins=others, destinations=[0])
        until = self._monotonic() + KEPT_SECONDS
        if len(self._known) > MOST_KEPT:
            self._known.clear()
        for number, place in enumerate(some):
            self._known[around, place] = until, _minutes(there[0][number])
            self._known[place, around] = until, _minutes(back[number][0])

    def _told(self, here: Place | None, there: Place | None) -> int | None:
        if here is None or there is None:
            return None
        until, minutes = self._known.get((here, there), (-math.inf, None))
        return minutes if self._monotonic() < until else None

    def _knows(self, here: Place, there: Place) -> bool:
        now = self._monotonic()
        return all(now < self._known.get(way, (-math.inf, None))[0] for way in ((here, there), (there, here)))


def _minutes(seconds: float | None) -> int | None:
    """None: no road leads there, and the straight line stands in."""
    return None if seconds is None else math.ceil(round(seconds / 60, 6))


AS_THE_CROW_FLIES = Ways()
"""For who books what has no place, or knows of no router."""
