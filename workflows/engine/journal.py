"""One run's journal, loaded under its lock: the rows a commit may change, and the few ways to change them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.definition import Definition
from workflows.engine.run import Run, step_key
from workflows.engine.steps import Step
from workflows.engine.tables import Direction, RunNote, RunRow, RunState, SignalRow, StepRow, StepState
from workflows.errors import CodeMissing, RunUnknown

Begin = Callable[[], AbstractAsyncContextManager[AsyncSession]]
Clock = Callable[[], datetime]
Definitions = Mapping[tuple[str, int], Definition[Any]]

ENGINE = "engine"
NOT_BEGUN = frozenset({StepState.PLANNED, StepState.UNDONE})

OPERATOR = "operator"
RETRY = "retry"


class Course:
    """A run with its steps and unheard signals, as one transaction sees them."""

    def __init__(
        self,
        db: AsyncSession,
        row: RunRow,
        definition: Definition[Any],
        steps: list[StepRow],
        signals: list[SignalRow],
        clock: Clock,
    ) -> None:
        self.db = db
        self.row = row
        self.definition = definition
        self.signals = signals
        self.clock = clock
        self.rounds: dict[str, list[StepRow]] = {}
        for step in steps:
            self.rounds.setdefault(step.step, []).append(step)
        self.run: Run[Any] = Run(
            id=row.id,
            tenant_id=row.tenant_id,
            known_customer_id=row.customer_id,
            business_key=row.business_key,
            input=definition.adapter.validate_json(row.input),
            definition=definition,
            started_at=row.created_at,
            clock=clock,
            turned_back=lambda: row.direction == Direction.BACK,
            rounds=self.rounds,
            signals=self.signals,
        )

    @property
    def past_return(self) -> bool:
        """Whether the step was begun after which the journey can only be completed."""
        pivot = self.definition.no_return
        row = self.latest(pivot) if pivot is not None else None
        return row is not None and row.state not in NOT_BEGUN

    def latest(self, step: Step[Any, Any]) -> StepRow | None:
        rounds = self.rounds.get(step.name)
        return rounds[-1] if rounds else None

    def open(self, step: Step[Any, Any], state: StepState) -> StepRow:
        """The step's row of this round, new if it has none or its last round was undone."""
        row = self.latest(step)
        if row is None or row.state == StepState.UNDONE:
            row = StepRow(
                run_id=self.row.id,
                step=step.name,
                round=row.round + 1 if row else 1,
                state=state,
                effect=step.effect,
                key=step_key(self.row.business_key, step.name, row.round + 1 if row else 1),
                attempts=0,
                undo_attempts=0,
                forgiven_attempts=0,
                forgiven_undo_attempts=0,
                started_at=self.clock(),
            )
            self.rounds.setdefault(step.name, []).append(row)
            self.db.add(row)
        row.state = state
        return row

    def complete(self, step: Step[Any, Any], result: Any) -> StepRow:
        row = self.open(step, StepState.COMPLETED)
        row.result = step.result.dump_json(result).decode()
        row.finished_at = self.clock()
        row.note = row.error_code = None
        if self.definition.customer_of is not None:  # asked anew: what was undone may have made another customer since
            self.row.customer_id = self.definition.customer_of(self.run) or self.row.customer_id
        self.row.restarts = 0
        self.touch()
        return row

    def rest(self, state: RunState, *, waiting_for: str | None, waiting_on: str | None, reason: str | None) -> None:
        """Ends the segment: nothing is parked in memory, the row says what the run waits for."""
        self.touch()
        self.row.state = state
        self.row.waiting_for = waiting_for
        self.row.waiting_on = waiting_on
        self.row.reason = reason
        self.row.owner = None
        self.row.wake_at = None
        self.row.reason_code = None

    def touch(self) -> None:
        """The run has moved just now."""
        self.row.updated_at = self.clock()

    def note(self, text: str, *, step: str | None = None, by: str = ENGINE) -> None:
        self.db.add(RunNote(run_id=self.row.id, at=self.clock(), by=by, step=step, text=text))


async def load_course(
    db: AsyncSession, run_id: int, definitions: Definitions, clock: Clock, *, tenant_id: str
) -> Course:
    """The run under its row lock; everything that changes a run goes through here.

    Raises: RunUnknown, also for another tenant's run; CodeMissing if this release carries no definition of its version.
    """
    found = select(RunRow).where(RunRow.id == run_id, RunRow.tenant_id == tenant_id).with_for_update()
    row = (await db.execute(found.execution_options(populate_existing=True))).scalar_one_or_none()
    if row is None:
        raise RunUnknown(run_id)
    definition = definitions.get((row.journey, row.version))
    if definition is None:
        raise CodeMissing([(row.journey, row.version, 1)])
    steps = await db.execute(select(StepRow).where(StepRow.run_id == run_id).order_by(StepRow.step, StepRow.round))
    signals = await db.execute(
        select(SignalRow).where(SignalRow.run_id == run_id, SignalRow.consumed_at.is_(None)).order_by(SignalRow.id)
    )
    return Course(db, row, definition, list(steps.scalars()), list(signals.scalars()), clock)


def waits_on(signal: str, subject: str) -> str:
    return f"{signal}:{subject}"


def digest(canonical_json: str) -> str:
    """Tells whether two inputs are the same, whatever the order of their keys."""
    return sha256(json.dumps(json.loads(canonical_json), sort_keys=True, separators=(",", ":")).encode()).hexdigest()
