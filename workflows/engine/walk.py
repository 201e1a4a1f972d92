"""Where a run goes next: reads and changes only the rows of one locked course, calls nothing outside.

``settle`` runs inside every commit, after its effect: it skips what a condition excludes, hears signals, records the
intent of the next outside call, turns back or ends the run; it stops at the next thing that has to be *done*.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from workflows.engine.journal import NOT_BEGUN, Course, waits_on
from workflows.engine.routes import Elsewhere, GoBack, Hold, KeepWaiting, Proceed, Reject, Route, UndoAll
from workflows.engine.steps import OUTSIDE_EFFECTS, Act, Effect, NothingToUndo, Step, Wait
from workflows.engine.tables import Direction, RunState, SignalRow, StepRow, StepState
from workflows.engine.turning import go_back, has_passed, hold, mark_undone, turn, undo_all
from workflows.errors import ResultMissing

T = TypeVar("T")


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

    def hold(self, course: Course) -> None:
        hold(course, self.step, str(self.cause), getattr(self.cause, "code", "workflow.definition_raised"))


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
        raised.hold(course)
        return None


def _forward(course: Course) -> tuple[bool, Next]:
    step = next((s for s in course.definition.steps if not has_passed(course.latest(s))), None)
    if step is None:
        _finish(course, RunState.PARTIAL if course.row.has_skips else RunState.COMPLETED)
        return False, None
    course.row.current_step = step.name
    row = course.latest(step)
    fresh = row is None or row.state in NOT_BEGUN
    if fresh and step.when is not None and not _ask(step, lambda: step.when(course.run) if step.when else True):
        skipped = course.open(step, StepState.SKIPPED)
        skipped.note, skipped.started_at = step.otherwise, course.clock()  # a wait may have been announced before
        skipped.finished_at = skipped.started_at
        return True, None
    if isinstance(step, Wait):
        return _wait(course, step), None
    assert isinstance(step, Act)
    if fresh and step.effect in OUTSIDE_EFFECTS:
        course.open(step, StepState.IN_PROGRESS)  # the intent: recorded before the call it announces
    return False, Do(step)


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
    course.rest(RunState.PENDING, waiting_for=step.signal, waiting_on=subject, reason=waiting_words(step, row))
    course.row.reason_code, course.row.wake_at = row.error_code, row.deadline_at
    course.row.waiting_since = _ask(step, lambda: step.since(course.run) if step.since else None) or row.started_at
    return False


def waiting_words(step: Wait[Any, Any], row: StepRow) -> str:
    """What an operator reads of a run that rests here; the row's error is what keeps us from looking (`lookout`)."""
    return step.says if row.error_code is None else f"{step.says}, but {row.note}"


def _announce_next_wait(course: Course) -> None:
    """Makes the run findable by what it will wait for, before the outside call that may cause the signal is made."""
    ahead = (s for s in course.definition.steps if isinstance(s, Wait) and not has_passed(course.latest(s)))
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


def lead_elsewhere(course: Course, step: Act[Any, Any], error: Exception, reason: str) -> bool:
    """Whether the step's definition says where this error leads; then the run has been sent there, or stands held."""
    lead = next((lead for kind, lead in step.leads.items() if isinstance(error, kind)), None)
    try:
        route: Elsewhere | None = _ask(step, lambda: lead(course.run, reason)) if lead else None
        if route is not None:
            _follow(course, step, route)
    except DefinitionRaised as raised:
        raised.hold(course)
        return True
    return route is not None


def _follow(course: Course, step: Step[Any, Any], route: Route) -> bool:
    match route:
        case Proceed():
            return True
        case GoBack(to=to, reason=reason):
            go_back(course, _declared(step, to), reason)
            return True
        case UndoAll(reason=reason):
            undo_all(course, reason, RunState.FAILED)
            return True
        case Reject(reason=reason):
            undo_all(course, reason, RunState.REJECTED)
            return True
        case KeepWaiting():
            row = course.latest(step)
            assert row is not None
            row.state, row.result, row.finished_at = StepState.PENDING, None, None
            return True
        case Hold(reason=reason):
            hold(course, step, reason, "workflow.needs_a_person")
            return False


def _declared(step: Step[Any, Any], to: Step[Any, Any]) -> Step[Any, Any]:
    """Raises: DefinitionRaised for a way back that nobody could have read in the definition."""
    if to not in step.again_from:
        known = ", ".join(each.name for each in step.again_from) or "nothing"
        raise DefinitionRaised(step, LookupError(f"{step.name} goes back to {to.name}, but may go again from {known}"))
    return to


def _ask(step: Step[Any, Any], question: Callable[[], T]) -> T:
    try:
        return question()
    except Exception as error:
        raise DefinitionRaised(step, error) from error
