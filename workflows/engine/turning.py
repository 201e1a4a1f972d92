"""Where a run turns: back to an earlier step, into its undoing, or to a stand for a person; rows only, as ``walk``."""

from __future__ import annotations

from typing import Any

from workflows.engine.journal import OPERATOR, Course, waits_on
from workflows.engine.steps import Step, Wait
from workflows.engine.tables import Direction, RunState, StepRow, StepState

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


def reopening(course: Course) -> Wait[Any, Any] | None:
    """The completed wait that an unheard signal opens again, if any."""
    if course.row.direction != Direction.FORWARD:
        return None
    for signal in course.signals:
        wait, until = course.definition.reopens.get(signal.name, (None, None))
        if not isinstance(wait, Wait) or until is None or course.run.done(until):
            continue
        if has_passed(course.latest(wait)):
            return wait
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
