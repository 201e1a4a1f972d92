"""Which NASes tell of lines that log in by themselves (``lines`` of ``NasTerms``), and who would be shut out without.

Whoever asks holds definitions still (``while_definitions_stand``, ``one_definition_at_a_time``).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from radius.nas_errors import NasLinesInUse, NoNasTellsOfLines
from radius.tables import Nas, Subscriber

NAMED = 3


async def is_told_of_lines(db: AsyncSession, tenant_id: str) -> bool:
    """Whether a line may log in by itself at some NAS of the tenant."""
    told = select(Nas.id).where(Nas.tenant_id == tenant_id, Nas.lines).limit(1)
    return await db.scalar(told) is not None


async def refuse_untold_lines(db: AsyncSession, tenant_id: str) -> None:
    """Raises: NoNasTellsOfLines where a line that logs in by itself would be let in nowhere."""
    if not await is_told_of_lines(db, tenant_id):
        raise NoNasTellsOfLines


async def refuse_lost_lines(db: AsyncSession, tenant_id: str, told_before: Sequence[str]) -> None:
    """After NASes were changed. ``told_before``: the names of those that told of lines until then.

    Raises:
        NasLinesInUse: none does any more, and subscribers log in by their lines.
    """
    if not told_before or await is_told_of_lines(db, tenant_id):
        return
    count, first = await by_their_lines(db, tenant_id)
    if count:
        raise NasLinesInUse(told_before, count, first)


async def by_their_lines(db: AsyncSession, tenant_id: str) -> tuple[int, list[str]]:
    """How many subscribers log in by their lines, and the first few by name."""
    live = (Subscriber.tenant_id == tenant_id) & (Subscriber.state != "terminated") & Subscriber.login_by_line
    count = await db.scalar(select(func.count()).where(live))
    first = await db.scalars(select(Subscriber.username).where(live).order_by(Subscriber.username).limit(NAMED))
    return count or 0, list(first)
