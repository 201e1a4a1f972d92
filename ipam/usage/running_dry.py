"""When a pool is running low, and when it will be full. Pure arithmetic on numbers that somebody has counted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Level = Literal["ok", "low", "critical", "exhausted"]

LEVELS: tuple[Level, ...] = ("ok", "low", "critical", "exhausted")
HYSTERESIS_PERCENT = 5
"""How far a pool must fall below a threshold before it has recovered, so that no alarm flutters."""
FEWEST_AGAIN = 2
"""Of a small pool so many units, since one alone comes and goes."""
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
    are reserved, or drained and nobody's."""
    if free <= 0:
        return "exhausted"
    if before == "exhausted" and free < min(size - kept, max(FEWEST_AGAIN, _percent(size, HYSTERESIS_PERCENT))):
        return "exhausted"
    used_percent = 100 * (size - free) / size
    was = LEVELS.index(before)
    again = HYSTERESIS_PERCENT if was >= LEVELS.index("critical") else 0
    floor = limits.minimum_free + (_percent(limits.minimum_free, HYSTERESIS_PERCENT) if again else 0)
    if used_percent >= limits.crit_percent - again or free < floor:
        return "critical"
    again = HYSTERESIS_PERCENT if was >= LEVELS.index("low") else 0
    return "low" if used_percent >= limits.warn_percent - again else "ok"


def shown(level: Level, free: int) -> Level:
    """What is said of a pool at that level: one that was exhausted, and of which a few units are free by now, isn't."""
    return "critical" if level == "exhausted" and free > 0 else level


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
