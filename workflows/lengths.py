"""Lengths of time in words, as sentences and the reference tell them."""

from __future__ import annotations

from datetime import timedelta


def in_words(length: timedelta) -> str:
    """A length of time in its largest unit that is whole.

    >>> in_words(timedelta(days=14)), in_words(timedelta(hours=1))
    ('14 days', '1 hour')
    """
    seconds = int(length.total_seconds())
    size, unit = next(
        (size, unit)
        for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
        if seconds % size == 0
    )
    count = seconds // size
    return f"{count} {unit}" + ("s" if count != 1 else "")
