"""What has become of a unit, written down for good."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncSession

from ipam.allocation.carving import Unit
from ipam.tables import AllocationEvent, table_of

_EVENT = table_of(AllocationEvent)


async def note_event(
    db: AsyncSession,
    unit: Unit,
    *,
    what: str,
    at: datetime,
    service_id: int | None = None,
    available_at: datetime | None = None,
    note: str | None = None,
) -> None:
    """Adds to the history of a unit."""
    await db.execute(
        insert(_EVENT).values(
            tenant_id=unit.tenant_id,
            pool_id=unit.pool_id,
            unit=unit.unit,
            service_id=service_id,
            what=what,
            at=at,
            available_at=available_at,
            note=note,
        )
    )
