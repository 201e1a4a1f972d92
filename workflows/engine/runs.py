"""The doors to runs: start, signal, and what an operator may decide. Each acts inside the caller's transaction.

A door changes the run's row under its lock and rings the doorbell (enqueues the next segment) in the same commit, so
a decision and its consequence are never apart.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any

import structlog
from pydantic import ValidationError
from sqlalchemy import and_, func, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.definition import Definition
from workflows.engine.journal import RETRY, Clock, Course, Definitions, digest, load_course, waits_on
from workflows.engine.steps import Wait
from workflows.engine.tables import ENDED, MOVING, Direction, RunNote, RunRow, RunState, SignalRow, StepRow, StepState
from workflows.engine.turning import go_back, hold, mark_undone, reopening, undo_all
from workflows.errors import InputRefused, JourneyUnknown, RunConflict, RunNotOpenFor
from workflows.faults import model_faults
from workflows.printable import checked_reason

Doorbell = Callable[[AsyncSession, int, int], Awaitable[None]]
"""Enqueues (run, segment) in the given transaction."""

log = structlog.get_logger(__name__)


class Runs:
    """Everything that can be done to a run from outside."""

    def __init__(self, *, definitions: Definitions, doorbell: Doorbell, clock: Clock, tenant_id: str) -> None:
        self._definitions = definitions
        self._doorbell = doorbell
        self._clock = clock
        self._tenant_id = tenant_id

    async def start(self, db: AsyncSession, journey: str, data: Any, *, by: str) -> tuple[int, bool]:
        """Starts a run; returns (its number, whether it is new). The same key and input again is the same run.

        Raises: InputRefused with every fault; RunConflict if the key already started a run with other input.
        """
        definition = self.current(journey)
        try:
            typed = definition.adapter.validate_python(data)
        except ValidationError as error:
            raise InputRefused(f"the input of {journey}", model_faults(error, whole="input")) from error
        text = definition.adapter.dump_json(typed).decode()
        key = definition.key(typed)
        row = RunRow(
            tenant_id=self._tenant_id,
            journey=journey,
            version=definition.version,
            business_key=key,
            customer_id=definition.customer_id(typed),
            input=text,
            input_digest=digest(text),
            state=RunState.ACKNOWLEDGED,
            created_at=self._clock(),
            updated_at=self._clock(),
        )
        try:
            async with db.begin_nested():
                db.add(row)
                await db.flush()  # the unique key decides here which of two starts is the first
        except IntegrityError as error:
            return await self._already_started(db, journey, key, row.input_digest, error), False
        db.add(RunNote(run_id=row.id, at=self._clock(), by=by, step=None, text=f"started for {key}"))
        await self._doorbell(db, row.id, 1)
        log.info("run started", run_id=row.id, journey=journey, key=key, customer_id=row.customer_id)
        return row.id, True

    async def find(self, db: AsyncSession, journey: str, key: str) -> int | None:
        """The run that this key has started, if any."""
        found = await db.scalar(
            select(RunRow.id).where(
                RunRow.tenant_id == self._tenant_id, RunRow.journey == journey, RunRow.business_key == key
            )
        )
        return int(found) if found is not None else None

    async def lock(self, db: AsyncSession, run_ids: Sequence[int]) -> None:
        """Takes the locks of these runs. Who changes a run and something else locks the run first, as segments do."""
        await db.execute(select(RunRow.id).where(RunRow.id.in_(run_ids)).order_by(RunRow.id).with_for_update())

    async def held(self, db: AsyncSession, run_ids: Sequence[int]) -> dict[int, int]:
        """Those of these runs that stand still for a person, each with the segment that brought it there."""
        found = await db.execute(
            select(RunRow.id, RunRow.segment).where(RunRow.id.in_(run_ids), RunRow.state == RunState.HELD)
        )
        return {row.id: row.segment for row in found}

    async def stopped_by(self, db: AsyncSession, run_ids: Sequence[int], codes: Collection[str]) -> list[int]:
        """Those of these runs that are held, or wait to try again, because of an error with one of these codes."""
        waits = and_(RunRow.state == RunState.PENDING, RunRow.waiting_for == RETRY)
        found = await db.scalars(
            select(RunRow.id)
            .where(
                RunRow.id.in_(run_ids),
                RunRow.reason_code.in_(codes),
                or_(RunRow.state == RunState.HELD, waits),
            )
            .order_by(RunRow.id)
        )
        return list(found)

    async def turns_back_before(self, db: AsyncSession, run_ids: Sequence[int], signal: str) -> bool:
        """Whether one of these runs has yet to hear what takes it back to before where it waits for this signal: what
        is told now would be undone with that wait. The caller has their locks."""
        for run_id in run_ids:
            course = await self._course(db, run_id)
            wait, earlier = course.definition.signals().get(signal), reopening(course, in_turn=False)
            if wait is not None and earlier is not None:
                order = [step.name for step in course.definition.steps]
                if order.index(earlier.name) < order.index(wait.name):
                    return True
        return False

    async def awaited(self, db: AsyncSession, run_id: int, signal: str) -> str | None:
        """The subject about which the run waits for this signal, has heard it in this round, or is about to wait for
        it; None if it has none.

        Raises: RunUnknown, CodeMissing.
        """
        course = await self._course(db, run_id)
        wait = course.definition.signals().get(signal)
        row = course.latest(wait) if wait is not None else None
        if row is None or row.waits_on is None or row.state == StepState.UNDONE:
            return None
        return row.waits_on.removeprefix(waits_on(signal, ""))

    async def times_told(self, db: AsyncSession, run_id: int, signal: str) -> int:
        """How often this was told to the run."""
        told = select(func.count()).select_from(SignalRow).where(SignalRow.run_id == run_id, SignalRow.name == signal)
        return await db.scalar(told) or 0

    async def about(self, db: AsyncSession, signal: str, subject: str) -> list[int]:
        """The open runs that wait, have waited or will wait next for this signal about this subject."""
        found = await db.scalars(
            select(RunRow.id)
            .join(StepRow, StepRow.run_id == RunRow.id)
            .where(
                RunRow.tenant_id == self._tenant_id,
                RunRow.state.not_in(ENDED),
                StepRow.waits_on == waits_on(signal, subject),
            )
            .distinct()
            .order_by(RunRow.id)
        )
        return list(found)

    async def _already_started(
        self, db: AsyncSession, journey: str, key: str, input_digest: str, cause: IntegrityError
    ) -> int:
        found = await db.execute(
            select(RunRow.id, RunRow.input_digest).where(
                RunRow.tenant_id == self._tenant_id, RunRow.journey == journey, RunRow.business_key == key
            )
        )
        existing = found.one_or_none()
        if existing is None:
            raise cause
        if existing.input_digest != input_digest:
            raise RunConflict(key, existing.id) from cause
        return int(existing.id)

    def current(self, journey: str) -> Definition[Any]:
        """The newest version of a journey's definition. Raises: JourneyUnknown."""
        versions = [version for name, version in self._definitions if name == journey]
        if not versions:
            raise JourneyUnknown(journey, sorted({name for name, _version in self._definitions}))
        return self._definitions[journey, max(versions)]

    async def signal(
        self,
        db: AsyncSession,
        run_id: int,
        name: str,
        payload: Any,
        *,
        key: str,
        by: str,
        subject: str | None = None,
    ) -> bool:
        """Tells a run something; False if this ``key`` was told before. The run hears it when it comes to wait for it.

        Raises: RunUnknown, RunNotOpenFor if the run has ended, InputRefused if the run never waits for such a signal
        or the payload has faults.
        """
        course = await self._course(db, run_id)
        if course.row.state in ENDED:
            raise RunNotOpenFor(run_id, f"told {name}", course.row.state)
        if course.row.direction == Direction.UNDO:
            raise RunNotOpenFor(run_id, f"told {name}", course.row.state, "it is being undone")
        wait = course.definition.signals().get(name)
        if wait is None:
            known = ", ".join(course.definition.signals())
            raise InputRefused(f"signal {name}", [("name", f"run {run_id} only knows {known}")])
        try:
            typed = wait.result.validate_python(payload)
        except ValidationError as error:
            raise InputRefused(f"signal {name}", model_faults(error, whole="input")) from error
        text = wait.result.dump_json(typed).decode()
        row = await db.scalar(select(SignalRow).where(SignalRow.run_id == run_id, SignalRow.key == key))
        if row is not None and not _was_undone(course, row):
            return False
        if row is None:
            row = SignalRow(run_id=run_id, key=key)
            db.add(row)
        row.name, row.subject, row.payload = name, subject, text
        row.sent_by, row.sent_at, row.consumed_at, row.consumed_by = by, self._clock(), None, None
        await db.flush()  # so that the same key told again in this transaction is seen
        course.signals.append(row)
        course.note(f"told {name}" + (f" about {subject}" if subject else ""), by=by)
        if _wakes(course, name):
            await self._ring(course)
        return True

    async def retry(self, db: AsyncSession, run_id: int, *, by: str, from_step: str | None = None) -> None:
        """Tries a held run again, or at once one that waits for its next try.

        With ``from_step``, everything down to that step is undone first, then done anew. Raises: RunUnknown,
        RunNotOpenFor, StepUnknown.
        """
        course = await self._held(db, run_id, "retried")
        for rounds in course.rounds.values():
            row = rounds[-1]
            if row.state == StepState.HELD:
                self._revive(course, row)
        if from_step is not None:
            if course.row.direction != Direction.FORWARD:
                raise RunNotOpenFor(run_id, f"retried from {from_step}", "undoing itself")
            self._refuse_past_return(course, f"retried from {from_step}")
            go_back(course, course.definition.step(from_step), f"{by} retries from here")
        course.row.restarts = 0
        course.note("retried" + (f" from {from_step}" if from_step else ""), by=by)
        await self._ring(course)

    def _revive(self, course: Course, row: StepRow) -> None:
        step = course.definition.step(row.step)
        if isinstance(step, Wait):
            row.state, row.result = StepState.PENDING, None
            if row.deadline_at is not None:  # the wait gets as long again as it had
                row.deadline_at = self._clock() + (row.deadline_at - row.started_at)
        elif course.row.direction == Direction.FORWARD:
            row.state = StepState.UNKNOWN if row.attempts and row.effect != "transactional" else StepState.IN_PROGRESS
        row.forgiven_attempts, row.forgiven_undo_attempts = row.attempts, row.undo_attempts
        row.note = row.error_code = None

    async def skip(self, db: AsyncSession, run_id: int, *, by: str, reason: str, result: Any = None) -> None:
        """Passes over the held step with a reason; the run will end as partial, never as completed.

        Raises: InputRefused if the reason says nothing or the result has faults; RunUnknown, RunNotOpenFor.
        """
        reason = checked_reason(reason)
        course = await self._held(db, run_id, "skipped")
        step = course.definition.step(course.row.current_step or "")
        row = course.latest(step)
        assert row is not None
        course.row.has_skips, course.row.restarts = True, 0
        words = f"skipped by {by}: {reason}"
        if course.row.direction == Direction.FORWARD:
            if result is not None:
                try:
                    row.result = step.result.dump_json(step.result.validate_python(result)).decode()
                except ValidationError as error:
                    raise InputRefused(f"the result of {step.name}", model_faults(error, whole="input")) from error
            row.state, row.note, row.finished_at = StepState.SKIPPED, words, self._clock()
            row.skipped_by = by
        else:
            mark_undone(course, row, f"left as it is; {words}")
        course.note(f"{step.name} skipped: {reason}", step=step.name, by=by)
        await self._ring(course)

    async def roll_back(self, db: AsyncSession, run_id: int, *, by: str, reason: str) -> None:
        """Undoes a held run, newest step first; it ends as failed.

        Raises: InputRefused if the reason says nothing; RunUnknown, RunNotOpenFor.
        """
        reason = checked_reason(reason)
        course = await self._held(db, run_id, "rolled back")
        self._refuse_past_return(course, "rolled back")
        course.row.restarts = 0
        undo_all(course, f"rolled back by {by}: {reason}", RunState.FAILED)
        self._revive_for_undo(course)
        await self._ring(course)

    async def cancel(self, db: AsyncSession, run_id: int, *, by: str, reason: str) -> None:
        """Asks a run to undo itself; a step under way is finished first. Asking twice is the same cancel.

        Raises: InputRefused if the reason says nothing; RunUnknown, RunNotOpenFor.
        """
        reason = checked_reason(reason)
        course = await self._course(db, run_id)
        row = course.row
        if row.state in ENDED:
            raise RunNotOpenFor(run_id, "cancelled", row.state)
        if row.cancel_requested:
            return
        if row.direction == Direction.UNDO:
            raise RunNotOpenFor(run_id, "cancelled", row.state, "it is being undone already")
        self._refuse_past_return(course, "cancelled")
        row.cancel_requested, row.restarts = True, 0
        row.end_reason = f"cancelled by {by}: {reason}"
        course.note(f"cancel requested: {reason}", by=by)
        if row.state not in MOVING:
            self._revive_for_undo(course)
            await self._ring(course)

    async def note(self, db: AsyncSession, run_id: int, *, by: str, text: str) -> None:
        """Writes a line into the run's log, whatever its state; nothing else of it changes.

        Raises: InputRefused if the line says nothing; RunUnknown.
        """
        text = checked_reason(text, what="note")
        course = await self._course(db, run_id)
        course.note(text, by=by)

    def _refuse_past_return(self, course: Course, act: str) -> None:
        pivot = course.definition.no_return
        if pivot is not None and course.past_return:
            why = f"{pivot.name} was begun, and from there on it can only be completed"
            raise RunNotOpenFor(course.row.id, act, course.row.state, why)

    def _revive_for_undo(self, course: Course) -> None:
        for rounds in course.rounds.values():
            rounds[-1].forgiven_undo_attempts = rounds[-1].undo_attempts

    async def wake(self, db: AsyncSession, run_id: int) -> bool:
        """Starts the next segment of a waiting run whose time has come; False if somebody else did."""
        course = await self._course(db, run_id)
        row = course.row
        if row.state != RunState.PENDING or row.wake_at is None or row.wake_at > self._clock():
            return False
        await self._ring(course)
        return True

    async def restart(self, db: AsyncSession, run_id: int, segment: int, why: str, most_restarts: int) -> bool:
        """Starts a run's next segment after this one was lost; holds the run when that happens again and again."""
        course = await self._course(db, run_id)
        row = course.row
        if row.segment != segment or row.state not in MOVING:
            return False
        row.restarts += 1
        course.note(f"segment {segment} was lost: {why}")
        if row.restarts > most_restarts:
            name = row.current_step or course.definition.steps[0].name
            hold(
                course,
                course.definition.step(name),
                f"its segments are lost again and again: {why}",
                "workflow.no_progress",
            )
            return False
        await self._ring(course)
        return True

    async def _course(self, db: AsyncSession, run_id: int) -> Course:
        return await load_course(db, run_id, self._definitions, self._clock, tenant_id=self._tenant_id)

    async def _held(self, db: AsyncSession, run_id: int, act: str) -> Course:
        course = await self._course(db, run_id)
        waits_for_retry = course.row.state == RunState.PENDING and course.row.waiting_for == RETRY and act == "retried"
        if course.row.state != RunState.HELD and not waits_for_retry:
            why = "only a held run can be" + (", or one that waits for its next try" if act == "retried" else "")
            raise RunNotOpenFor(run_id, act, course.row.state, why)
        return course

    async def _ring(self, course: Course) -> None:
        row = course.row
        course.touch()
        row.segment += 1
        row.owner = row.waiting_for = row.waiting_on = row.wake_at = None
        row.state = RunState.IN_PROGRESS
        if row.direction == Direction.FORWARD and not row.cancel_requested:
            row.reason = row.reason_code = None
        await course.db.flush()  # the segment's number must be in the row before the queue names it
        await self._doorbell(course.db, row.id, row.segment)


def _was_undone(course: Course, signal: SignalRow) -> bool:
    """Whether the round that heard this signal has been undone since: then it may be told again."""
    step, _, number = (signal.consumed_by or "").partition("/")
    return any(row.state == StepState.UNDONE for row in course.rounds.get(step, []) if str(row.round) == number)


def _wakes(course: Course, name: str) -> bool:
    row = course.row
    if row.state == RunState.PENDING and row.waiting_for == name:
        return True
    return row.state in (RunState.PENDING, RunState.HELD) and reopening(course) is not None
