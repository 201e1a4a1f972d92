"""Many runs at a glance: what is held and why, what an undo would go through, whether anything has moved since."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.definition import Definition
from workflows.engine.journal import NOT_BEGUN
from workflows.engine.run_lists import Among, RunSummary, among_conditions, summaries
from workflows.engine.run_views import RunView
from workflows.engine.steps import Act, Effect, NothingToUndo
from workflows.engine.tables import Direction, RunNote, RunRow, RunState, StepState
from workflows.errors import RunUnknown, StepUnknown

_RUN, _NOTE = RunRow.__table__.c, RunNote.__table__.c


async def run_summary(db: AsyncSession, run_id: int, *, tenant_id: str) -> RunSummary:
    """Raises: RunUnknown."""
    found = await summaries(db, [_RUN.tenant_id == tenant_id, _RUN.id == run_id], order=[], limit=1)
    if not found:
        raise RunUnknown(run_id)
    return found[0]


@dataclass(frozen=True)
class HeldFor:
    """Why a run is held: in which step of which journey, with which error."""

    journey: str
    step: str
    reason_code: str


@dataclass(frozen=True)
class HeldGroup:
    """Runs that are held for the same reason. ``reason`` is the sentence of the newest of them."""

    held_for: HeldFor
    count: int
    oldest_since: datetime
    newest_id: int
    reason: str | None


@dataclass(frozen=True)
class Undoing:
    """One step that an undo goes through, newest first. ``nothing_because``: it has left nothing behind."""

    step: str
    effect: str
    nothing_because: str | None


@dataclass(frozen=True)
class EndedInHour:
    """How many runs ended within the hour that begins then, and how many of them as completed."""

    begins: datetime
    ended: int
    completed: int


async def ended_by_hour(
    db: AsyncSession, *, tenant_id: str, begins: datetime, hours: int, among: Among | None = None
) -> list[EndedInHour]:
    """Every hour from then on, in order, those in which none ended among them."""
    starts = [begins + timedelta(hours=number) for number in range(hours + 1)]
    hour = case(*((_RUN.finished_at < start, number) for number, start in enumerate(starts[1:])), else_=hours)
    query = (
        select(hour, func.count(), func.count(case((_RUN.state == RunState.COMPLETED, 1))))
        .where(_RUN.tenant_id == tenant_id, _RUN.finished_at >= begins, _RUN.finished_at < starts[-1], *_known(among))
        .group_by(hour)
    )
    found = {number: (ended, completed) for number, ended, completed in await db.execute(query)}
    return [EndedInHour(start, *found.get(number, (0, 0))) for number, start in enumerate(starts[:-1])]


async def held_groups(db: AsyncSession, *, tenant_id: str, among: Among | None = None) -> list[HeldGroup]:
    """All held runs by their reason, the largest group first."""
    keys = (_RUN.journey, _RUN.current_step, _RUN.reason_code)
    query = (
        select(*keys, func.count(), func.min(_RUN.updated_at), func.max(_RUN.id))
        .where(_RUN.tenant_id == tenant_id, _RUN.state == RunState.HELD, *_known(among))
        .group_by(*keys)
    )
    found = (await db.execute(query)).all()
    newest = [row[5] for row in found]
    texts = {number: text for number, text in await db.execute(select(_RUN.id, _RUN.reason).where(_RUN.id.in_(newest)))}
    groups = [
        HeldGroup(HeldFor(journey, step or "", code or ""), count, since, last, texts.get(last))
        for journey, step, code, count, since, last in found
    ]
    return sorted(groups, key=lambda group: (-group.count, group.oldest_since))


async def held_at(db: AsyncSession, *, tenant_id: str, steps: Collection[str], limit: int) -> list[RunSummary]:
    """The runs that go forward and are held at one of these steps, the newest first."""
    at = [_RUN.current_step.in_(steps), _RUN.direction == Direction.FORWARD]
    conditions = [_RUN.tenant_id == tenant_id, _RUN.state == RunState.HELD, *at]
    return await summaries(db, conditions, order=(_RUN.id.desc(),), limit=limit)


async def held_runs(
    db: AsyncSession,
    *,
    tenant_id: str,
    held_for: HeldFor | None = None,
    journey: str | None = None,
    customer_id: int | None = None,
    customer_ids: Collection[int] | None = None,
    among: Among | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> list[RunSummary]:
    """Held runs, the newest first, a page at a time (``before_id``). ``customer_ids``: for one of these, a thousand at
    most."""
    conditions = [_RUN.tenant_id == tenant_id, _RUN.state == RunState.HELD, *_known(among)]
    if held_for is not None:
        conditions += [
            _RUN.journey == held_for.journey,
            func.coalesce(_RUN.current_step, "") == held_for.step,
            func.coalesce(_RUN.reason_code, "") == held_for.reason_code,
        ]
    for column, wanted in ((_RUN.journey, journey), (_RUN.customer_id, customer_id)):
        if wanted is not None:
            conditions.append(column == wanted)
    if customer_ids is not None:
        conditions.append(_RUN.customer_id.in_(customer_ids))
    if before_id is not None:
        conditions.append(_RUN.id < before_id)
    return await summaries(db, conditions, order=(_RUN.id.desc(),), limit=limit)


async def run_marks(db: AsyncSession, *, tenant_id: str, run_ids: Collection[int]) -> dict[int, str]:
    """Of each of these runs a mark that is another one as soon as it has moved or was written about."""
    newest_note = select(func.max(_NOTE.id)).where(_NOTE.run_id == _RUN.id).scalar_subquery()
    query = select(_RUN.id, _RUN.state, _RUN.updated_at, newest_note).where(
        _RUN.tenant_id == tenant_id, _RUN.id.in_(run_ids)
    )
    return {run_id: f"{state} {moved} {note}" for run_id, state, moved, note in await db.execute(query)}


async def held_mark(db: AsyncSession, *, tenant_id: str) -> str:
    """A mark that is another one as soon as a run was held or let go."""
    query = select(func.count(), func.max(_RUN.updated_at), func.sum(_RUN.id)).where(
        _RUN.tenant_id == tenant_id, _RUN.state == RunState.HELD
    )
    return " ".join(map(str, (await db.execute(query)).one()))


async def newest_mark(db: AsyncSession, *, tenant_id: str, of: int = 50) -> str:
    """A mark that is another one as soon as one of the newest runs has moved, whichever process' clock it moved by."""
    newest = select(_RUN.id, _RUN.state, _RUN.updated_at).where(_RUN.tenant_id == tenant_id)
    rows = (await db.execute(newest.order_by(_RUN.id.desc()).limit(of))).all()
    return sha256("".join(f"{number} {state} {moved}\n" for number, state, moved in rows).encode()).hexdigest()


def what_is_undone(definition: Definition[Any], view: RunView, *, from_step: str | None = None) -> Sequence[Undoing]:
    """The steps that an undo of this run would go through, down to and with ``from_step`` (all of them), newest first.

    Raises: StepUnknown.
    """
    steps = {step.name: step for step in view.steps}
    if from_step is not None and from_step not in steps:
        raise StepUnknown(definition.name, from_step, list(steps))
    stop = 0 if from_step is None else definition.steps.index(definition.begin_again(definition.step(from_step)))
    undone = []
    for step in reversed(definition.steps[stop:]):
        seen = steps[step.name]
        if seen.state in NOT_BEGUN:
            continue
        undone.append(Undoing(step.name, step.effect, _nothing_because(step, seen.state, has_result=bool(seen.result))))
    return undone


def _nothing_because(step: object, state: str, *, has_result: bool) -> str | None:
    if not isinstance(step, Act):
        return "it only waited"
    if isinstance(step.undo, NothingToUndo):
        return step.undo.because
    if state == StepState.SKIPPED and not has_result:
        return "it was passed over"
    if step.effect is Effect.TRANSACTIONAL and not has_result:
        return "it has made nothing"
    return None


def _known(among: Among | None) -> list[ColumnElement[bool]]:
    return [] if among is None else [or_(*among_conditions(among))]
