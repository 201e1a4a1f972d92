"""An order and its installation share one visit, and two runs wait for it: each is told what the other has changed.

What a run was promised stands in its booking (``provisioning.field.bookings``). Where the visit is another by now, the
run is told, goes back to where it is booked, and joins it as it stands. A run that waits for somebody to agree on a
time is told when its order has a visit to come. Both are words that a person could say too (``deployment_date``,
``appointment``); told twice they count once, so every process may look.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog
from sqlalchemy import exists, or_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling.selling_tables import ENDED_ORDERS, SalesOrder
from provisioning.field import Visit, VisitBooking, VisitPurpose
from workflows import RunNotOpenFor, Runs, WorkflowError, inputs_of, open_runs_told, runs_of_keys, waiting_runs

SIGNALS: dict[VisitPurpose, str] = {"deployment": "deployment_date", "installation": "appointment"}
"""What tells a run of the visit that it needs for this."""

log = structlog.get_logger(__name__)

Order = tuple[int, int]
"""A customer's number and their order's: tickets may carry orders of another system's numbering."""


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
    ) -> None:
        self._begin = begin
        self._read = read
        self._runs = runs
        self._tenant_id = tenant_id

    async def tell(self) -> int:
        """How many runs have heard something new."""
        async with self._read() as db:
            news = await self._moved(db)
            for purpose in SIGNALS:
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
            if row.request_id in runs
        ]

    async def _awaited(self, db: AsyncSession, purpose: VisitPurpose) -> list[News]:
        """The visits to come of orders whose runs wait for a time, the first such run of each; unless another was told
        so before, and is about to join."""
        waiting = await waiting_runs(db, tenant_id=self._tenant_id, waiting_for=SIGNALS[purpose])
        if not waiting:
            return []
        inputs = await inputs_of(db, tenant_id=self._tenant_id, run_ids=[run.id for run in waiting])
        ordered = {run.id: inputs[run.id] for run in waiting}
        orders = await self._orders(db, ordered) if purpose == "deployment" else _named(ordered)
        taken = exists().where(
            VisitBooking.visit_id == Visit.id, VisitBooking.purpose == purpose, VisitBooking.released_at.is_(None)
        )
        found = await db.execute(
            select(Visit.customer_id, Visit.order_id, Visit.id, Visit.technician_id, Visit.starts_at).where(
                Visit.tenant_id == self._tenant_id,
                tuple_(Visit.customer_id, Visit.order_id).in_(list(orders)),
                Visit.state == "booked",
                ~taken,
            )
        )
        news = [
            News(orders[row.customer_id, row.order_id], purpose, row.id, row.technician_id, row.starts_at)
            for row in found
        ]
        told = await open_runs_told(db, tenant_id=self._tenant_id, keys=[one.key for one in news])
        return [one for one in news if told.get(one.key, set()) <= {one.run_id}]

    async def _orders(self, db: AsyncSession, inputs: dict[int, dict[str, Any]]) -> dict[Order, int]:
        """The orders that these runs carry out."""
        run_of = {data["quote_id"]: run_id for run_id, data in inputs.items()}
        found = await db.execute(
            select(SalesOrder.customer_id, SalesOrder.id, SalesOrder.quote_id).where(
                SalesOrder.tenant_id == self._tenant_id,
                SalesOrder.quote_id.in_(list(run_of)),
                SalesOrder.state.not_in(ENDED_ORDERS),
            )
        )
        return {(row.customer_id, row.id): run_of[row.quote_id] for row in found}

    async def _tell(self, news: News) -> bool:
        signal = SIGNALS[news.purpose]
        async with self._begin() as db:
            try:
                return await self._runs.signal(db, news.run_id, signal, news.payload, key=news.key, by="calendar")
            except RunNotOpenFor:
                return False  # it ended between the look and the word
            except WorkflowError as error:
                log.error("a run could not be told", signal=signal, code=error.code, reason=str(error))
                return False


def _named(inputs: dict[int, dict[str, Any]]) -> dict[Order, int]:
    """The orders that these tickets name; of several tickets of one order, whichever waits longest."""
    orders: dict[Order, int] = {}
    for run_id, data in inputs.items():
        if data.get("order_id") is not None:
            orders.setdefault((data["customer_id"], data["order_id"]), run_id)
    return orders
