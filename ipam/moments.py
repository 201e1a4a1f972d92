"""How a moment stands in a sentence."""

from __future__ import annotations

from datetime import UTC, datetime


def at_second(moment: datetime) -> str:
    """To the second, in UTC."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
