"""One run, whole, as an operator reads it: its plan of steps with their rounds, and its log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import NOT_BEGUN, Definitions
from workflows.engine.run_lists import SUMMARIES, RunSummary
from workflows.engine.steps import Step
from workflows.engine.tables import Direction, RunNote, RunRow, StepRow, StepState
from workflows.errors import CodeMissing, RunUnknown


@dataclass(frozen=True)
class RoundView:
    """One round of a step. ``finished_at`` of one that was undone is when it was."""

    round: int
    state: str
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    result: Any
    note: str | None
    error_code: str | None


@dataclass(frozen=True)
class StepView:
    """One step of the plan, in its latest round; ``planned`` if it has not begun. ``earlier`` rounds, oldest first."""

    name: str
    effect: str
    state: str
    round: int
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    result: Any
    note: str | None
    error_code: str | None
    earlier: Sequence[RoundView] = ()


@dataclass(frozen=True)
class NoteView:
    """One line of the run's own log."""

    at: datetime
    by: str
    step: str | None
    text: str


@dataclass(frozen=True)
class RunView:
    """A run, whole: its summary, its input, the plan of its steps from the first second, and its log.

    ``past_return``: what is left of it can only be completed. ``direction``: `forward`, `back` (it undoes down to and
    with ``back_to``, then goes forward again) or `undo` (it undoes everything).
    """

    summary: RunSummary
    input: Any
    steps: Sequence[StepView]
    notes: Sequence[NoteView]
    past_return: bool = False
    version: int = 1
    direction: str = Direction.FORWARD
    back_to: str | None = None

    @property
    def goes_back(self) -> bool:
        """Whether its next act is an undo."""
        return self.direction != Direction.FORWARD

    @property
    def undoes_all(self) -> bool:
        """Whether it goes forward no more."""
        return self.direction == Direction.UNDO


# Of columns of tables, as the lists are.
_RUN, _STEP, _NOTE = RunRow.__table__.c, StepRow.__table__.c, RunNote.__table__.c
_WHOLE = SUMMARIES.add_columns(_RUN.version, _RUN.input, _RUN.direction, _RUN.back_to)
_ROUNDS = select(
    _STEP.step,
    _STEP.round,
    _STEP.state,
    _STEP.attempts,
    _STEP.undo_attempts,
    _STEP.started_at,
    _STEP.finished_at,
    _STEP.result,
    _STEP.note,
    _STEP.error_code,
)
_NOTES = select(_NOTE.at, _NOTE.by, _NOTE.step, _NOTE.text)
_StepColumns: TypeAlias = Row[*tuple[Any, ...]]


async def show_run(db: AsyncSession, run_id: int, *, tenant_id: str, definitions: Definitions) -> RunView:
    """Raises: RunUnknown; CodeMissing if this release has no definition for the run's version."""
    row = (await db.execute(_WHOLE.where(_RUN.id == run_id, _RUN.tenant_id == tenant_id))).one_or_none()
    if row is None:
        raise RunUnknown(run_id)
    definition = definitions.get((row.journey, row.version))
    if definition is None:
        raise CodeMissing([(row.journey, row.version, 1)])
    rounds: dict[str, list[_StepColumns]] = {}
    for step in await db.execute(_ROUNDS.where(_STEP.run_id == run_id).order_by(_STEP.round)):
        rounds.setdefault(step.step, []).append(step)
    notes = await db.execute(_NOTES.where(_NOTE.run_id == run_id).order_by(_NOTE.id))
    return RunView(
        summary=_summary(row),
        input=definition.adapter.dump_python(definition.adapter.validate_json(row.input), mode="json"),
        steps=[_view(step, rounds.get(step.name, [])) for step in definition.steps],
        notes=[NoteView(*note) for note in notes],
        past_return=definition.no_return is not None and _is_begun(rounds.get(definition.no_return.name, [])),
        version=row.version,
        direction=row.direction,
        back_to=row.back_to,
    )


def _is_begun(rounds: Sequence[_StepColumns]) -> bool:
    return bool(rounds) and rounds[-1].state not in NOT_BEGUN


def _summary(row: Row[*tuple[Any, ...]]) -> RunSummary:
    return RunSummary(**{name: getattr(row, name) for name in RunSummary.__dataclass_fields__})


def _view(step: Step[Any, Any], rows: Sequence[_StepColumns]) -> StepView:
    rounds = [_round(step, row) for row in rows] or [RoundView(1, StepState.PLANNED, 0, None, None, None, None, None)]
    return StepView(name=step.name, effect=step.effect, **vars(rounds[-1]), earlier=rounds[:-1])


def _round(step: Step[Any, Any], row: _StepColumns) -> RoundView:
    return RoundView(
        round=row.round,
        state=row.state,
        attempts=row.attempts + row.undo_attempts,
        started_at=row.started_at,
        finished_at=row.finished_at,
        result=step.result.dump_python(step.result.validate_json(row.result), mode="json") if row.result else None,
        note=row.note,
        error_code=row.error_code,
    )
