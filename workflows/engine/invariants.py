"""What must always hold for runs: read-only questions for ``firstlight check``. No finding means it holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import ENDED, MOVING, RunRow, RunState, StepRow, StepState

MOVES_WITHIN = timedelta(minutes=15)
"""A segment lasts seconds; the longest outside call has a time-out of minutes."""
WAKES_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it must be: which invariant, which run, and one plain sentence."""

    invariant: str
    subject: str
    message: str


async def restless_runs(db: AsyncSession, *, tenant_id: str, now: datetime) -> list[Finding]:
    """Every run has ended, moves, waits for something it names, or is held with a reason."""
    found = await db.scalars(
        select(RunRow).where(RunRow.tenant_id == tenant_id, RunRow.state.not_in(ENDED)).order_by(RunRow.id)
    )
    findings = []
    for run in found:
        if run.state in MOVING and run.updated_at < now - MOVES_WITHIN:
            findings.append(f"run {run.id} is {run.state} but has not moved since {run.updated_at:%Y-%m-%d %H:%M} UTC")
        elif run.state == RunState.PENDING and run.waiting_for is None and run.wake_at is None:
            findings.append(f"run {run.id} is pending but waits for nothing")
        elif run.state == RunState.PENDING and run.wake_at is not None and run.wake_at < now - WAKES_WITHIN:
            findings.append(f"run {run.id} should have woken at {run.wake_at:%Y-%m-%d %H:%M} UTC")
        elif run.state in (RunState.PENDING, RunState.HELD) and not run.reason:
            findings.append(f"run {run.id} is {run.state} and does not say why")
        elif run.state not in {*MOVING, RunState.PENDING, RunState.HELD}:
            findings.append(f"run {run.id} is in the state {run.state}, which there is not")
    return [Finding("runs.at_rest", text.split(" is ")[0], text + ".") for text in findings]


async def unfinished_ends(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """A completed run has taken every step; a failed or cancelled one has undone every step it took."""
    wanted = {
        RunState.COMPLETED: {StepState.COMPLETED, StepState.SKIPPED},
        RunState.FAILED: {StepState.UNDONE, StepState.PLANNED},
        RunState.CANCELLED: {StepState.UNDONE, StepState.PLANNED},
    }
    found = await db.execute(
        select(RunRow.id, RunRow.state, StepRow.step, StepRow.state, StepRow.round)
        .join(StepRow, StepRow.run_id == RunRow.id)
        .where(RunRow.tenant_id == tenant_id, RunRow.state.in_(list(wanted)))
        .order_by(RunRow.id, StepRow.step, StepRow.round)
    )
    latest = {(run_id, step): (run_state, state) for run_id, run_state, step, state, _round in found}
    return [
        Finding("runs.ended_whole", f"run {run_id}", f"run {run_id} is {run_state}, but its step {step} is {state}.")
        for (run_id, step), (run_state, state) in latest.items()
        if StepState(state) not in wanted[RunState(run_state)]
    ]


async def unknown_outcomes(db: AsyncSession, *, tenant_id: str) -> list[Finding]:
    """An outside call whose outcome is not known belongs to a run that will find out: it moves, retries, or is held."""
    resolving = [*MOVING, RunState.PENDING, RunState.HELD]
    found = await db.execute(
        select(RunRow.id, RunRow.state, StepRow.step)
        .join(StepRow, StepRow.run_id == RunRow.id)
        .where(RunRow.tenant_id == tenant_id, StepRow.state == StepState.UNKNOWN, RunRow.state.not_in(resolving))
        .order_by(RunRow.id)
    )
    return [
        Finding(
            "runs.unknown_outcome",
            f"run {run_id}",
            f"run {run_id} is {state}, and nobody knows whether its step {step} took effect.",
        )
        for run_id, state, step in found
    ]
