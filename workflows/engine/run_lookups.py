"""What others must know of runs: what is told to which, what a step has made, what is under way, what lacks code."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import Definitions, waits_on
from workflows.engine.tables import ENDED, Direction, RunRow, RunState, SignalRow, StepRow, StepState

MOST_VALUES = 1_000
"""Of an IN list; SQLite refuses a statement with more than 32,766, PostgreSQL one with more than 65,535."""


async def run_state(db: AsyncSession, *, tenant_id: str, journey: str, key: str) -> RunState | None:
    """How the run of this key stands; None if there is none."""
    state = await db.scalar(
        select(RunRow.state).where(RunRow.tenant_id == tenant_id, RunRow.journey == journey, RunRow.business_key == key)
    )
    return None if state is None else RunState(state)


def subjects_at_steps(*, tenant_id: str, signal: str, steps: Sequence[str]) -> Select[str, int, str]:
    """What open runs are busy with: of each that is, or is held, at one of ``steps`` the subject about which it waits
    or has waited for ``signal``, its number, and the step. A query, for others to look into."""
    prefix = waits_on(signal, "")
    return (
        select(func.substr(StepRow.waits_on, len(prefix) + 1), RunRow.id, RunRow.current_step)
        .join(RunRow, RunRow.id == StepRow.run_id)
        .where(
            RunRow.tenant_id == tenant_id,
            RunRow.state.not_in(ENDED),
            RunRow.current_step.in_(steps),
            StepRow.waits_on.startswith(prefix, autoescape=True),
            StepRow.state != StepState.UNDONE,
        )
    )


@dataclass(frozen=True)
class KeptResult:
    """What a step has made and its run still answers for."""

    run_id: int
    state: str
    going_back: bool
    result: Any

    @property
    def has_more_to_do(self) -> bool:
        """False of a run that an operator's skip has ended: what it left, nobody will carry on or take back."""
        return self.state not in ENDED

    @property
    def goes_on_by_itself(self) -> bool:
        """It moves, or waits for something that will move it; a held run moves when a person says so."""
        return self.has_more_to_do and self.state != RunState.HELD


async def open_results(db: AsyncSession, *, tenant_id: str, step: str) -> list[KeptResult]:
    """The results of this step in the runs that have not undone it and have more to do, or were ended by an operator's
    skip (partial): nobody else answers for what those have left."""
    found = await db.execute(
        select(RunRow.id, RunRow.state, RunRow.direction, StepRow.result)
        .join(StepRow, StepRow.run_id == RunRow.id)
        .where(
            RunRow.tenant_id == tenant_id,
            RunRow.state.not_in(ENDED - {RunState.PARTIAL}),
            StepRow.step == step,
            StepRow.state == StepState.COMPLETED,
            StepRow.result.is_not(None),
        )
        .order_by(RunRow.id)
    )
    return [
        KeptResult(run_id, state, direction != Direction.FORWARD, json.loads(result))
        for run_id, state, direction, result in found
        if result is not None
    ]


@dataclass(frozen=True)
class BegunRound:
    """A round of a step that was begun: whose, under which idempotency key, and how both stand."""

    run_id: int
    run_state: str
    step: str
    state: str
    key: str


async def begun_rounds(db: AsyncSession, *, tenant_id: str, steps: Collection[str]) -> list[BegunRound]:
    """Every round of these steps that was begun, run by run."""
    found = await db.execute(
        select(RunRow.id, RunRow.state, StepRow.step, StepRow.state, StepRow.key)
        .join(StepRow, StepRow.run_id == RunRow.id)
        .where(RunRow.tenant_id == tenant_id, StepRow.step.in_(steps))
        .order_by(RunRow.id, StepRow.started_at, StepRow.round)
    )
    return [BegunRound(*row) for row in found]


async def runs_about(
    db: AsyncSession, *, tenant_id: str, signal: str, subjects: Sequence[str], journeys: Collection[str]
) -> dict[str, int]:
    """By subject: the newest run of these journeys that waits, has waited or will wait next for the signal about it."""
    query = (
        select(StepRow.waits_on, RunRow.id)
        .join(RunRow, RunRow.id == StepRow.run_id)
        .where(RunRow.tenant_id == tenant_id, RunRow.journey.in_(journeys))
    )
    subject_of = {waits_on(signal, subject): subject for subject in subjects}
    found = await _all_of(db, query, StepRow.__table__.c.waits_on, list(subject_of))
    return {subject_of[waited]: run_id for waited, run_id in sorted(tuple(row) for row in found)}


async def states_of_steps(
    db: AsyncSession, *, tenant_id: str, run_ids: Sequence[int], steps: Collection[str]
) -> dict[int, dict[str, str]]:
    """By run: how the latest round of each of these steps stands; what was not begun is not among them."""
    query = (
        select(StepRow.run_id, StepRow.step, StepRow.round, StepRow.state)
        .join(RunRow, RunRow.id == StepRow.run_id)
        .where(RunRow.tenant_id == tenant_id, StepRow.step.in_(steps))
    )
    found = await _all_of(db, query, StepRow.__table__.c.run_id, run_ids)
    states: dict[int, dict[str, str]] = {}
    for run_id, step, _, state in sorted(found, key=lambda row: row.round):
        states.setdefault(run_id, {})[step] = state
    return states


async def runs_of_keys(db: AsyncSession, *, tenant_id: str, keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """(run, its state) for each idempotency key that a step of one of our runs has used."""
    query = (
        select(StepRow.key, RunRow.id, RunRow.state)
        .join(RunRow, RunRow.id == StepRow.run_id)
        .where(RunRow.tenant_id == tenant_id)
    )
    return {key: (run_id, state) for key, run_id, state in await _all_of(db, query, StepRow.__table__.c.key, keys)}


async def inputs_of(db: AsyncSession, *, tenant_id: str, run_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What these runs were started with, as it was kept."""
    query = select(RunRow.id, RunRow.input).where(RunRow.tenant_id == tenant_id)
    return {run_id: json.loads(text) for run_id, text in await _all_of(db, query, RunRow.__table__.c.id, run_ids)}


async def open_runs_told(db: AsyncSession, *, tenant_id: str, keys: Sequence[str]) -> dict[str, set[int]]:
    """By a signal's key: the runs that were told so and still go forward, whether they have heard it yet or not."""
    query = (
        select(SignalRow.key, SignalRow.run_id)
        .join(RunRow, RunRow.id == SignalRow.run_id)
        .where(RunRow.tenant_id == tenant_id, RunRow.state.not_in(ENDED), RunRow.direction != Direction.UNDO)
    )
    told: dict[str, set[int]] = {}
    for key, run_id in await _all_of(db, query, SignalRow.__table__.c.key, keys):
        told.setdefault(key, set()).add(run_id)
    return told


async def _all_of(
    db: AsyncSession, query: Select[*tuple[Any, ...]], column: ColumnElement[Any], values: Sequence[Any]
) -> list[Any]:
    """The rows of the query in which the column has one of these values: of many, some in each statement."""
    rows: list[Any] = []
    for start in range(0, len(values), MOST_VALUES):
        rows += await db.execute(query.where(column.in_(values[start : start + MOST_VALUES])))
    return rows


async def missing_code(db: AsyncSession, definitions: Definitions, *, tenant_id: str) -> list[tuple[str, int, int]]:
    """(journey, version, open runs) for which this release carries no definition."""
    found = await db.execute(
        select(RunRow.journey, RunRow.version).where(RunRow.tenant_id == tenant_id, RunRow.state.not_in(ENDED))
    )
    counts: dict[tuple[str, int], int] = {}
    for journey, version in found:
        if (journey, version) not in definitions:
            counts[journey, version] = counts.get((journey, version), 0) + 1
    return [(journey, version, count) for (journey, version), count in sorted(counts.items())]
