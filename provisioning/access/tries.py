"""Counting tries within a window of time, in memory that has an end.

What was counted and is older than the window is forgotten. Beyond `MOST_KEYS` the one whose last try is the oldest is
forgotten too: to be forgotten, a guesser must be counted thousands of times elsewhere first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from datetime import datetime, timedelta

MOST_KEYS = 10_000


class Tries:
    """So many tries of each key within the window, which moves; what is refused doesn't count."""

    def __init__(self, most: int, *, within: timedelta, most_keys: int = MOST_KEYS) -> None:
        self._most = most
        self._within = within
        self._most_keys = most_keys
        self._counted: OrderedDict[Hashable, list[datetime]] = OrderedDict()
        """By key, the one that was tried last at the end."""

    def __len__(self) -> int:
        return len(self._counted)

    def count(self, key: Hashable, *, at: datetime) -> int:
        """How many there are within the window."""
        return len(self._recent(key, at))

    def take(self, key: Hashable, *, at: datetime) -> bool:
        """Counts one more, if there may be one more."""
        recent = self._recent(key, at)
        if len(recent) >= self._most:
            return False
        self._counted[key] = [*recent, at]
        self._counted.move_to_end(key)
        self._forget_the_oldest(at)
        return True

    def give_back(self, key: Hashable, *, at: datetime) -> None:
        """Takes the try of this moment out of the count."""
        times = self._counted.get(key, [])
        if at in times:
            times.remove(at)
            if not times:
                del self._counted[key]

    def clear(self, key: Hashable) -> None:
        """Forgets all of this key."""
        self._counted.pop(key, None)

    def _recent(self, key: Hashable, at: datetime) -> list[datetime]:
        return [time for time in self._counted.get(key, ()) if time > at - self._within]

    def _forget_the_oldest(self, at: datetime) -> None:
        while self._counted:
            key = next(iter(self._counted))
            if len(self._counted) <= self._most_keys and self._counted[key][-1] > at - self._within:
                return
            del self._counted[key]
