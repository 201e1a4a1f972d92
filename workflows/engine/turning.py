"""Where a run turns: back to an earlier step, into its undoing, or to a stand for a person; rows only, as ``walk``."""

from __future__ import annotations

from typing import Any

from workflows.engine.journal import OPERATOR, Course, waits_on
from workflows.engine.steps import Step, Wait
from workflows.engine.tables import Direction, RunState, SignalRow, StepRow, StepState

PASSED = frozenset({StepState.COMPLETED, StepState.SKIPPED})


def turn(course: Course) -> None:
    """Changes the run's direction if somebody cancelled it or a signal reopens an earlier wait."""
    row = course.row
    if row.cancel_requested and course.past_return:
        row.cancel_requested, row.end_reason = False, None
        course.note("the cancel came too late: what is left can only be completed")
    if row.cancel_requested and row.direction != Direction.UNDO:
        row.direction, row.back_to, row.end_state = Direction.UNDO, None, RunState.CANCELLED
        row.state, row.has_skips = RunState.PENDING_CANCELLATION, False
        _forget_reopening(course)
        return
    _forget_replaced(course)
    reopened = reopening(course)
    if reopened is not None:
        go_back(course, reopened, f"a new {reopened.signal} was told")


def _forget_replaced(course: Course) -> None:
    """A reopening signal about something that has been replaced since (an earlier visit) is heard by nobody."""
    for signal in list(course.signals):
        wait, _until = course.definition.reopens.get(signal.name, (None, None))
        row = course.latest(wait) if wait is not None else None
        if row is None or row.waits_on is None or signal.subject is None or signal.name == course.row.waiting_for:
            continue
        if waits_on(signal.name, signal.subject) != row.waits_on and row.state in PASSED:
            course.signals.remove(signal)
            signal.consumed_at, signal.consumed_by = course.clock(), "replaced"
            course.note(f"{signal.name} about {signal.subject} came too late: that has been replaced", step=row.step)


def _forget_reopening(course: Course) -> None:
    """A run that undoes everything goes back to no wait: what would have opened one again, nobody goes on with."""
    for signal in [each for each in course.signals if each.name in course.definition.reopens]:
        course.signals.remove(signal)
        signal.consumed_at, signal.consumed_by = course.clock(), "undoing"
        course.note(f"{signal.name} came too late: everything is undone")


def reopening(course: Course, *, in_turn: bool = True) -> Wait[Any, Any] | None:
    """The completed wait that an unheard signal opens again, if any. ``in_turn``: not while the run waits for what was
    told before it, which is heard first: a report is not lost to what somebody decided without knowing of it."""
    if course.row.direction != Direction.FORWARD:
        return None
    earliest = _next_heard(course) if in_turn else None
    for signal in course.signals:
        if signal is earliest:
            return None
        wait, until = course.definition.reopens.get(signal.name, (None, None))
        if not isinstance(wait, Wait) or until is None or course.run.done(until):
            continue
        if has_passed(course.latest(wait)):
            return wait
    return None


def _next_heard(course: Course) -> SignalRow | None:
    """What the run is about to hear where it waits."""
    step = next((step for step in course.definition.steps if not has_passed(course.latest(step))), None)
    row = course.latest(step) if isinstance(step, Wait) else None
    if not isinstance(step, Wait) or row is None or row.state != StepState.PENDING:
        return None
    for signal in course.signals:
        about = None if signal.subject is None else waits_on(signal.name, signal.subject)
        if signal.name == step.signal and (about is None or row.waits_on in (None, about)):
            return signal
    return None


def go_back(course: Course, to: Step[Any, Any], reason: str) -> None:
    to = course.definition.begin_again(to)
    course.row.direction, course.row.back_to = Direction.BACK, to.name
    course.note(f"going back to {to.name}: {reason}", step=to.name)


def undo_all(course: Course, reason: str, end: RunState) -> None:
    course.row.direction, course.row.back_to, course.row.end_state = Direction.UNDO, None, end
    course.row.has_skips = False  # what an operator skipped on the way there no longer counts
    course.row.end_reason = reason
    _forget_reopening(course)
    course.note(f"undoing everything: {reason}")


def hold(course: Course, step: Step[Any, Any], reason: str, code: str) -> None:
    """Stops the run for a person: what failed, why, and who must act stand in its row."""
    row = course.latest(step)
    if row is None or row.state == StepState.UNDONE:
        row = course.open(step, StepState.HELD)
    row.state, row.note, row.error_code = StepState.HELD, reason, code
    course.rest(RunState.HELD, waiting_for=OPERATOR, waiting_on=None, reason=reason)
    course.row.current_step, course.row.reason_code = step.name, code
    course.note(f"held: {reason}", step=step.name)


def mark_undone(course: Course, row: StepRow, note: str | None = None) -> None:
    row.state, row.finished_at = StepState.UNDONE, course.clock()
    row.note = note
    course.row.restarts = 0
    course.touch()


def has_passed(row: StepRow | None) -> bool:
    return row is not None and row.state in PASSED
