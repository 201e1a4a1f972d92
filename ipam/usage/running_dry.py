"""When a pool is running low, and when it will be full. Pure arithmetic on numbers that somebody has counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Level = Literal["ok", "low", "critical", "exhausted"]

LEVELS: tuple[Level, ...] = ("ok", "low", "critical", "exhausted")
HYSTERESIS_PERCENT = 5
"""How far a pool must fall below a threshold before it has recovered, so that no alarm flutters."""
HYSTERESIS_UNITS = 1
"""How many units that is at least, however small the pool: one alone comes and goes."""
SHORTEST_LOOK = timedelta(hours=1)
"""From less than this nothing is foretold."""


@dataclass(frozen=True)
class Limits:
    """When a pool is running low (``warn_percent`` in use) and about to be full (the others)."""

    warn_percent: int
    crit_percent: int
    minimum_free: int


def level_of(*, size: int, free: int, before: Level, limits: Limits, kept: int = 0) -> Level:
    """How bad it is now, if it was ``before`` when last looked at. ``kept``: units that can't become free, since they
    are reserved, or drained and nobody's. When all others are free, a pool has recovered as far as it can."""
    was, most = LEVELS.index(before), size - kept
    for level, enough, again in _floors(size, limits):
        recovered = min(max(again, enough + HYSTERESIS_UNITS), most)
        if free < enough or (was >= LEVELS.index(level) and free < recovered):
            return level
    return "ok"


def _floors(size: int, limits: Limits) -> Iterator[tuple[Level, int, int]]:
    """Of each level, the worst first, with how many free units a pool isn't at it, and with how many it has recovered
    from it by percent."""
    yield "exhausted", 1, _percent(size, HYSTERESIS_PERCENT)
    least, more = limits.minimum_free, _percent(limits.minimum_free, HYSTERESIS_PERCENT)
    percent = limits.crit_percent
    enough, again = _below(size, percent), _below(size, percent - HYSTERESIS_PERCENT)
    yield "critical", max(enough, least), max(again, least + more)
    percent = limits.warn_percent
    yield "low", _below(size, percent), _below(size, percent - HYSTERESIS_PERCENT)


def shown(level: Level, free: int) -> Level:
    """What is said of a pool at that level: one that was exhausted, and of which a few units are free by now, isn't."""
    return "critical" if level == "exhausted" and free > 0 else level


def _below(size: int, used_percent: int) -> int:
    """The fewest free units with which less than that is in use."""
    return size * (100 - used_percent) // 100 + 1


def _percent(units: int, percent: int) -> int:
    """Of so many units, rounded up."""
    return -(-units * percent // 100)


def units_per_day(*, used_then: int, then: datetime, used_now: int, now: datetime) -> float | None:
    """How fast units are used up (less than nothing: they come back); None: it is too soon to say. What is drained,
    excluded or reserved was not used up by anybody, and will not be again tomorrow; nor was what an import has brought,
    so that looks from before it don't count (``looks.begin_rates_anew``)."""
    if now - then < SHORTEST_LOOK:
        return None
    return (used_now - used_then) / ((now - then) / timedelta(days=1))


def days_left(free: int, per_day: float | None) -> float | None:
    """Until the last one goes, if it goes on like this; None: it doesn't come to that, or it is too soon to say."""
    if free <= 0:
        return 0.0
    return None if per_day is None or per_day <= 0 else free / per_day
