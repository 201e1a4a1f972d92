"""What must always hold for runs: read-only questions for ``firstlight check``. No finding means it holds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.definition import Definition
from workflows.engine.due import MOVES_WITHIN, TAKEN_UP_WITHIN
from workflows.engine.tables import ENDED, MOVING, EventRow, EventState, RunRow, RunState, StepRow, StepState

MAY_END_WITH = {
    RunState.COMPLETED: {StepState.COMPLETED, StepState.SKIPPED},
    RunState.PARTIAL: {StepState.COMPLETED, StepState.SKIPPED, StepState.UNDONE, StepState.PLANNED},
    RunState.FAILED: {StepState.UNDONE, StepState.PLANNED},
    RunState.CANCELLED: {StepState.UNDONE, StepState.PLANNED},
    RunState.REJECTED: {StepState.UNDONE, StepState.PLANNED},
}
"""How an ended run may have left its steps."""


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which run, and one plain sentence."""

    subject: str
    sentence: str


async def restless_runs(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[Finding]:
    """Every run has ended, moves, waits for something it names, or is held with a reason."""
    at_rest_for_good = RunRow.state.in_(ENDED) & RunRow.finished_at.is_not(None)
    found = await db.scalars(
        select(RunRow).where(RunRow.tenant_id == tenant_id, not_(at_rest_for_good)).order_by(RunRow.id)
    )
    faults = [(run.id, fault) for run in found if (fault := _restless(run, now)) is not None]
    return [Finding(f"run {run_id}", f"Run {run_id} {fault}.") for run_id, fault in faults]


def _restless(run: RunRow, now: datetime) -> str | None:
    if run.state in ENDED:
        return f"is {run.state}, but nobody knows since when"
    if run.state in MOVING:
        stuck = run.updated_at < now - MOVES_WITHIN
        return f"is {run.state} but has not moved since {run.updated_at:%Y-%m-%d %H:%M} UTC" if stuck else None
    if run.state not in (RunState.PENDING, RunState.HELD):
        return f"is in the state {run.state}, which there is not"
    if not run.reason:
        return f"is {run.state} and does not say why"
    if run.state == RunState.PENDING and run.waiting_for is None and run.wake_at is None:
        return "is pending but waits for nothing, so nothing will ever move it"
    if run.state == RunState.PENDING and run.wake_at is not None and run.wake_at < now - TAKEN_UP_WITHIN:
        return f"should have woken at {run.wake_at:%Y-%m-%d %H:%M} UTC: no worker seems to be at work"
    return None


async def unfinished_ends(
    db: AsyncSession, *, tenant_id: str, definitions: Mapping[tuple[str, int], Definition[Any]]
) -> list[Finding]:
    """A completed run has taken every step of its journey; a failed or cancelled one has undone every step it took."""
    found = await db.execute(
        select(RunRow.id, RunRow.journey, RunRow.version, RunRow.state, StepRow.step, StepRow.state, StepRow.round)
        .outerjoin(StepRow, StepRow.run_id == RunRow.id)
        .where(RunRow.tenant_id == tenant_id, RunRow.state.in_(list(MAY_END_WITH)))
        .order_by(RunRow.id, StepRow.round)
    )
    ended: dict[int, tuple[str, tuple[str, int]]] = {}
    latest: dict[int, dict[str, str]] = {}
    for run_id, journey, version, run_state, step, state, _round in found:
        ended[run_id] = run_state, (journey, version)
        latest.setdefault(run_id, {})[step] = state
    findings = []
    for run_id, (run_state, journey_version) in ended.items():
        steps = {step: state for step, state in latest[run_id].items() if step is not None}
        if run_state == RunState.COMPLETED and journey_version in definitions:
            steps = {step.name: StepState.PLANNED for step in definitions[journey_version].steps} | steps
        findings += [
            Finding(f"run {run_id}", f"Run {run_id} is {run_state}, but its step {step} is {state}.")
            for step, state in steps.items()
            if state not in MAY_END_WITH[RunState(run_state)]
        ]
    return findings


async def set_going(db: AsyncSession, *, tenant_id: str, journey: str, subjects_by_key: Mapping[str, str]) -> set[str]:
    """Of these keys: those of which there is a run of this journey, or an event that has started one or is about to;
    the latter counts under whatever key it was told, by its subject."""
    keys, open_subjects = list(subjects_by_key), set[str]()
    found = await db.scalars(
        select(RunRow.business_key).where(
            RunRow.tenant_id == tenant_id, RunRow.journey == journey, RunRow.business_key.in_(keys)
        )
    )
    going = set(found)
    events = await db.execute(
        select(EventRow.key, EventRow.subject, EventRow.state).where(
            EventRow.tenant_id == tenant_id,
            or_(EventRow.state == EventState.PENDING, EventRow.key.in_(keys) & (EventRow.state == EventState.STARTED)),
        )
    )
    for key, subject, state in events:
        if state == EventState.STARTED:
            going.add(key)
        else:
            open_subjects.add(subject)
    return going | {key for key, subject in subjects_by_key.items() if subject in open_subjects}


async def stuck_events(db: AsyncSession, *, tenant_id: str, occurred_before: datetime) -> list[Finding]:
    """An event soon starts its journey, or says why it doesn't."""
    found = await db.scalars(
        select(EventRow)
        .where(
            EventRow.tenant_id == tenant_id,
            EventRow.state == EventState.PENDING,
            EventRow.occurred_at < occurred_before,
        )
        .order_by(EventRow.id)
    )
    return [
        Finding(
            f"event {event.id}",
            f"Event {event.id} ({event.type} about {event.subject}) of {event.occurred_at:%Y-%m-%d %H:%M} UTC has not "
            "been taken up: no worker seems to be at work, or its journey can't be started.",
        )
        for event in found
    ]


async def unknown_outcomes(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """An outside call whose outcome is not known belongs to a run that will find out: it moves, retries, or is held."""
    found = await db.execute(
        select(RunRow.id, RunRow.state, StepRow.step)
        .join(StepRow, StepRow.run_id == RunRow.id)
        .where(RunRow.tenant_id == tenant_id, StepRow.state == StepState.UNKNOWN, RunRow.state.in_(list(ENDED)))
        .order_by(RunRow.id)
    )
    return [
        Finding(
            f"run {run_id}",
            f"Run {run_id} is {state}, and nobody knows whether its step {step} took effect.",
        )
        for run_id, state, step in found
    ]
