"""Overlaps: the visit that stands in the way of another one, for whoever has to say so."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.field.errors import TechnicianBusy
from provisioning.field.fitting import Fit
from provisioning.field.tables import LIVE_STATES, Technician, Visit


class Overlaps:
    """Looks at one ISP's calendar. Only reads ``db``; that nobody is in two places is for the database to see to."""

    def __init__(self, db: AsyncSession, *, tenant_id: str) -> None:
        self._db = db
        self._tenant_id = tenant_id

    async def refuse_taken(self, technician_id: int, starts_at: datetime, ends_at: datetime) -> None:
        """Raises: TechnicianBusy, if there is a visit in this time. The way to the one after it isn't looked at, since
        that may get shorter; so what is free by this may still not fit."""
        found = await self._db.execute(
            select(Technician, Visit)
            .join(Visit, and_(Visit.tenant_id == Technician.tenant_id, Visit.technician_id == Technician.id))
            .where(
                Technician.tenant_id == self._tenant_id,
                Technician.id == technician_id,
                Visit.state.in_(LIVE_STATES),
                Visit.starts_at < ends_at,
                func.coalesce(Visit.held_to, Visit.ends_at) > starts_at,
            )
            .order_by(Visit.starts_at)
            .limit(1)
        )
        if (row := found.one_or_none()) is not None:
            raise busy_with(row.Technician, row.Visit)

    async def then(
        self, technician_id: int, starts_at: datetime, ends_at: datetime, fit: Fit, *, besides: int | None
    ) -> Visit | None:
        """For which visit a booking was refused: whom the technician is with then, or too near to; the next one,
        where the way there takes too long."""
        query = select(Visit).where(
            Visit.tenant_id == self._tenant_id,
            Visit.technician_id == technician_id,
            Visit.state.in_(LIVE_STATES),
            or_(
                and_(
                    func.coalesce(Visit.held_from, Visit.starts_at) < (fit.held_to or ends_at),
                    func.coalesce(Visit.held_to, Visit.ends_at) > (fit.held_from or starts_at),
                ),
                Visit.id == (fit.next_id if _is_too_near(fit, ends_at) else None),
            ),
        )
        if besides is not None:
            query = query.where(Visit.id != besides)
        found: Visit | None = await self._db.scalar(query.order_by(Visit.starts_at).limit(1))
        return found


def _is_too_near(fit: Fit, ends_at: datetime) -> bool:
    return fit.next_held_from is not None and fit.next_held_from < (fit.held_to or ends_at)


def busy_with(technician: Technician, other: Visit) -> TechnicianBusy:
    return TechnicianBusy(
        technician_id=technician.id,
        technician_name=technician.name,
        busy_from=other.starts_at,
        busy_to=other.ends_at,
        visit_id=other.id,
        by=f"visit {other.id} of customer {other.customer_id}",
    )
