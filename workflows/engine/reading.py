"""What an operator reads of runs: lists, one run with its plan of steps, what waits for whom."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, CompoundSelect, Row, Select, and_, any_, func, or_, select, union
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import NOT_BEGUN, Definitions, waits_on
from workflows.engine.steps import Step
from workflows.engine.tables import ENDED, Direction, RunNote, RunRow, RunState, SignalRow, StepRow, StepState
from workflows.errors import CodeMissing, RunUnknown


@dataclass(frozen=True)
class RunSummary:
    """One line of a list of runs."""

    id: int
    journey: str
    business_key: str
    customer_id: int | None
    state: str
    current_step: str | None
    waiting_for: str | None
    waiting_on: str | None
    waiting_since: datetime | None
    wake_at: datetime | None
    reason: str | None
    reason_code: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None


# Lists are made of columns of tables: rows of mapped classes would cost twice as much, and nobody changes them.
_RUN, _STEP, _NOTE = RunRow.__table__.c, StepRow.__table__.c, RunNote.__table__.c
_SUMMARIES = select(*(_RUN[name] for name in RunSummary.__dataclass_fields__))
"""The columns of a summary and no others: a run's input may be long."""


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


@dataclass(frozen=True)
class Among:
    """Runs that somebody may know of: for these customers (a query for their numbers), or those of this journey whose
    keys begin so."""

    customers: Select[int]
    journey: str
    key_prefix: str


MOST_VALUES = 1_000
"""Of an IN list; SQLite refuses a statement with more than 32,766, PostgreSQL one with more than 65,535."""

_WHOLE = _SUMMARIES.add_columns(_RUN.version, _RUN.input, _RUN.direction, _RUN.back_to)
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


async def list_runs(
    db: AsyncSession,
    *,
    tenant_id: str,
    states: Sequence[str] = (),
    journey: str | None = None,
    customer_id: int | None = None,
    created: tuple[datetime | None, datetime | None] = (None, None),
    among: Among | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RunSummary]:
    """The newest runs first, a page at a time (``before_id``); ``created``: not before, and before these moments."""
    since, until = created
    by_time = since is not None or until is not None
    wanted: list[tuple[object, Callable[[], ColumnElement[bool]]]] = [
        (states, lambda: _RUN.state.in_(states)),
        (journey, lambda: _RUN.journey == journey),
        (customer_id, lambda: _RUN.customer_id == customer_id),
        (since, lambda: _RUN.created_at >= since),
        (until, lambda: _RUN.created_at < until),
        (before_id, lambda: _is_older_than(before_id) if by_time else _RUN.id < before_id),
    ]
    conditions = [_RUN.tenant_id == tenant_id, *(condition() for given, condition in wanted if given)]
    order = (_RUN.created_at.desc(), _RUN.id.desc()) if by_time else (_RUN.id.desc(),)
    query = _SUMMARIES.where(*conditions)
    if among is not None:
        ways = _ways_to_know(among, is_postgresql=db.get_bind().dialect.name == "postgresql")
        query = _SUMMARIES.where(_RUN.id.in_(_newest_of(ways, conditions, by_time=by_time, limit=limit)))
    return await _summaries(db, query.order_by(*order).limit(limit))


async def knows_run(db: AsyncSession, run_id: int, *, tenant_id: str, among: Among) -> bool:
    """Whether this run is one of those that somebody may know of."""
    query = select(_RUN.id).where(_RUN.id == run_id, _RUN.tenant_id == tenant_id, or_(*among_conditions(among)))
    return await db.scalar(query) is not None


def _is_older_than(run_id: int | None) -> ColumnElement[bool]:
    """In the order of starting, where runs of one moment follow their numbers."""
    mark = RunRow.__table__.alias().c
    moment = select(mark.created_at).where(mark.id == run_id).scalar_subquery()
    return or_(_RUN.created_at < moment, and_(_RUN.created_at == moment, _RUN.id < run_id))


def among_conditions(among: Among) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """The two ways to know a run."""
    prefix = _RUN.business_key.startswith(among.key_prefix, autoescape=True)
    return _RUN.customer_id.in_(among.customers), and_(_RUN.journey == among.journey, prefix)


def _ways_to_know(among: Among, *, is_postgresql: bool) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """As ``among_conditions``. PostgreSQL reads every run there is when it is told IN; of an array it looks each value
    up, in an index that has all that is asked."""
    of_customers, of_key = among_conditions(among)
    if is_postgresql:
        of_customers = _RUN.customer_id == any_(func.array(among.customers.scalar_subquery()))
    return of_customers, of_key


def _newest_of(
    ways: Sequence[ColumnElement[bool]], conditions: Sequence[ColumnElement[bool]], *, by_time: bool, limit: int
) -> CompoundSelect[int]:
    """Each of the two ways to know a run has an index of its own, which their OR would leave unused. ``+ 0`` keeps a
    planner from walking all runs in their order until it has met enough of the few that are wanted."""
    order = (_RUN.created_at.desc(), _RUN.id.desc()) if by_time else ((_RUN.id + 0).desc(),)
    newest = [select(_RUN.id).where(*conditions, one).order_by(*order).limit(limit).subquery() for one in ways]
    return union(*(select(one.c.id) for one in newest))


async def find_runs(
    db: AsyncSession,
    *,
    tenant_id: str,
    run_id: int | None = None,
    journeys: Collection[str] = (),
    keys: Sequence[str] = (),
    among: Among | None = None,
) -> list[RunSummary]:
    """The run of that number, and those of these journeys that have one of the business keys; the newest first."""
    known = select(_RUN.id).where(_RUN.tenant_id == tenant_id)
    ways = [] if run_id is None else [known.where(_RUN.id == run_id)]
    if keys:
        ways.append(known.where(_RUN.journey.in_(journeys), _RUN.business_key.in_(keys)))
    if not ways:
        return []
    query = _SUMMARIES.where(_RUN.tenant_id == tenant_id, or_(*(_RUN.id.in_(way) for way in ways)))
    if among is not None:
        query = query.where(or_(*among_conditions(among)))
    return await _summaries(db, query.order_by(_RUN.id.desc()))


async def waiting_runs(db: AsyncSession, *, tenant_id: str, waiting_for: str) -> list[RunSummary]:
    """Runs that wait for this signal, the longest waiting first; ``waiting_on`` names what about."""
    query = _SUMMARIES.where(
        _RUN.tenant_id == tenant_id, _RUN.state == RunState.PENDING, _RUN.waiting_for == waiting_for
    ).order_by(_RUN.updated_at)
    return await _summaries(db, query)


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


async def runs_of_keys(db: AsyncSession, *, tenant_id: str, keys: Sequence[str]) -> dict[str, tuple[int, str]]:
    """(run, its state) for each idempotency key that a step of one of our runs has used."""
    query = (
        select(StepRow.key, RunRow.id, RunRow.state)
        .join(RunRow, RunRow.id == StepRow.run_id)
        .where(RunRow.tenant_id == tenant_id)
    )
    return {key: (run_id, state) for key, run_id, state in await _all_of(db, query, _STEP.key, keys)}


async def inputs_of(db: AsyncSession, *, tenant_id: str, run_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """What these runs were started with, as it was kept."""
    query = select(RunRow.id, RunRow.input).where(RunRow.tenant_id == tenant_id)
    return {run_id: json.loads(text) for run_id, text in await _all_of(db, query, _RUN.id, run_ids)}


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


async def summaries(
    db: AsyncSession, conditions: Sequence[ColumnElement[bool]], *, order: Sequence[ColumnElement[Any]], limit: int
) -> list[RunSummary]:
    """The runs of which this holds, in this order."""
    return await _summaries(db, _SUMMARIES.where(*conditions).order_by(*order).limit(limit))


async def _summaries(db: AsyncSession, query: Select[Any]) -> list[RunSummary]:
    return [RunSummary(*row) for row in await db.execute(query)]


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


async def run_state(db: AsyncSession, *, tenant_id: str, journey: str, key: str) -> RunState | None:
    """How the run of this key stands; None if there is none."""
    state = await db.scalar(
        select(RunRow.state).where(RunRow.tenant_id == tenant_id, RunRow.journey == journey, RunRow.business_key == key)
    )
    return None if state is None else RunState(state)
