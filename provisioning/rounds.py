"""Rounds: what has come to nothing may be begun anew, under a number of its own; what succeeded is never done twice."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncSession

from workflows import RunState, run_state

CAME_TO_NOTHING = frozenset({RunState.FAILED, RunState.CANCELLED, RunState.REJECTED})
"""Everything of such a run is undone."""


async def due_round(db: AsyncSession, *, tenant_id: str, journey: str, key_of: Callable[[int], str]) -> int:
    """The round that is under way, has succeeded, or is to begin: the first whose run has not come to nothing."""
    number = 1
    while await run_state(db, tenant_id=tenant_id, journey=journey, key=key_of(number)) in CAME_TO_NOTHING:
        number += 1
    return number
