"""Visits as they are read: one, those of a period, how many, and for whose work they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from provisioning.field.claims import Claims
from provisioning.field.errors import VisitUnknown
from provisioning.field.periods import in_period
from provisioning.field.records import VisitRecord, as_record
from provisioning.field.tables import IN_VAIN, LIVE_STATES, Technician, Visit, VisitBooking, VisitPurpose
from provisioning.intake import Clock
from workflows.services import VisitState


class KnownVisits:
    """The visits of one ISP. Only reads ``db``."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._claims = Claims(db, tenant_id=tenant_id, now=now)

    async def visit(self, visit_id: int, *, lock: bool = False) -> VisitRecord:
        """``lock``: nobody else changes it until the transaction ends. Raises: VisitUnknown."""
        return await self._recorded(await self._visit(visit_id, lock=lock))

    async def in_its_place(self, visit_id: int) -> VisitRecord:
        """The visit; where it is not to come any more, the newest that its order has now, if it has one.

        Raises: VisitUnknown.
        """
        visit = await self._visit(visit_id)
        if visit.state not in LIVE_STATES and visit.order_id is not None:
            others = select(Visit.id).where(Visit.tenant_id == self._tenant_id, Visit.state.in_(LIVE_STATES))
            others = others.where(Visit.customer_id == visit.customer_id, Visit.order_id == visit.order_id)
            visit_id = await self._db.scalar(others.order_by(Visit.id.desc()).limit(1)) or visit_id
        return await self.visit(visit_id)

    async def newest_of(self, customer_id: int) -> VisitRecord | None:
        """The visit of this customer that was booked last, whatever came of it."""
        theirs = select(Visit.id).where(Visit.tenant_id == self._tenant_id, Visit.customer_id == customer_id)
        number = await self._db.scalar(theirs.order_by(Visit.id.desc()).limit(1))
        return None if number is None else await self.visit(number)

    async def visits(
        self,
        *,
        starts_at: datetime | None = None,
        ends_at: datetime | None = None,
        technician_id: int | None = None,
        states: Sequence[VisitState] = (),
        after: int | None = None,
        limit: int | None = None,
    ) -> list[VisitRecord]:
        """The visits that touch this period (open where an end is not given), in the order of start.

        ``after``: the number of the last one of the page before. Raises: VisitUnknown (there is no ``after``).
        """
        query = (
            select(Visit, Technician)
            .join(Technician, (Technician.tenant_id == Visit.tenant_id) & (Technician.id == Visit.technician_id))
            .where(Visit.tenant_id == self._tenant_id, *in_period(starts_at, ends_at, technician_id, states))
            .order_by(Visit.starts_at, Visit.id)
            .execution_options(populate_existing=True)
        )
        if after is not None:
            last = await self._visit(after)
            query = query.where(tuple_(Visit.starts_at, Visit.id) > (last.starts_at, last.id))
        if limit is not None:
            query = query.limit(limit)
        return [as_record(visit, technician) for visit, technician in await self._db.execute(query)]

    async def in_vain(self, *, since: datetime, technician_id: int | None = None) -> list[VisitRecord]:
        """The visits since then that came to nothing and after which nothing follows by itself: dispatch alone needed
        them, and their customer (or order, where it is known) has no later visit.
        """
        later = aliased(Visit)
        goes_on = or_(
            and_(
                later.state.in_((*LIVE_STATES, "completed")),
                or_(later.id > Visit.id, later.starts_at > Visit.starts_at),
            ),
            and_(later.state.in_(IN_VAIN), later.id > Visit.id),  # that one is told instead
        )
        of_the_same = and_(
            later.tenant_id == Visit.tenant_id,
            later.customer_id == Visit.customer_id,
            or_(Visit.order_id.is_(None), later.order_id == Visit.order_id),
        )
        of_a_run = and_(VisitBooking.visit_id == Visit.id, VisitBooking.purpose != "dispatch")
        query = (
            select(Visit, Technician)
            .join(Technician, (Technician.tenant_id == Visit.tenant_id) & (Technician.id == Visit.technician_id))
            .where(Visit.tenant_id == self._tenant_id, *in_period(since, None, technician_id, IN_VAIN))
            .where(~select(VisitBooking.id).where(of_a_run).exists())
            .where(~select(later.id).where(of_the_same, goes_on).exists())
            .order_by(Visit.starts_at, Visit.id)
        )
        return [as_record(visit, technician) for visit, technician in await self._db.execute(query)]

    async def count(
        self, *, starts_at: datetime | None = None, ends_at: datetime | None = None, technician_id: int | None = None
    ) -> int:
        """How many visits touch this period."""
        wanted = in_period(starts_at, ends_at, technician_id)
        query = select(func.count()).select_from(Visit).where(Visit.tenant_id == self._tenant_id, *wanted)
        return await self._db.scalar(query) or 0

    async def mark(self, *, starts_at: datetime, ends_at: datetime) -> str:
        """What is another one as soon as a visit of this period has changed, has come to it or has gone."""
        query = select(func.count(), func.sum(Visit.id), func.sum(Visit.sequence))
        wanted = in_period(starts_at, ends_at, None)
        found = await self._db.execute(query.where(Visit.tenant_id == self._tenant_id, *wanted))
        return " ".join(map(str, found.one()))

    async def is_requested(self, request_id: str | None) -> bool:
        """Whether this request has its visit already."""
        return await self._claims.is_requested(request_id)

    async def of_request(self, request_id: str | None) -> VisitRecord | None:
        """The visit that this request has booked, whatever came of it."""
        claim = await self._claims.of_request(request_id)
        return None if claim is None else await self.visit(claim.visit_id)

    async def is_promised(self, *, visit_id: int, purpose: VisitPurpose) -> bool:
        """Whether those who need the visit for this know when it is, and who comes: it was not moved since.

        Raises: VisitUnknown.
        """
        return await self._claims.is_promised(await self._visit(visit_id), purpose)

    async def is_dispatchs_alone(self, visit_id: int) -> bool:
        """Whether neither an order nor a line needs the visit: it ends when its technician is done.

        Raises: VisitUnknown.
        """
        return await self._claims.is_dispatchs_alone(await self._visit(visit_id))

    async def is_installations(self, visit_id: int) -> bool:
        """Whether an installation needs the visit. Raises: VisitUnknown."""
        return await self._claims.is_installations(await self._visit(visit_id))

    async def _recorded(self, visit: Visit) -> VisitRecord:
        technician = await self._db.get(Technician, (self._tenant_id, visit.technician_id))
        assert technician is not None, "a visit has its technician, by foreign key"
        return as_record(visit, technician)

    async def _visit(self, visit_id: int, *, lock: bool = False) -> Visit:
        query = select(Visit).where(Visit.tenant_id == self._tenant_id, Visit.id == visit_id)
        visit = await self._db.scalar(
            (query.with_for_update() if lock else query).execution_options(populate_existing=True)
        )
        if visit is None:
            raise VisitUnknown(visit_id)
        return visit
