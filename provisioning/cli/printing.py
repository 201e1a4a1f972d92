"""How commands speak: lines and sentences for a person, also 80 columns wide; one JSON value for a program."""

from __future__ import annotations

import dataclasses
import json
import sys
import textwrap
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, TextIO

from rich.console import Console
from rich.text import Text

from provisioning.days import second

STYLES = {
    "completed": "green",
    "accepted": "green",
    "converted": "green",
    "partial": "yellow",
    "held": "bold red",
    "failed": "red",
    "cancelled": "red",
    "unknown": "yellow",
    "pending": "cyan",
    "pendingCancellation": "yellow",
    "skipped": "dim",
    "undone": "dim",
    "planned": "dim",
    "active": "green",
    "online": "green",
    "doubtful": "yellow",
    "captured": "green",
    "declined": "red",
    "sent": "green",
    "delivered": "green",
    "enabled": "green",
    "disabled": "red",
    "refused": "red",
    "withdrawn": "dim",
    "resolved": "green",
    "proven": "green",
    "missing": "yellow",
    "lost": "red",
    "closed": "dim",
}
MARKS = {
    "completed": "✓",
    "accepted": "✓",
    "converted": "✓",
    "partial": "!",
    "held": "✗",
    "failed": "✗",
    "cancelled": "↩",
    "pendingCancellation": "↩",
    "unknown": "?",
    "pending": "…",
    "inProgress": "▸",
    "skipped": "-",
    "undone": "↩",
    "planned": "·",
    "active": "✓",
    "online": "✓",
    "doubtful": "?",
    "captured": "✓",
    "declined": "✗",
    "refunded": "↩",
    "awaiting": "…",
    "requires_action": "…",
    "requested": "·",
    "pending_installation": "…",
    "queued": "…",
    "sent": "✓",
    "delivered": "✓",
    "enabled": "✓",
    "disabled": "✗",
    "refused": "✗",
    "withdrawn": "↩",
    "open": "·",
    "resolved": "✓",
    "proven": "✓",
    "missing": "!",
    "lost": "✗",
    "closed": "✓",
}
GAP = 2

# Without emoji=False an IPv6 prefix like 2001:db8:100:: is taken for the emoji named 100.
out = Console(highlight=False, soft_wrap=True, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, emoji=False)


def print_json(value: Any, *, to: TextIO | None = None) -> None:
    """One line of JSON, on standard output unless told otherwise."""
    stream = to or sys.stdout
    stream.write(json.dumps(plain(value), ensure_ascii=False) + "\n")
    stream.flush()


def plain(value: Any) -> Any:
    """Dataclasses, times, amounts and mappings as JSON knows them; an amount is text, so that no digit gets lost."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(inner) for inner in value]
    return value


def clock_time(moment: datetime | None) -> str:
    """A moment to the second, short for a column (Z is UTC)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else ""


def at_second(moment: datetime | None) -> str:
    """A moment to the second in a sentence; nothing, if there is none."""
    return second(moment) if moment else ""


def clock_minute(moment: datetime) -> str:
    """A moment to the minute, short for a column; sentences have `provisioning.days.minute`."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%MZ")


def state_text(state: str) -> Text:
    return Text(f"{MARKS.get(state, ' ')} {state}", style=STYLES.get(state, ""))


def say(sentence: str | Text) -> None:
    """One line, as it is."""
    out.print(sentence)


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of a list, and the sentence below it."""

    cells: Sequence[str | Text]
    below: str = ""


def print_list(headings: Sequence[str], entries: Sequence[Entry], *, longest: int | None = None) -> None:
    """Columns as wide as what stands in them; sentences below their line, broken at the terminal's width. What is
    longer than ``longest`` in the first column stands on a line of its own, so that the others are still seen."""
    rows = [[Text(cell) if isinstance(cell, str) else cell for cell in entry.cells] for entry in entries]
    titles = [Text(heading, style="bold") for heading in headings]
    alone: list[Text | None] = [None] * len(rows)
    for number, row in enumerate(rows):
        if longest is not None and row[0].cell_len > longest:
            alone[number], row[0] = row[0], Text()
    widths = [max(row[column].cell_len for row in [titles, *rows]) for column in range(len(headings))]
    out.print(_aligned(titles, widths))
    for name, row, entry in zip(alone, rows, entries, strict=True):
        if name is not None:
            out.print(name)
        out.print(_aligned(row, widths))
        print_indented(entry.below, indent=widths[0] + GAP)


def print_indented(sentence: str, *, indent: int = 2, first: str = "", style: str = "") -> None:
    """A sentence at the terminal's width, or nothing where there is none; ``first`` stands before its first line."""
    lines = textwrap.wrap(
        sentence,
        max(out.width, indent + 30),
        initial_indent=first or " " * indent,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for line in lines:
        out.print(Text(line, style=style))


def _aligned(cells: Sequence[Text], widths: Sequence[int]) -> Text:
    line = Text()
    for cell, width in zip(cells, widths, strict=True):
        line.append_text(cell)
        line.append(" " * (width - cell.cell_len + GAP))
    line.rstrip()
    return line


def say_touches(touches: Sequence[str], refused: str | None) -> None:
    """What an act would touch, a sentence a line, or why it can't be taken now."""
    for sentence in [refused] if refused is not None else touches:
        print_indented(sentence, indent=0)
