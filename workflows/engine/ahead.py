"""Which runs have a step still before them, for whoever would otherwise do by hand what that step does."""

from __future__ import annotations

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.journal import RETRY
from workflows.engine.tables import Direction, RunRow, RunState, StepRow
from workflows.engine.turning import PASSED

GO_ON_BY_THEMSELVES = frozenset({RunState.ACKNOWLEDGED, RunState.IN_PROGRESS, RunState.PENDING})


async def runs_before(
    db: AsyncSession, *, tenant_id: str, journey: str, step: str, customer_id: int, told_of_by: str
) -> list[int]:
    """The customer's runs of this journey that soon come to this step: it is neither done nor passed over, and they
    move by themselves, or wait for the signal that tells them of it. One that waits for another may do so for days."""
    is_done = exists().where(StepRow.run_id == RunRow.id, StepRow.step == step, StepRow.state.in_(PASSED))
    found = await db.scalars(
        select(RunRow.id).where(
            RunRow.tenant_id == tenant_id,
            RunRow.customer_id == customer_id,
            RunRow.journey == journey,
            RunRow.state.in_(GO_ON_BY_THEMSELVES),
            or_(RunRow.waiting_for.is_(None), RunRow.waiting_for.in_((RETRY, told_of_by))),
            RunRow.direction != Direction.UNDO,
            ~is_done,
        )
    )
    return list(found)
