"""Whose calendar a visit has left: there it must read as off, for as long as what was called off does (``feeds``).

It leaves a technician's calendar when somebody else gets it, and a team's when its technician does or isn't of the team
any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import insert, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.field.feed_tables import FormerTechnician
from provisioning.field.tables import LIVE_STATES, Technician, Visit

KEPT = timedelta(days=30)
"""So long what is over, or off, stays in a calendar."""


async def leave_technician(db: AsyncSession, visit: Visit, *, now: datetime) -> None:
    """Somebody else is about to get this visit, and its SEQUENCE to grow by one for that. The caller holds it."""
    mine = (Technician.tenant_id == visit.tenant_id) & (Technician.id == visit.technician_id)
    team = await db.scalar(select(Technician.team).where(mine))
    await _left(db, visit, team, sequence=visit.sequence + 1, at=now)


async def change_team(db: AsyncSession, technician: Technician, former: str | None, *, now: datetime) -> None:
    """The technician was of the ``former`` team until now: visits to come are off for it, and on for the one that they
    are of. What was called off stays so in the calendar that has shown it. The caller holds the technician."""
    to_come = Visit.state.in_(LIVE_STATES) & (Visit.ends_at > now)
    called_off = (Visit.state == "cancelled") & (Visit.outcome_at > now - KEPT)
    found = await db.scalars(
        select(Visit)
        .where(
            Visit.tenant_id == technician.tenant_id,
            Visit.technician_id == technician.id,
            or_(to_come, called_off),
        )
        .order_by(Visit.id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    for visit in found.all():
        left_at = now
        if visit.state == "cancelled":
            assert visit.outcome_at is not None, "what was called off was so at some time"
            left_at = visit.outcome_at
        else:  # also for a calendar that knows it from before
            visit.sequence, visit.changed_at = visit.sequence + 1, now
        if former is not None:
            await _left(db, visit, former, sequence=visit.sequence, at=left_at)
    await db.flush()


async def _left(db: AsyncSession, visit: Visit, team: str | None, *, sequence: int, at: datetime) -> None:
    await db.execute(
        insert(FormerTechnician).values(
            tenant_id=visit.tenant_id,
            visit_id=visit.id,
            technician_id=visit.technician_id,
            team=team,
            starts_at=visit.starts_at,
            ends_at=visit.ends_at,
            sequence=sequence,
            left_at=at,
        )
    )
