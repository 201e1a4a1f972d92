"""Dispatch books the visit that a run waits for, or is held for: in the calendar first, where nobody else can take it.

The visit is dispatch's until the run has joined it (``provisioning.field.claims``), and the run is told in the same
transaction, by the very word that the calendar would tell it (``provisioning.order_visits``). So the slot is won or
lost at once, by the database, and the run can't be held for it a second time. Where the order has a visit to come
already, that one is moved.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.selling.selling_tables import SalesOrder
from provisioning.dispatch import DispatchDesk
from provisioning.field import (
    JOINING,
    OF_SIGNAL,
    VISIT,
    Asking,
    NoVisitAwaited,
    Visit,
    VisitPurpose,
    VisitRecord,
    Visits,
)
from provisioning.intake import Clock, Faults
from provisioning.order_visits import News
from workflows import Definition, Runs, RunSummary, RunView, held_at, show_run

HELD = "held"
HELD_AT = [name for joining in JOINING.values() for name in (joining.step, joining.signal)]
"""Where a run is held that has no visit: at the booking itself, or at the wait for its time."""
MOST_HELD = 1000
AGREED = "the time was agreed anew"


def wanted_visit(run: RunSummary) -> VisitPurpose | None:
    """For what this run needs a visit booked, as it stands; None: it doesn't, or its undo is what is held."""
    if run.state == "pending" and run.waiting_for in OF_SIGNAL:
        return OF_SIGNAL[run.waiting_for]
    for purpose, joining in JOINING.items():
        if run.state == HELD and run.journey == joining.journey and run.current_step in (joining.step, joining.signal):
            return purpose
    return None


@dataclass(frozen=True)
class WantedVisit:
    """A run that needs a visit, and what is known of that. ``order_id``: whose it is, if it is an order's; ``visit``:
    the one that the order has; ``former``: the one before, which may tell the job and the place."""

    run: RunSummary
    purpose: VisitPurpose
    customer_id: int
    order_id: int | None
    address: str | None
    location: str | None
    visit: VisitRecord | None
    former: VisitRecord | None


class RunSlots:
    """Looks and books within the caller's transaction."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        dispatch: DispatchDesk,
        runs: Runs,
        definitions: Mapping[tuple[str, int], Definition[Any]],
        tenant_id: str,
        now: Clock,
    ) -> None:
        self._db = db
        self._dispatch = dispatch
        self._runs = runs
        self._definitions = definitions
        self._tenant_id = tenant_id
        self._visits = Visits(db, tenant_id=tenant_id, now=now)

    async def held(self) -> list[RunSummary]:
        """The runs that are held for want of a visit, the newest first."""
        found = await held_at(self._db, tenant_id=self._tenant_id, steps=HELD_AT, limit=MOST_HELD)
        return [run for run in found if wanted_visit(run) is not None and run.customer_id is not None]

    async def wanted(self, run_id: int) -> WantedVisit:
        """What is known of the visit that this run needs. Raises: RunUnknown, CodeMissing, NoVisitAwaited."""
        view = await show_run(self._db, run_id, tenant_id=self._tenant_id, definitions=self._definitions)
        run, purpose = view.summary, wanted_visit(view.summary)
        if purpose is None or view.goes_back or run.customer_id is None:
            raise NoVisitAwaited(run_id, run.state)
        order_id = await self._order(view, purpose)
        visit = None
        if order_id is not None:
            visit = await self._visits.of_order(customer_id=run.customer_id, order_id=order_id, is_held=False)
        return WantedVisit(
            run=run,
            purpose=purpose,
            customer_id=run.customer_id,
            order_id=order_id,
            address=view.input.get("installation_address"),
            location=view.input.get("service_location"),
            visit=visit,
            former=await self._former(run.customer_id, order_id),
        )

    async def look_ahead(self, *, run_id: int, technician_id: int, starts_at: datetime, **task: Any) -> Asking | None:
        """As ``DispatchDesk.refuse_taken`` (``task``: its job and place), before anybody is held; a visit that would be
        moved is in nobody's way.

        Raises: as that; RunUnknown, CodeMissing, NoVisitAwaited.
        """
        visit = (await self.wanted(run_id)).visit
        if visit is None:
            return await self._dispatch.refuse_taken(technician_id=technician_id, starts_at=starts_at, **task)
        number = visit["visit_id"]
        return await self._dispatch.look_ahead(visit_id=number, technician_id=technician_id, starts_at=starts_at)

    async def book(  # noqa: PLR0913 - each is a fact about the visit
        self,
        *,
        run_id: int,
        technician_id: int,
        starts_at: datetime,
        job: str,
        address: str,
        latitude: float | None = None,
        longitude: float | None = None,
        customer_id: int | None = None,
        order_id: int | None = None,
        override_reason: str | None = None,
        request_id: str | None = None,
        by: str,
    ) -> VisitRecord:
        """Books it, or moves the order's visit there (which stays the job, and where, it is), and the run goes on with
        it. The same request writes once. ``customer_id``, ``order_id``: the run's own, if they are said.

        Raises: InvalidRequest; as ``DispatchDesk.book`` and ``reschedule``; RunUnknown, CodeMissing, NoVisitAwaited.
        """
        if (known := await self._visits.of_request(request_id)) is not None:
            return known
        await self._hold(run_id)
        if (known := await self._visits.of_request(request_id)) is not None:  # it was made twice at once
            return known
        wanted = await self.wanted(run_id)
        _refuse_others(wanted, customer_id, order_id)
        if wanted.visit is not None:
            visit = await self._dispatch.reschedule(
                visit_id=wanted.visit["visit_id"],
                technician_id=technician_id,
                starts_at=starts_at,
                reason=AGREED,
                override_reason=override_reason,
                is_written=True,
                by=by,
            )
        else:
            visit = await self._dispatch.book(
                customer_id=wanted.customer_id,
                technician_id=technician_id,
                starts_at=starts_at,
                address=wanted.address or address,
                job=job,
                latitude=latitude,
                longitude=longitude,
                location=wanted.location,
                order_id=wanted.order_id,
                override_reason=override_reason,
                request_id=request_id,
                is_written=True,
                by=by,
            )
        await self._tell(wanted, visit, by=by)
        return visit

    async def _hold(self, run_id: int) -> None:
        """Nobody else changes this run, or one that is about the visit it would move, until the transaction ends."""
        visit = (await self.wanted(run_id)).visit
        of_visit = [] if visit is None else await self._runs.about(self._db, VISIT, str(visit["visit_id"]))
        await self._runs.lock(self._db, sorted({run_id, *of_visit}))  # all runs before the visit, as everybody does

    async def _tell(self, wanted: WantedVisit, visit: VisitRecord, *, by: str) -> None:
        news = News(wanted.run.id, wanted.purpose, visit["visit_id"], visit["technician_id"], visit["starts_at"])
        signal = JOINING[wanted.purpose].signal
        await self._runs.signal(self._db, wanted.run.id, signal, news.payload, key=news.key, by=by)
        if wanted.run.state == HELD and wanted.run.current_step == signal:
            await self._runs.retry(self._db, wanted.run.id, by=by)  # a wait that is held hears nothing

    async def _order(self, view: RunView, purpose: VisitPurpose) -> int | None:
        """Our order, or another system's number of one, to which the visit belongs."""
        known = view.input.get(JOINING[purpose].known_by)
        if purpose == "installation":
            return None if known is None else int(known)
        of_quote = select(SalesOrder.id).where(SalesOrder.tenant_id == self._tenant_id, SalesOrder.quote_id == known)
        order_id: int | None = await self._db.scalar(of_quote.order_by(SalesOrder.id.desc()).limit(1))
        return order_id

    async def _former(self, customer_id: int, order_id: int | None) -> VisitRecord | None:
        """The order's newest visit, whatever came of it; of no order, the customer's newest one of none."""
        theirs = select(Visit.id).where(Visit.tenant_id == self._tenant_id, Visit.customer_id == customer_id)
        number = await self._db.scalar(theirs.where(Visit.order_id == order_id).order_by(Visit.id.desc()).limit(1))
        return None if number is None else await self._visits.visit(number)


def _refuse_others(wanted: WantedVisit, customer_id: int | None, order_id: int | None) -> None:
    faults = Faults("The visit")
    for field, said, own in (
        ("customer_id", customer_id, wanted.customer_id),
        ("order_id", order_id, wanted.order_id),
    ):
        if said is not None and said != own:
            faults.add(field, f"is {said}, and run {wanted.run.id} is {'of none' if own is None else f'of {own}'}")
    faults.refuse_if_any()
