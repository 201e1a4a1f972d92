"""How values read on a page: times with their age, lengths of time, states with a mark, results without secrets."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from provisioning.logs import mask_secrets

MARKS = {
    "planned": "·",
    "acknowledged": "·",
    "inProgress": "▸",
    "pending": "…",
    "unknown": "?",
    "held": "✗",
    "skipped": "-",
    "completed": "✓",
    "partial": "!",
    "undone": "↩",
    "failed": "✗",
    "cancelled": "↩",
    "pendingCancellation": "↩",
    "rejected": "✗",
    "booked": "·",
    "scanned": "✓",
    "no_access": "✗",
    "not_feasible": "✗",
    "confirmed": "✓",
    "asked_for": "…",
    "not_done": "✗",
    "active": "✓",
    "testing": "▸",
    "suspended": "!",
}
TONES = {
    "held": "bad",
    "failed": "bad",
    "rejected": "bad",
    "not_feasible": "bad",
    "no_access": "warn",
    "unknown": "warn",
    "partial": "warn",
    "pendingCancellation": "warn",
    "pending": "calm",
    "inProgress": "calm",
    "completed": "good",
    "scanned": "good",
    "confirmed": "good",
    "asked_for": "calm",
    "not_done": "bad",
    "active": "good",
    "testing": "calm",
    "suspended": "warn",
}
STATES = {
    "acknowledged": "accepted",
    "inProgress": "under way",
    "pending": "waits",
    "held": "held",
    "completed": "completed",
    "partial": "partial",
    "failed": "failed",
    "cancelled": "cancelled",
    "pendingCancellation": "being undone",
    "rejected": "rejected",
    "planned": "planned",
    "unknown": "outcome unknown",
    "skipped": "skipped",
    "undone": "undone",
    "no_access": "no access",
    "not_feasible": "not feasible",
}


def moment(value: datetime | None) -> str:
    """To the second, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if value else ""


def iso(value: datetime) -> str:
    """For a ``<time>`` element."""
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def age(value: datetime, now: datetime) -> str:
    """How long ago, in the largest unit that tells something."""
    return length(now - value)


def length(value: timedelta) -> str:
    """A length of time in words: ``40 ms``, ``1.4 s``, ``12 s``, ``5 min``, ``3 h``, ``4 days``."""
    seconds = max(value.total_seconds(), 0.0)
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 6000:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 86_400:.0f} days"


def named(name: str) -> str:
    """A step's, journey's or outcome's name as it reads."""
    return name.replace("_", " ")


def state(name: str) -> str:
    """A state in words."""
    return STATES.get(name, named(name))


def mark(name: str) -> str:
    """The sign of a state, so that it doesn't rest on its colour alone (WCAG 1.4.1)."""
    return MARKS.get(name, "·")


def tone(name: str) -> str:
    """The class of a state's colour."""
    return TONES.get(name, "quiet")


def result(value: Any) -> str:
    """A step's typed result, indented, secrets masked."""
    shown = mask_secrets(None, "", {"result": value})["result"]
    return json.dumps(shown, indent=2, ensure_ascii=False, default=str)


def counted(number: int, one: str, many: str) -> str:
    """``1 run``, ``3 runs``."""
    return f"{number} {one if number == 1 else many}"


FILTERS: dict[str, Callable[..., str]] = {
    "moment": moment,
    "iso": iso,
    "age": age,
    "length": length,
    "named": named,
    "state": state,
    "mark": mark,
    "tone": tone,
    "result": result,
    "counted": counted,
}
