"""Which runs have a step still before them, for whoever would otherwise do by hand what that step does."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.ext.asyncio import AsyncSession

from workflows.engine.tables import Direction, RunRow, RunState, StepRow, StepState

GO_ON_BY_THEMSELVES = frozenset({RunState.ACKNOWLEDGED, RunState.IN_PROGRESS, RunState.PENDING})


async def runs_before(db: AsyncSession, *, tenant_id: str, journey: str, step: str, customer_id: int) -> list[int]:
    """The customer's runs of this journey that go on without a person, and have not done this step or have undone
    it."""
    is_done = exists().where(StepRow.run_id == RunRow.id, StepRow.step == step, StepRow.state == StepState.COMPLETED)
    found = await db.scalars(
        select(RunRow.id).where(
            RunRow.tenant_id == tenant_id,
            RunRow.customer_id == customer_id,
            RunRow.journey == journey,
            RunRow.state.in_(GO_ON_BY_THEMSELVES),
            RunRow.direction != Direction.UNDO,
            ~is_done,
        )
    )
    return list(found)
