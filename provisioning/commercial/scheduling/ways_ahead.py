"""The ways to a visit are asked for before its booking holds anybody: while a step's commit is open, nobody waits for a
router. What is learnt here the booking reads (``provisioning.field.ways``)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime, timedelta
from typing import get_args
from zoneinfo import ZoneInfo

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.scheduling.wanted_deployment import LONGEST_AHEAD
from provisioning.days import begin_of
from provisioning.field import Asked, Fitting, Jobs, Search, VisitRecord, Visits, Ways, place_of
from provisioning.intake import Clock
from workflows.services import VisitState

EVERY_STATE: tuple[VisitState, ...] = get_args(VisitState)


class WaysAhead:
    """Looks where an order's visit is, and asks how long it takes to get there. ``read`` opens a transaction that only
    reads; it is over when a router is asked."""

    def __init__(
        self,
        read: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        *,
        tenant_id: str,
        now: Clock,
        zone: ZoneInfo,
        ways: Ways,
    ) -> None:
        self._read = read
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        self._ways = ways

    async def to_installation(
        self, *, customer_id: int, order_id: int | None, technician_id: int, scheduled_date: datetime
    ) -> None:
        """The ways of this technician to the order's visit, and on from there, at that time."""
        if order_id is None or not self._ways.asks:
            return
        async with self._read() as db:
            visit = await self._of_order(db, customer_id, order_id)
            if visit is None:
                return
            fitting = Fitting(db, tenant_id=self._tenant_id, ways=self._ways)
            place = place_of(visit["latitude"], visit["longitude"])
            asking = await fitting.ways_around(technician_id, scheduled_date, place, besides=visit["visit_id"])
        if asking is not None:
            await asking()

    async def to_deployment(self, *, customer_id: int, order_id: int, scheduled_date: date | datetime) -> None:
        """The ways of everybody who could come on that day."""
        day = scheduled_date.date() if isinstance(scheduled_date, datetime) else scheduled_date
        if not self._ways.asks or not timedelta(-1) <= day - self._now().date() <= LONGEST_AHEAD:
            return  # what lies elsewhere is refused
        begin = scheduled_date if isinstance(scheduled_date, datetime) else begin_of(scheduled_date, self._zone)
        async with self._read() as db:
            visit = await self._of_order(db, customer_id, order_id)
            if visit is None:
                return
            kind = await Jobs(db, tenant_id=self._tenant_id).of_visit(visit)
            place = place_of(visit["latitude"], visit["longitude"])
            search = Search(db, tenant_id=self._tenant_id, now=self._now, zone=self._zone, ways=self._ways)
            asking = await search.ways_of(Asked.of(kind, place, begin, besides=visit["visit_id"]))
        if asking is not None:
            await asking()

    async def _of_order(self, db: AsyncSession, customer_id: int, order_id: int) -> VisitRecord | None:
        visits = Visits(db, tenant_id=self._tenant_id, now=self._now)
        return await visits.of_order(customer_id=customer_id, order_id=order_id, states=EVERY_STATE, is_held=False)
