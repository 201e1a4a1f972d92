"""How runs read: in a list, and one of them whole with what it keeps and what can be done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.text import Text

from provisioning.cli.printing import (
    Entry,
    at_second,
    clock_time,
    plain,
    print_indented,
    print_list,
    say,
    state_text,
)
from provisioning.keeps import acts, kept, snippet
from provisioning.run_previews import Preview
from workflows import RoundView, RunSummary, RunView, StepView


def print_runs(runs: Sequence[RunSummary]) -> None:
    """A list of runs, the newest first: how each stands, since when, for whom and why."""
    if not runs:
        say("no runs")
        return
    entries = [
        Entry(
            (
                str(run.id),
                state_text(run.state),
                run.current_step or "",
                "" if run.customer_id is None else str(run.customer_id),
                clock_time(run.finished_at or run.updated_at),
            ),
            f"{run.business_key}: {_why(run)}" if _why(run) else run.business_key,
        )
        for run in runs
    ]
    print_list(("run", "state", "step", "customer", "since"), entries)


def print_run(view: RunView) -> None:
    """One run: how it stands and why, what it keeps, what can be done, its steps and its log."""
    run = view.summary
    customer = f"customer {run.customer_id}" if run.customer_id is not None else "no customer yet"
    say(f"run {run.id}  {run.journey}  {run.business_key}  {customer}")
    where = f" in {run.current_step}" if run.current_step else ""
    say(state_text(run.state).append(f"{where} since {at_second(run.finished_at or run.updated_at)}", style="default"))
    print_indented(_why(run))
    if run.state in ("held", "pending"):
        _print_kept(view)
        _print_acts(view)
    say(Text("\nsteps", style="bold"))
    width = max((len(step.name) for step in view.steps), default=0)
    for step in view.steps:
        _print_step(step, width)
    say(Text("\nlog", style="bold"))
    for note in view.notes:
        print_indented(f"{note.by}: {note.text}", first=f"{clock_time(note.at)}  ", indent=22, style="dim")


def print_preview(seen: Preview) -> None:
    """What a decision about a run would touch."""
    if seen.refused:
        say(seen.refused)
        return
    for sentence in seen.touches:
        print_indented(sentence, indent=0)
    for each in seen.undone:
        because = "undone" if each.nothing_because is None else f"nothing to undo, {each.nothing_because}"
        print_indented(f"{each.step}: {because}")
    for given_back in seen.given_back:
        print_indented(given_back, first="  given back: ", indent=14)
    if seen.ends:
        say(f"the run is then: {seen.ends}")


def run_json(view: RunView) -> dict[str, Any]:
    """The same for a program."""
    return {**plain(view), "kept": plain(kept(view)), "acts": plain(acts(view))}


def _print_kept(view: RunView) -> None:
    things = kept(view)
    if things:
        say(Text("\nheld meanwhile" if view.summary.state == "held" else "\nkept meanwhile", style="bold"))
    width = max((len(thing.what) for thing in things), default=0)
    for thing in things:
        print_indented(thing.particulars, first=f"  {thing.what:<{width}}  ", indent=width + 4)


def _print_acts(view: RunView) -> None:
    if text := snippet(view):
        say(Text("\nto be put on the OLT", style="bold"))
        for line in text.rstrip().splitlines():
            say(f"  {line}")
    if possible := acts(view):
        say(Text("\nwhat you can type", style="bold"))
    for act in possible:
        say(f"  {act.command}")
        print_indented(act.meaning, indent=6, style="dim")


def _print_step(step: StepView, width: int) -> None:
    facts = [f"round {step.round}" if step.round > 1 else "", _tries(step.attempts)]
    facts.append(_took(step.started_at, step.finished_at))
    line = state_text(step.state)
    line = Text("  ").append_text(line).append(" " * max(14 - line.cell_len, 1))
    line.append(f"{step.name:<{width}}  {', '.join(fact for fact in facts if fact)}")
    line.rstrip()
    say(line)
    if step.note:
        print_indented(step.note, indent=16, style="dim")
    for earlier in step.earlier:
        print_indented(_past(earlier), indent=16, style="dim")


def _past(earlier: RoundView) -> str:
    took = _took(earlier.started_at, earlier.finished_at)
    ended = f"round {earlier.round} {earlier.state} {at_second(earlier.finished_at)}" + (
        f" after {took}" if took else ""
    )
    parts = (ended, _tries(earlier.attempts), earlier.note or earlier.error_code)
    return ", ".join(part for part in parts if part)


def _why(run: RunSummary) -> str:
    parts = [run.reason] if run.reason else []
    if run.state == "pending" and run.waiting_for == "retry":
        parts.append(f"next try at {at_second(run.wake_at)}")
    elif run.state == "pending" and run.waiting_for:
        subject = f" {run.waiting_on}" if run.waiting_on else ""
        deadline = f" until {at_second(run.wake_at)}" if run.wake_at else ""
        parts.append(f"waits for {run.waiting_for}{subject}{deadline}")
    *before, last = parts or [""]
    return "; ".join([*(part.removesuffix(".") for part in before), last])


def _tries(failed: int) -> str:
    if not failed:
        return ""
    return "1 try failed" if failed == 1 else f"{failed} tries failed"


def _took(started: datetime | None, finished: datetime | None) -> str:
    if started is None or finished is None:
        return ""
    seconds = (finished - started).total_seconds()
    if seconds < 100:
        return f"{seconds:.2f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.0f} h"
