"""How commands speak: tables and sentences for a person, one JSON value for a program."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from workflows import RunSummary, RunView

STYLES = {
    "completed": "green",
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
}
MARKS = {
    "completed": "✓",
    "held": "✗",
    "unknown": "?",
    "pending": "…",
    "inProgress": "▸",
    "skipped": "-",
    "undone": "↩",
    "planned": "·",
}

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    sys.stdout.write(json.dumps(plain(value), ensure_ascii=False) + "\n")
    sys.stdout.flush()


def plain(value: Any) -> Any:
    """Dataclasses, times and mappings as JSON knows them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [plain(inner) for inner in value]
    return value


def clock_time(moment: datetime | None) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if moment else ""


def state_text(state: str) -> Text:
    return Text(f"{MARKS.get(state, ' ')} {state}", style=STYLES.get(state, ""))


def print_runs(runs: Sequence[RunSummary]) -> None:
    """A list of runs, the newest first: what, for whom, how it stands and why."""
    if not runs:
        out.print("no runs")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("run", "journey", "key", "customer", "state", "step", "since", "why"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("run", "state", "since"))
    for run in runs:
        table.add_row(
            str(run.id),
            run.journey,
            run.business_key,
            str(run.customer_id),
            state_text(run.state),
            run.current_step or "",
            clock_time(run.updated_at),
            run.reason or "",
        )
    out.print(table)


def print_run(run: RunView) -> None:
    """One run: its state in a sentence, the plan of its steps, and its log."""
    summary = run.summary
    out.print(f"run {summary.id}  {summary.journey}  {summary.business_key}  customer {summary.customer_id}")
    out.print(state_text(summary.state), _sentence(summary))
    table = Table(box=None, pad_edge=False)
    for heading in ("step", "state", "round", "tries", "took", "note"):
        table.add_column(heading, overflow="fold")
    for step in run.steps:
        table.add_row(
            step.name,
            state_text(step.state),
            str(step.round) if step.round > 1 else "",
            str(step.attempts) if step.attempts else "",
            _took(step.started_at, step.finished_at),
            step.note or "",
        )
    out.print(table)
    for note in run.notes:
        out.print(Text(f"{clock_time(note.at)}  {note.by:<10} {note.text}", style="dim"))


def next_acts(summary: RunSummary) -> str:
    """What an operator can do about a run in this state."""
    number = summary.id
    if summary.state == "held":
        return (
            f"firstlight runs retry {number}  |  skip {number} --reason ...  |  roll-back {number} --reason ...  |  "
            f"cancel {number} --reason ..."
        )
    return ""


def _sentence(summary: RunSummary) -> str:
    parts = [summary.reason] if summary.reason else []
    if summary.waiting_for and summary.waiting_for not in ("operator", "retry"):
        parts.append(f"waits for {summary.waiting_for}" + (f" of {summary.waiting_on}" if summary.waiting_on else ""))
    if summary.wake_at:
        what = "next try" if summary.waiting_for == "retry" else "until"
        parts.append(f"{what} {clock_time(summary.wake_at)}")
    if acts := next_acts(summary):
        parts.append(f"\n  {acts}")
    return "; ".join(parts)


def _took(started: datetime | None, finished: datetime | None) -> str:
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    return f"{seconds:.2f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
