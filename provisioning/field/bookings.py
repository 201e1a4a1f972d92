"""Bookings: visits come into the calendar, are taken over and moved, each against its technician's other visits.

An order and the installation that belongs to it need one technician, not two: whoever comes first books the visit,
whoever comes second joins it, and it is called off when nobody needs it any more (``claims``). An index sees to it that
an order never has two visits to come. Locks are taken in one order: technicians, then visits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.field.claims import Claims, Whose
from provisioning.field.departures import leave_technician
from provisioning.field.errors import VisitOver, VisitUnknown
from provisioning.field.fitting import Fit, Fitting, Task
from provisioning.field.jobs import Jobs
from provisioning.field.overlaps import Overlaps, busy_with
from provisioning.field.tables import CAME_TO_NOTHING, LIVE_STATES, Technician, Visit
from provisioning.field.travel import place_of
from provisioning.field.ways import AS_THE_CROW_FLIES, Ways
from provisioning.intake import Clock
from workflows.services import VisitState

NOTHING_SAID = Task()


@dataclass(frozen=True)
class Booking:
    """What is wanted of a visit, once it has been read."""

    customer_id: int
    technician_id: int
    starts_at: datetime
    ends_at: datetime
    address: str
    location: str | None
    planned_port: str | None
    task: Task = NOTHING_SAID


class Bookings:
    """One ISP's calendar. Writes only ``db``; the caller commits, and holds the technician whom it names."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, ways: Ways = AS_THE_CROW_FLIES) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._fitting = Fitting(db, tenant_id=tenant_id, ways=ways)
        self._jobs = Jobs(db, tenant_id=tenant_id)
        self._claims = Claims(db, tenant_id=tenant_id, now=now)
        self._overlaps = Overlaps(db, tenant_id=tenant_id)

    async def book(self, wanted: Booking, whose: Whose, request_id: str | None, technician: Technician) -> Visit:
        """A new visit; for an installation of an order that has one to come, that one, moved where it doesn't fit.

        That one stays the job that it was booked as: as long, with its buffer and its skills, unless another is told;
        so does the next one, where it came to nothing.
        Where the order's visit is another line's, or its technician is at the door already, this is a visit apart; so
        is what dispatch books by hand beside it. An installation of no order takes over the visit that it names.

        Raises: TechnicianBusy, OutsideHours, SkillMissing, VisitOver, RequestConflict, ChangeRaced.
        """
        if (known := await self._requested(wanted, whose, request_id)) is not None:
            return known
        there = await self.to_come(wanted.customer_id, whose)
        if there is not None and whose.purpose == "deployment":
            raise ChangeRaced  # it came between the look at the order and this booking
        mine = there if there is not None and await self._is_to_be_had(there, whose) else None
        if whose.visit_id is not None and mine is None and wanted.ends_at <= self._now():
            raise VisitOver(whose.visit_id, (await self._visit(whose.visit_id)).state, "joined")
        described = mine if there is not None else await self._that_came_to_nothing(wanted, whose)
        if described is not None and wanted.task.job is None:
            wanted = await self._as_booked(described, wanted)
        fit = None if mine is not None and _stays(mine, wanted, whose) else await self._fit(technician, wanted, mine)
        try:
            if mine is not None:
                return await self._taken_over(mine, wanted, whose, request_id, fit)
            assert fit is not None, "only a visit that is there already stays"
            return await self._new(wanted, whose, None if there is not None else whose.order_id, request_id, fit)
        except IntegrityError as exc:
            if (known := await self._requested(wanted, whose, request_id)) is not None:
                return known
            if (other := await self._in_the_way(wanted, mine, fit or Fit())) is not None:
                raise busy_with(technician, other) from exc
            if there is None and await self.of_order(wanted.customer_id, whose.order_id) is not None:
                return await self.book(wanted, whose, request_id, technician)  # the order's visit came in between
            raise ChangeRaced from exc

    async def of_order(
        self,
        customer_id: int,
        order_id: int | None,
        states: Sequence[VisitState] = LIVE_STATES,
        *,
        is_held: bool = True,
    ) -> Visit | None:
        """The order's visit in one of these states, the newest; held, nobody changes it until the transaction ends."""
        if order_id is None:
            return None
        newest = (
            select(Visit)
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.customer_id == customer_id,
                Visit.order_id == order_id,
                Visit.state.in_(states),
            )
            .order_by(Visit.id.desc())
            .limit(1)
            .execution_options(populate_existing=True)
        )
        found: Visit | None = await self._db.scalar(newest.with_for_update() if is_held else newest)
        return found

    async def to_come(self, customer_id: int, whose: Whose, *, is_held: bool = True) -> Visit | None:
        """The visit to come that this work may have, too: its order's; where it belongs to none, the one it names."""
        if whose.order_id is not None:
            return await self.of_order(customer_id, whose.order_id, is_held=is_held)
        return await self._named(customer_id, whose, LIVE_STATES, is_held=is_held)

    async def _named(
        self, customer_id: int, whose: Whose, states: Sequence[VisitState], *, is_held: bool = False
    ) -> Visit | None:
        """The visit, of no order, that is named, if it is this customer's and in one of these states."""
        if whose.visit_id is None:
            return None
        named = (
            select(Visit)
            .where(
                Visit.tenant_id == self._tenant_id,
                Visit.id == whose.visit_id,
                Visit.customer_id == customer_id,
                Visit.order_id.is_(None),
                Visit.state.in_(states),
            )
            .execution_options(populate_existing=True)
        )
        found: Visit | None = await self._db.scalar(named.with_for_update() if is_held else named)
        return found

    async def move(
        self, visit: Visit, technician: Technician, starts_at: datetime, ends_at: datetime, task: Task = NOTHING_SAID
    ) -> Visit:
        """Raises: TechnicianBusy, OutsideHours, SkillMissing."""
        fit = await self._fitting.fit(technician, starts_at, ends_at, task, besides=visit.id)
        try:
            async with self._db.begin_nested(), self._makes_way(fit):
                when = {"technician_id": technician.id, "starts_at": starts_at, "ends_at": ends_at}
                await self._leave_behind(visit, technician.id)
                await self._change(visit.id, **when, **_held(fit), **self._changed(visit))
        except IntegrityError as exc:
            other = await self._overlaps.then(technician.id, starts_at, ends_at, fit, besides=visit.id)
            if other is None:
                raise
            raise busy_with(technician, other) from exc
        return await self._visit(visit.id)

    async def no_line(self, visit: Visit) -> None:
        """The visit goes on without the installation that told it where."""
        await self._change(visit.id, location=None, planned_port=None)

    async def _that_came_to_nothing(self, wanted: Booking, whose: Whose) -> Visit | None:
        """The visit before this one, if dispatch has said what job it is: the next one is that job, too."""
        if whose.purpose != "installation":
            return None
        if whose.order_id is None:
            former = await self._named(wanted.customer_id, whose, CAME_TO_NOTHING)
        else:
            former = await self.of_order(wanted.customer_id, whose.order_id, CAME_TO_NOTHING, is_held=False)
        return former if former is not None and former.job is not None else None

    async def _is_to_be_had(self, there: Visit, whose: Whose) -> bool:
        """Whether the order's visit can be this one's, too."""
        if there.state != "booked" or whose.purpose == "dispatch":
            return False
        return not await self._claims.is_open(there.id, whose.purpose)

    async def _fit(self, technician: Technician, wanted: Booking, moved: Visit | None) -> Fit:
        besides = None if moved is None else moved.id
        return await self._fitting.fit(technician, wanted.starts_at, wanted.ends_at, wanted.task, besides=besides)

    async def _as_booked(self, visit: Visit, wanted: Booking) -> Booking:
        """What is wanted, done as the job that the visit is; and there, unless it is over and was elsewhere."""
        job = None if visit.job is None else await self._jobs.job(visit.job)
        is_there = visit.state in LIVE_STATES or visit.address == wanted.address
        place = place_of(visit.latitude, visit.longitude) if is_there else None
        task = Task(job, place, wanted.task.override)
        return replace(wanted, ends_at=wanted.starts_at + (visit.ends_at - visit.starts_at), task=task)

    @asynccontextmanager
    async def _makes_way(self, fit: Fit) -> AsyncIterator[None]:
        """The next visit is gone to from here now.

        Meanwhile nothing is kept of the way to it: the old one must not be in the way of the visit's new place, nor the
        new one of its old place.
        """
        if fit.next_id is None:
            yield
            return
        await self._change(fit.next_id, held_from=None)
        yield
        if fit.next_held_from is not None:
            await self._change(fit.next_id, held_from=fit.next_held_from)

    async def _leave_behind(self, visit: Visit, technician_id: int) -> None:
        """Whose visit it isn't any more has to read so in their calendar."""
        if technician_id != visit.technician_id:
            await leave_technician(self._db, visit, now=self._now())

    def _changed(self, visit: Visit) -> dict[str, Any]:
        return {"sequence": visit.sequence + 1, "changed_at": self._now()}

    async def _taken_over(
        self, visit: Visit, wanted: Booking, whose: Whose, request_id: str | None, fit: Fit | None
    ) -> Visit:
        """``fit`` None: it stays when it is, and whose."""
        where = {"address": wanted.address, "location": wanted.location, "planned_port": wanted.planned_port}
        when: dict[str, Any] = {}
        if fit is not None:
            when = {
                "technician_id": wanted.technician_id,
                "starts_at": wanted.starts_at,
                "ends_at": wanted.ends_at,
                **_held(fit),
            }
        is_another = any(getattr(visit, name) != value for name, value in {**where, **when}.items())
        async with self._db.begin_nested(), self._makes_way(fit or Fit()):
            await self._leave_behind(visit, when.get("technician_id", visit.technician_id))
            await self._change(visit.id, **where, **when, **(self._changed(visit) if is_another else {}))
            await self._claims.lay(await self._visit(visit.id), whose, request_id)
        return await self._visit(visit.id)

    async def _new(
        self, wanted: Booking, whose: Whose, order_id: int | None, request_id: str | None, fit: Fit
    ) -> Visit:
        async with self._db.begin_nested(), self._makes_way(fit):
            visit: Visit | None = await self._db.scalar(
                insert(Visit)
                .values(
                    tenant_id=self._tenant_id,
                    order_id=order_id,
                    state="booked",
                    booked_at=self._now(),
                    **_columns(wanted),
                    **_held(fit),
                )
                .returning(Visit)
            )
            assert visit is not None
            await self._claims.lay(visit, whose, request_id)
        return visit

    async def _requested(self, wanted: Booking, whose: Whose, request_id: str | None) -> Visit | None:
        kept = await self._claims.of_request(request_id)
        if kept is None or request_id is None:
            return None
        visit = await self._visit(kept.visit_id)
        over = visit.state == "cancelled" or kept.released_at is not None
        pairs: list[tuple[object, object]] = [
            (visit.customer_id, wanted.customer_id),
            (kept.purpose, whose.purpose),
            (kept.order_id, whose.order_id),
        ]
        if whose.visit_id is None:
            pairs += [(kept.technician_id, wanted.technician_id), (kept.starts_at, wanted.starts_at)]
            if visit.job is None or wanted.task.job is not None:  # a job that was there has kept its own length
                pairs.append((kept.ends_at, wanted.ends_at))
        if not over:  # of a visit that goes on without it, the place may be known no more
            pairs += [(getattr(visit, name), getattr(wanted, name)) for name in ("address", "location", "planned_port")]
        if any(was != asked for was, asked in pairs):
            raise RequestConflict(request_id, f"visit {visit.id}")
        if over:
            raise VisitOver(visit.id, visit.state, "booked again by the same request")
        return visit

    async def _in_the_way(self, wanted: Booking, moved: Visit | None, fit: Fit) -> Visit | None:
        besides = None if moved is None else moved.id
        return await self._overlaps.then(wanted.technician_id, wanted.starts_at, wanted.ends_at, fit, besides=besides)

    async def _change(self, visit_id: int, **values: Any) -> None:
        change = update(Visit).where(Visit.id == visit_id).values(**values)
        await self._db.execute(change.execution_options(synchronize_session=False))  # it is read anew in any case

    async def _visit(self, visit_id: int) -> Visit:
        visit = await self._db.scalar(
            select(Visit)
            .where(Visit.tenant_id == self._tenant_id, Visit.id == visit_id)
            .execution_options(populate_existing=True)
        )
        if visit is None:
            raise VisitUnknown(visit_id)
        return visit


def _stays(visit: Visit, wanted: Booking, whose: Whose) -> bool:
    """Whether it is joined as it stands: it is named, or wanted when it is anyhow."""
    as_it_is = (visit.technician_id, visit.starts_at, visit.ends_at)
    return whose.visit_id is not None or as_it_is == (wanted.technician_id, wanted.starts_at, wanted.ends_at)


def _columns(wanted: Booking) -> dict[str, Any]:
    task, place = wanted.task, wanted.task.place
    columns = {name: value for name, value in vars(wanted).items() if name != "task"}
    if task.job is not None:
        columns |= {"job": task.job["name"], "window_minutes": task.job["window_minutes"]}
    if place is not None:
        columns |= {"latitude": place.latitude, "longitude": place.longitude}
    return columns


def _held(fit: Fit) -> dict[str, Any]:
    return {
        "held_from": fit.held_from,
        "held_to": fit.held_to,
        "override_reason": fit.override.reason if fit.override else None,
        "override_by": fit.override.by if fit.override else None,
    }
