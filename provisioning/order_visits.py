"""An order and its installation share one visit, and two runs wait for it: each is told what the other has changed.

What a run was promised stands in its booking (``provisioning.field.claims``). Where the visit is another by now, the
run is told, goes back to where it is booked, and joins it as it stands. A run that waits for somebody to agree on a
time is told when its order has a visit to come; an order's run, also when one was made. Both are words that a person
could say too (``deployment_date``, ``appointment``); told twice they count once, so every process may look.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import Select, and_, exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.scheduling.deployments import DONE_OR_TO_COME
from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.field import JOINING, Visit, VisitBooking, VisitPurpose
from provisioning.intake import Clock
from workflows import ENDED, RunNotOpenFor, Runs, WorkflowError, inputs_of, open_runs_told, runs_of_keys, waiting_runs

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class News:
    """A visit, and the run that has to hear of it."""

    run_id: int
    purpose: VisitPurpose
    visit_id: int
    technician_id: int
    starts_at: datetime

    @property
    def key(self) -> str:
        return f"visit/{self.visit_id}/{self.purpose}/at/{self.starts_at.isoformat()}/{self.technician_id}"

    @property
    def payload(self) -> dict[str, Any]:
        said: dict[str, Any] = {"scheduled_date": self.starts_at, "visit_id": self.visit_id}
        return said if self.purpose == "deployment" else {**said, "technician_id": self.technician_id}


class OrderVisits:
    """Tells runs of their orders' visits."""

    def __init__(
        self,
        begin: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        *,
        read: Callable[[], AbstractAsyncContextManager[AsyncSession]],
        runs: Runs,
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._begin = begin
        self._read = read
        self._runs = runs
        self._tenant_id = tenant_id
        self._now = now

    async def tell(self) -> int:
        """How many runs have heard something new."""
        async with self._read() as db:
            news = await self._moved(db)
            for purpose in JOINING:
                news += await self._awaited(db, purpose)
        return sum([await self._tell(one) for one in news])

    async def _moved(self, db: AsyncSession) -> list[News]:
        found = await db.execute(
            select(Visit.id, Visit.technician_id, Visit.starts_at, VisitBooking.purpose, VisitBooking.request_id)
            .join(VisitBooking, VisitBooking.visit_id == Visit.id)
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.order_id.is_not(None),
                Visit.state == "booked",
                VisitBooking.released_at.is_(None),
                VisitBooking.request_id.is_not(None),
                or_(VisitBooking.technician_id != Visit.technician_id, VisitBooking.starts_at != Visit.starts_at),
            )
        )
        moved = found.all()
        runs = await runs_of_keys(db, tenant_id=self._tenant_id, keys=[row.request_id for row in moved])
        return [
            News(runs[row.request_id][0], row.purpose, row.id, row.technician_id, row.starts_at)
            for row in moved
            if row.request_id in runs and runs[row.request_id][1] not in ENDED
        ]

    async def _awaited(self, db: AsyncSession, purpose: VisitPurpose) -> list[News]:
        """The visits of orders whose runs wait for a time, the first such run of each; unless another was told so
        before, and is about to join."""
        found = await db.execute(self._unclaimed(purpose))
        # Of several visits of one order, the newest is what its run joins.
        visits = {(row.customer_id, row.wanted_by): row for row in found}
        if not visits:
            return []
        customers = {customer_id for customer_id, _ in visits}
        waiting = [
            run.id
            for run in await waiting_runs(db, tenant_id=self._tenant_id, waiting_for=JOINING[purpose].signal)
            if run.customer_id in customers
        ]
        inputs = await inputs_of(db, tenant_id=self._tenant_id, run_ids=waiting)
        news = []
        for run_id in waiting:
            said = inputs[run_id]
            row = visits.pop((said["customer_id"], said.get(JOINING[purpose].known_by)), None)
            if row is not None:
                news.append(News(run_id, purpose, row.id, row.technician_id, row.starts_at))
        told = await open_runs_told(db, tenant_id=self._tenant_id, keys=[one.key for one in news])
        return [one for one in news if told.get(one.key, set()) <= {one.run_id}]

    def _unclaimed(self, purpose: VisitPurpose) -> Select[*tuple[Any, ...]]:
        """The visits of orders that nobody has booked for this, the oldest first, and what a run knows its order by.

        A line needs a technician who is still to come; an order is content if one was there.
        """
        taken = exists().where(
            VisitBooking.visit_id == Visit.id, VisitBooking.purpose == purpose, VisitBooking.released_at.is_(None)
        )
        wanted_by = SalesOrder.quote_id if purpose == "deployment" else Visit.order_id
        query = (
            select(Visit.customer_id, wanted_by.label("wanted_by"), Visit.id, Visit.technician_id, Visit.starts_at)
            .where(Visit.tenant_id == self._tenant_id, Visit.order_id.is_not(None), ~taken)
            .order_by(Visit.id)
        )
        if purpose == "installation":
            return query.where(Visit.state == "booked", Visit.ends_at > self._now())
        its_order = and_(
            SalesOrder.tenant_id == Visit.tenant_id,
            SalesOrder.customer_id == Visit.customer_id,
            SalesOrder.id == Visit.order_id,
        )
        is_open = SalesOrder.ended_at.is_(None)
        return query.join(SalesOrder, its_order).where(Visit.state.in_(DONE_OR_TO_COME), is_open)

    async def _tell(self, news: News) -> bool:
        signal = JOINING[news.purpose].signal
        async with self._begin() as db:
            try:
                return await self._runs.signal(db, news.run_id, signal, news.payload, key=news.key, by="calendar")
            except RunNotOpenFor:
                return False  # it ended between the look and the word
            except WorkflowError as error:
                log.error("a run could not be told", signal=signal, code=error.code, reason=str(error))
                return False
