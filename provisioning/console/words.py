"""How values read on a page: times with their age, lengths of time, states with a mark, results without secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from provisioning.commercial.money import in_words
from provisioning.days import second
from provisioning.figures import Point
from provisioning.logs import mask_secrets
from provisioning.search import CLUES
from provisioning.sparkline_svg import sparkline_svg

MARKS = {
    "resolved": "✓",
    "sent": "✓",
    "refused": "✗",
    "gave_up": "✗",
    "open": "·",
    "active": "✓",
    "under_way": "▸",
    "waiting": "·",
    "unreached": "?",
    "done": "✓",
    "delivered": "✓",
    "disabled": "✗",
    "enabled": "✓",
    "revoked": "✗",
    "refunded": "↩",
    "requested": "·",
    "awaiting": "…",
    "requires_action": "!",
    "declined": "✗",
    "captured": "✓",
    "accepted": "✓",
    "expired": "-",
    "exhausted": "✗",
    "critical": "!",
    "low": "!",
    "ok": "✓",
    "stopped": "✗",
    "paused": "…",
    "running": "▸",
    "withdrawn": "·",
    "unreachable": "?",
    "faulted": "✗",
    "drifted": "!",
    "awaiting_first_inform": "…",
    "queued": "…",
    "accepted_unverifiable": "✓",
    "applied": "▸",
    "verified": "✓",
    "closed": "·",
    "doubtful": "?",
    "online": "✓",
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
    "superseded": "-",
    "not_done": "✗",
    "testing": "▸",
    "proven": "✓",
    "missing": "!",
    "lost": "✗",
    "authorised": "✓",
    "handed_over": "…",
    "released": "-",
}
TONES = {
    "claimed": "calm",
    "proven": "good",
    "missing": "warn",
    "lost": "bad",
    "resolved": "good",
    "sent": "good",
    "refused": "bad",
    "gave_up": "bad",
    "open": "calm",
    "active": "good",
    "under_way": "calm",
    "waiting": "quiet",
    "unreached": "warn",
    "done": "good",
    "delivered": "good",
    "disabled": "bad",
    "enabled": "good",
    "revoked": "quiet",
    "refunded": "quiet",
    "requested": "calm",
    "awaiting": "calm",
    "requires_action": "warn",
    "declined": "bad",
    "captured": "good",
    "accepted": "good",
    "expired": "warn",
    "exhausted": "bad",
    "critical": "bad",
    "low": "warn",
    "ok": "good",
    "stopped": "bad",
    "paused": "warn",
    "running": "calm",
    "withdrawn": "quiet",
    "unreachable": "warn",
    "faulted": "bad",
    "drifted": "warn",
    "awaiting_first_inform": "calm",
    "queued": "calm",
    "accepted_unverifiable": "good",
    "applied": "calm",
    "verified": "good",
    "closed": "quiet",
    "doubtful": "warn",
    "online": "good",
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
    "testing": "calm",
    "authorised": "good",
    "handed_over": "calm",
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

TOLD = "%Y-%m-%d %H:%M"
_MOMENT = r"(\d{4}-\d\d-\d\d \d\d:\d\d)"
_MOMENTS = re.compile(rf"{_MOMENT}(?: to {_MOMENT})? UTC")


def moment(value: datetime | None) -> str:
    """To the second, in UTC."""
    return second(value) if value else ""


def moments_in(text: str, zone: ZoneInfo) -> str:
    """A sentence of ours with its moments, which it tells in UTC to the minute, by the clock of this zone."""

    def local(told: re.Match[str]) -> str:
        each = [datetime.strptime(part, TOLD).replace(tzinfo=UTC).astimezone(zone) for part in told.groups() if part]
        return f"{' to '.join(part.strftime(TOLD) for part in each)} ({zone.key})"

    return _MOMENTS.sub(local, text)


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


def begun(text: str) -> str:
    """A sentence with its capital letter, unless it begins with a name or a number that is written otherwise."""
    return f"{text[:1].upper()}{text[1:]}" if text.partition(" ")[0].isalpha() else text


def sentence(text: str) -> Markup:
    """What stands between backticks is something to type."""
    parts = escape(text).split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else part for number, part in enumerate(parts)
    )


def octets(number: int) -> str:
    """An amount of data in the unit that reads best, a thousand each: ``812 B``, ``4.2 GB``."""
    amount, units = float(number), ["B", "kB", "MB", "GB", "TB"]
    while amount >= 999.5 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{number} B" if units[0] == "B" else f"{amount:.{1 if amount < 99.5 else 0}f} {units[0]}"


def spark(points: Sequence[Point], name: str, most: float | None = None) -> Markup:
    """The line of a series, for a page; nothing where there is none. Whoever can't see it is told its ends."""
    if len(points) < 2:
        return Markup()
    first, last = points[0], points[-1]
    label = f"{name}: from {first.value:g} at {moment(first.at)} to {last.value:g} at {moment(last.at)}"
    return Markup(sparkline_svg([(each.at.timestamp(), each.value) for each in points], label, most=most))  # noqa: S704 - numbers, and a quoted label


def amount(minor: int, currency: str) -> str:
    """``EUR 49.90``."""
    return in_words(minor, currency)


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
    "octets": octets,
    "amount": amount,
    "sentence": sentence,
    "begun": begun,
    "clue": CLUES.__getitem__,
}
