"""Where a run goes next: reads and changes only the rows of one locked course, calls nothing outside.

``settle`` runs inside every commit, after its effect: it skips what a condition excludes, hears signals, records the
intent of the next outside call, turns back or ends the run; it stops at the next thing that has to be *done*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from workflows.engine.journal import NOT_BEGUN, OPERATOR, Course, waits_on
from workflows.engine.steps import (
    OUTSIDE_EFFECTS,
    Act,
    Effect,
    GoBack,
    Hold,
    KeepWaiting,
    NothingToUndo,
    Proceed,
    Route,
    Step,
    UndoAll,
    Wait,
)
from workflows.engine.tables import Direction, RunState, SignalRow, StepRow, StepState
from workflows.errors import ResultMissing

T = TypeVar("T")

PASSED = frozenset({StepState.COMPLETED, StepState.SKIPPED})


@dataclass(frozen=True)
class Do:
    """The next thing is to execute this step."""

    step: Act[Any, Any]


@dataclass(frozen=True)
class Undo:
    """The next thing is to undo this step."""

    step: Act[Any, Any]


Next = Do | Undo | None
"""None: the segment is over; the run waits, is held or has ended."""


class DefinitionRaised(Exception):
    """A condition, subject, deadline or route of the definition raised."""

    def __init__(self, step: Step[Any, Any], cause: Exception) -> None:
        super().__init__(f"{step.name}: {cause}")
        self.step = step
        self.cause = cause


def settle(course: Course) -> Next:
    """Moves the run as far as rows alone allow."""
    try:
        while True:
            turn(course)
            ahead = course.row.direction == Direction.FORWARD
            moved, found = _forward(course) if ahead else _backward(course)
            if not moved:
                if found is not None and ahead:
                    _announce_next_wait(course)
                return found
    except DefinitionRaised as raised:
        hold(course, raised.step, str(raised.cause), getattr(raised.cause, "code", "workflow.definition_raised"))
        return None


def turn(course: Course) -> None:
    """Changes the run's direction if somebody cancelled it or a signal reopens an earlier wait."""
    row = course.row
    if row.cancel_requested and row.direction != Direction.UNDO:
        row.direction, row.back_to, row.end_state = Direction.UNDO, None, RunState.CANCELLED
        row.state, row.has_skips = RunState.PENDING_CANCELLATION, False
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


def reopening(course: Course) -> Wait[Any, Any] | None:
    """The completed wait that an unheard signal opens again, if any."""
    if course.row.direction != Direction.FORWARD:
        return None
    for signal in course.signals:
        wait, until = course.definition.reopens.get(signal.name, (None, None))
        if not isinstance(wait, Wait) or until is None or course.run.done(until):
            continue
        if _passed(course.latest(wait)):
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


def _forward(course: Course) -> tuple[bool, Next]:
    step = next((s for s in course.definition.steps if not _passed(course.latest(s))), None)
    if step is None:
        _finish(course, RunState.PARTIAL if course.row.has_skips else RunState.COMPLETED)
        return False, None
    course.row.current_step = step.name
    row = course.latest(step)
    fresh = row is None or row.state in NOT_BEGUN
    if fresh and step.when is not None and not _ask(step, lambda: step.when(course.run) if step.when else True):
        skipped = course.open(step, StepState.SKIPPED)
        skipped.note, skipped.finished_at = step.otherwise, course.clock()
        return True, None
    if isinstance(step, Wait):
        return _wait(course, step), None
    assert isinstance(step, Act)
    if fresh and step.effect in OUTSIDE_EFFECTS:
        course.open(step, StepState.IN_PROGRESS)  # the intent: recorded before the call it announces
    return False, Do(step)


def _passed(row: StepRow | None) -> bool:
    return row is not None and row.state in PASSED


def _backward(course: Course) -> tuple[bool, Next]:
    row = course.row
    stop_at = course.definition.position(row.back_to) if row.back_to else 0
    for step in reversed(course.definition.steps[stop_at:]):
        latest = course.latest(step)
        if latest is None or latest.state in NOT_BEGUN:
            continue
        row.current_step = step.name
        if isinstance(step, Act) and _left_something(step, latest):
            return False, Undo(step)
        mark_undone(course, latest)
        return True, None
    if row.direction == Direction.BACK:
        row.direction, row.back_to = Direction.FORWARD, None
        return True, None
    _finish(course, RunState.PARTIAL if row.has_skips else RunState(row.end_state or RunState.FAILED))
    return False, None


def _left_something(step: Act[Any, Any], row: StepRow) -> bool:
    if isinstance(step.undo, NothingToUndo):
        return False
    if row.state == StepState.SKIPPED and row.skipped_by is None:  # by a condition: it was never tried
        return False
    if step.effect is Effect.TRANSACTIONAL:  # without a result its transaction was rolled back
        return row.result is not None
    return True


def mark_undone(course: Course, row: StepRow, note: str | None = None) -> None:
    row.state, row.finished_at = StepState.UNDONE, course.clock()
    row.note = note
    course.row.restarts = 0


def _finish(course: Course, state: RunState) -> None:
    course.rest(state, waiting_for=None, waiting_on=None, reason=course.row.end_reason)
    course.row.current_step, course.row.finished_at = None, course.clock()
    course.note(f"ended: {state}")


def _wait(course: Course, step: Wait[Any, Any]) -> bool:
    """Hears the wait's signal, or its time, or rests. True if the run moved."""
    row = course.latest(step)
    subject = _ask(step, lambda: step.subject(course.run) if step.subject else None)
    if row is None or row.state in NOT_BEGUN:
        row = course.open(step, StepState.PENDING)
        row.started_at = course.clock()
        row.deadline_at = _ask(step, lambda: step.deadline(course.run) if step.deadline else None)
        row.waits_on = waits_on(step.signal, subject) if step.signal and subject else None
    heard = _hear(course, step, subject)
    if heard is not None:
        return _heard(course, step, row, heard)
    now = course.clock()
    if row.deadline_at is not None and row.deadline_at <= now:
        return _too_late(course, step, row, now)
    row.state = StepState.PENDING
    course.rest(RunState.PENDING, waiting_for=step.signal, waiting_on=subject, reason=step.says)
    course.row.wake_at = row.deadline_at
    course.row.waiting_since = _ask(step, lambda: step.since(course.run) if step.since else None) or row.started_at
    return False


def _announce_next_wait(course: Course) -> None:
    """Makes the run findable by what it will wait for, before the outside call that may cause the signal is made."""
    ahead = (s for s in course.definition.steps if isinstance(s, Wait) and not _passed(course.latest(s)))
    step = next(ahead, None)
    if step is None or step.signal is None or step.subject is None:
        return
    row = course.latest(step)
    if row is not None and row.state != StepState.UNDONE:
        return
    try:
        subject = step.subject(course.run)
    except ResultMissing:
        return  # not known yet; a later commit will know
    course.open(step, StepState.PLANNED).waits_on = waits_on(step.signal, subject)


def _hear(course: Course, step: Wait[Any, Any], subject: str | None) -> SignalRow | None:
    for signal in course.signals:
        if signal.name == step.signal and (signal.subject is None or subject is None or signal.subject == subject):
            return signal
    return None


def _heard(course: Course, step: Wait[Any, Any], row: StepRow, signal: SignalRow) -> bool:
    course.signals.remove(signal)
    signal.consumed_at, signal.consumed_by = course.clock(), f"{step.name}/{row.round}"
    payload = _ask(step, lambda: step.result.validate_json(signal.payload))
    course.complete(step, payload)
    route = step.route
    return _follow(course, step, _ask(step, lambda: route(course.run, payload)) if route else Proceed())


def _too_late(course: Course, step: Wait[Any, Any], row: StepRow, now: datetime) -> bool:
    choose = step.on_deadline
    route: Route = _ask(step, lambda: choose(course.run)) if choose else Hold(f"{step.says}: not heard of in time")
    if isinstance(route, Proceed):
        row.state, row.finished_at, row.result = StepState.COMPLETED, now, "null"
        return True
    return _follow(course, step, route)


def lead_elsewhere(course: Course, step: Act[Any, Any], code: str, reason: str) -> bool:
    """Whether the step's definition sends the run elsewhere for this error, and has done so."""
    lead = step.leads.get(code)
    route = _ask(step, lambda: lead(course.run, reason)) if lead else None
    return route is not None and _follow(course, step, route)


def _follow(course: Course, step: Step[Any, Any], route: Route) -> bool:
    match route:
        case Proceed():
            return True
        case GoBack(to=to, reason=reason):
            go_back(course, course.definition.step(to), reason)
            return True
        case UndoAll(reason=reason):
            undo_all(course, reason, RunState.FAILED)
            return True
        case KeepWaiting():
            row = course.latest(step)
            assert row is not None
            row.state, row.result, row.finished_at = StepState.PENDING, None, None
            return True
        case Hold(reason=reason):
            hold(course, step, reason, "workflow.needs_a_person")
            return False


def _ask(step: Step[Any, Any], question: Callable[[], T]) -> T:
    try:
        return question()
    except Exception as error:
        raise DefinitionRaised(step, error) from error
