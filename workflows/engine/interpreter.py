"""Walks one run from where its journal stands until it waits, is held, or has ended: one *segment*.

Every commit locks the run's row, checks that this segment still owns it, and writes effect, result and the next intent
at once. So a transactional step happens exactly once, a frozen and thawed worker is fenced out, and recovery is nothing
but reading the journal again. Outside calls happen at least once, under the same key. No scheduler is imported here.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import structlog
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import RETRY, Begin, Clock, Course, Definitions, load_course
from workflows.engine.steps import OUTSIDE_EFFECTS, Act, Effect, NothingToUndo
from workflows.engine.tables import MOVING, Direction, RunState, StepRow, StepState
from workflows.engine.turning import hold, mark_undone, reopening
from workflows.engine.walk import Do, Next, Undo, lead_elsewhere, settle
from workflows.errors import RunFenced, StepTimedOut

ServicesT = TypeVar("ServicesT")
OutsideT = TypeVar("OutsideT")
T = TypeVar("T")

MAX_RESTARTS = 20

log = structlog.get_logger(__name__)


def nothing_happens(point: str) -> None:
    """The default for ``at``: a named instant that nobody watches."""


class Interpreter(Generic[ServicesT, OutsideT]):
    """Executes segments. ``at`` is called at named instants, so that a test can end the process exactly there."""

    def __init__(
        self,
        *,
        begin: Begin,
        services: Callable[[AsyncSession], ServicesT],
        outside: OutsideT,
        definitions: Definitions,
        clock: Clock,
        tenant_id: str,
        at: Callable[[str], None] = nothing_happens,
    ) -> None:
        self._begin = begin
        self._services = services
        self._outside = outside
        self._definitions = definitions
        self._clock = clock
        self._tenant_id = tenant_id
        self._at = at

    async def run_segment(self, run_id: int, segment: int) -> str:
        """Walks the run; returns the state it came to rest in, ``stale`` or ``fenced`` if it isn't ours to walk."""
        owner = secrets.token_hex(8)
        with structlog.contextvars.bound_contextvars(run_id=run_id):
            claimed, course, step = await self._claim(run_id, segment, owner)
            if not claimed:
                return "stale"
            with structlog.contextvars.bound_contextvars(customer_id=course.row.customer_id):
                return await self._walk(course, step, owner)

    async def _walk(self, course: Course, step: Next, owner: str) -> str:
        segment = course.row.segment
        try:
            while step is not None:
                course, step = await self._take(step, course, owner)
        except RunFenced:
            log.warning("segment fenced out", segment=segment)
            return "fenced"
        log.info("segment ended", segment=segment, state=course.row.state, reason=course.row.reason)
        return course.row.state

    async def _claim(self, run_id: int, segment: int, owner: str) -> tuple[bool, Course, Next]:
        """Makes this execution the run's only owner; the newest claim of the same segment wins."""
        async with self._begin() as db:
            course = await self._load(db, run_id)
            row = course.row
            course.touch()
            if row.segment != segment or row.state not in MOVING:
                return False, course, None
            row.owner, row.restarts = owner, row.restarts + 1
            row.wake_at = row.waiting_for = row.waiting_on = None
            cancelling = row.end_state == RunState.CANCELLED
            row.state = RunState.PENDING_CANCELLATION if cancelling else RunState.IN_PROGRESS
            for rounds in course.rounds.values():  # an intent without a result: nobody knows whether it took effect
                if rounds[-1].state == StepState.IN_PROGRESS and rounds[-1].effect in OUTSIDE_EFFECTS:
                    rounds[-1].state = StepState.UNKNOWN
            step: Next = None
            if row.restarts > MAX_RESTARTS:
                _give_up(course)
            else:
                step = settle(course)
            self._at("claim.in_tx")
        self._at("claim.committed")
        return True, course, step

    async def _load(self, db: AsyncSession, run_id: int) -> Course:
        return await load_course(db, run_id, self._definitions, self._clock, tenant_id=self._tenant_id)

    @asynccontextmanager
    async def _commit(self, run_id: int, owner: str) -> AsyncIterator[Course]:
        async with self._begin() as db:
            course = await self._load(db, run_id)
            if course.row.owner != owner:
                raise RunFenced(run_id)
            yield course

    async def _take(self, step: Do | Undo, course: Course, owner: str) -> tuple[Course, Next]:
        """Does or undoes one step; an error becomes a retry or a held run, never a lost one."""
        name = step.step.name if isinstance(step, Do) else f"undo:{step.step.name}"
        self._at(f"{name}.before")
        with structlog.contextvars.bound_contextvars(step=name):
            try:
                if step.step.effect is Effect.TRANSACTIONAL:
                    if isinstance(step, Do) and step.step.first is not None:
                        await _in_time(step.step, step.step.first(self._outside, course.run))
                    return await self._transact(step, name, course.row.id, owner)
                return await self._call(step, name, course, owner)
            except RunFenced:
                raise
            except Exception as error:  # noqa: BLE001 - the step runner: whatever a step raises becomes a held run
                return await self._failed(step, name, course.row.id, owner, error)

    async def _transact(self, step: Do | Undo, name: str, run_id: int, owner: str) -> tuple[Course, Next]:
        """Effect, record and the next intent in one commit."""
        async with self._commit(run_id, owner) as course:
            services = self._services(course.db)
            if isinstance(step, Undo):
                await self._undo(step.step, services, course)
            elif not course.row.cancel_requested:  # else it was taken back before this step began
                course.open(step.step, StepState.IN_PROGRESS)
                course.complete(step.step, await step.step.do(services, course.run))
            found = settle(course)
            self._at(f"{name}.in_tx")
        self._at(f"{name}.committed")
        return course, found

    async def _call(self, step: Do | Undo, name: str, course: Course, owner: str) -> tuple[Course, Next]:
        """One outside call between the commit of its intent and the commit of its result."""
        act, run = step.step, course.run
        result: Any = None
        if isinstance(step, Do):
            latest = course.latest(act)
            result = None
            if act.probe is not None and latest is not None and latest.state == StepState.UNKNOWN:
                result = await _in_time(act, act.probe(self._outside, run))
            if result is None:
                result = await _in_time(act, act.do(self._outside, run))
        elif not isinstance(act.undo, NothingToUndo):
            await _in_time(act, act.undo(self._outside, run, run.last(act)))
        self._at(f"{name}.effect")
        async with self._commit(course.row.id, owner) as fresh:
            if isinstance(step, Do):
                fresh.complete(act, result)
            else:
                self._record_undone(act, fresh)
            found = settle(fresh)
            self._at(f"{name}.in_tx")
        self._at(f"{name}.committed")
        return fresh, found

    async def _undo(self, act: Act[Any, Any], services: ServicesT, course: Course) -> None:
        if not isinstance(act.undo, NothingToUndo):
            await act.undo(services, course.run, course.run.last(act))
        self._record_undone(act, course)

    def _record_undone(self, act: Act[Any, Any], course: Course) -> None:
        row = course.latest(act)
        assert row is not None
        mark_undone(course, row)

    async def _failed(
        self, step: Do | Undo, name: str, run_id: int, owner: str, error: Exception
    ) -> tuple[Course, Next]:
        """Counts the attempt: a transient error waits for its next try, any other is held for a person."""
        fault = _classify(error, name)
        async with self._commit(run_id, owner) as course:
            if _took_place(step, course):  # the error came with a commit that had happened all the same
                return course, settle(course)
            found: Next = None
            if isinstance(step, Do) and lead_elsewhere(course, step.step, error, fault.reason):
                if course.row.state != RunState.HELD:
                    return course, settle(course)
            else:
                self._record_failure(step, course, name, fault)
            if (course.row.cancel_requested and course.row.direction != Direction.UNDO) or reopening(course):
                course.row.owner, course.row.state = owner, RunState.IN_PROGRESS
                found = settle(course)
            self._at(f"{name}.failed.in_tx")
        self._at(f"{name}.failed.committed")
        log.warning("step failed", code=fault.code, transient=fault.transient, reason=fault.reason)
        return course, found

    def _record_failure(self, step: Do | Undo, course: Course, name: str, fault: Fault) -> None:
        act = step.step
        row = course.latest(act)
        if row is None or (isinstance(step, Do) and row.state == StepState.UNDONE):
            row = course.open(act, StepState.IN_PROGRESS)
        failed = _count(row, undoing=isinstance(step, Undo))
        course.row.restarts = 0
        if not fault.transient or failed >= act.retry.attempts:
            hold(course, act, fault.reason, fault.code)
            return
        if act.effect in OUTSIDE_EFFECTS and isinstance(step, Do):
            row.state = StepState.UNKNOWN
        row.note, row.error_code = fault.reason, fault.code
        course.rest(RunState.PENDING, waiting_for=RETRY, waiting_on=None, reason=fault.reason)
        course.row.wake_at = self._clock() + act.retry.delay(failed, random.random())
        course.row.reason_code = fault.code
        course.note(f"attempt {failed} of {name} failed: {fault.reason}", step=act.name)


@dataclass(frozen=True)
class Fault:
    """An error as the engine reads it: nothing but its code, whether it may pass, and one sentence."""

    code: str
    transient: bool
    reason: str


def _classify(error: Exception, name: str) -> Fault:
    code = getattr(error, "code", None)
    if isinstance(error, SQLAlchemyError):  # its own ``code`` is a link into a manual, not one of ours
        lost = isinstance(error, OperationalError | InterfaceError | PoolTimeout) or (
            isinstance(error, DBAPIError) and error.connection_invalidated
        )
        if not lost:
            log.error("a statement failed in a step", exc_info=error)
        words = str(error.orig) if isinstance(error, DBAPIError) else str(error)
        return Fault("workflow.database", lost, f"the database refused in {name}: {words.strip().splitlines()[0]}")
    if isinstance(code, str):
        return Fault(code, bool(getattr(error, "transient", False)), str(error))
    log.error("a step raised an unexpected error", exc_info=error)
    return Fault("workflow.unexpected_error", False, f"unexpected {type(error).__name__} in {name}: {error}")


def _took_place(step: Do | Undo, course: Course) -> bool:
    row = course.latest(step.step)
    wanted = StepState.COMPLETED if isinstance(step, Do) else StepState.UNDONE
    return row is not None and row.state == wanted


def _give_up(course: Course) -> None:
    row = course.row
    step = course.definition.step(row.current_step) if row.current_step else course.definition.steps[0]
    reason = f"the worker died or lost the run {MAX_RESTARTS} times in step {step.name} without progress"
    hold(course, step, reason, "workflow.no_progress")


def _count(row: StepRow, *, undoing: bool) -> int:
    """Counts a failed attempt; returns how many of the present budget are used."""
    if undoing:
        row.undo_attempts += 1
        return row.undo_attempts - row.forgiven_undo_attempts
    row.attempts += 1
    return row.attempts - row.forgiven_attempts


async def _in_time(act: Act[Any, Any], call: Awaitable[T]) -> T:
    try:
        async with asyncio.timeout(act.timeout_seconds) as limit:
            return await call
    except TimeoutError:
        if not limit.expired():
            raise
        raise StepTimedOut(act.name, act.timeout_seconds) from None
