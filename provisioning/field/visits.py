"""Visits: booked against the technician's other visits, reported from the field, and read.

    +-----+--> rescheduled: booked, at another time
    v     +--> no_access
booked ---+--> not_feasible <---+
          +--> cancelled    <---+
          +--> scanned  --------+--> completed
               (again, with another serial: a swap)

A visit that dispatch alone needs may have nothing to scan: done, it is completed from booked.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select, tuple_
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import RequestConflict
from provisioning.field.bookings import NOTHING_SAID, Booking, Bookings
from provisioning.field.claims import Claims, Whose
from provisioning.field.errors import VisitChanged, VisitOver, VisitUnknown
from provisioning.field.fitting import Override, Task
from provisioning.field.jobs import JobRecord, Jobs
from provisioning.field.overlaps import Overlaps
from provisioning.field.periods import in_period
from provisioning.field.records import ReportedVisit, VisitRecord, as_record, as_report
from provisioning.field.reports import LONGEST_NOTE, Report, read_report
from provisioning.field.tables import (
    LIVE_STATES,
    Technician,
    Visit,
    VisitOutcome,
    VisitPurpose,
    VisitReport,
)
from provisioning.field.technicians import hold_technician
from provisioning.field.travel import place_of
from provisioning.field.ways import AS_THE_CROW_FLIES, Ways
from provisioning.intake import Clock, Faults
from workflows.services import VisitState

SHORTEST_VISIT_MINUTES = 5
LONGEST_VISIT_MINUTES = 24 * 60
LONGEST_ADDRESS = 500

ALLOWED: dict[VisitState, frozenset[VisitOutcome]] = {
    "booked": frozenset({"scanned", "no_access", "not_feasible", "cancelled"}),
    "scanned": frozenset({"scanned", "not_feasible", "cancelled", "completed"}),
    "no_access": frozenset(),
    "not_feasible": frozenset(),
    "cancelled": frozenset(),
    "completed": frozenset(),
}


AN_INSTALLATION = Whose()


class Visits:
    """The ISP's calendar of visits. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, ways: Ways = AS_THE_CROW_FLIES) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._bookings = Bookings(db, tenant_id=tenant_id, now=now, ways=ways)
        self._claims = Claims(db, tenant_id=tenant_id, now=now)
        self._overlaps = Overlaps(db, tenant_id=tenant_id)
        self._jobs = Jobs(db, tenant_id=tenant_id)

    async def book(  # noqa: PLR0913 - each is a fact about the visit
        self,
        *,
        customer_id: int,
        technician_id: int,
        starts_at: datetime,
        duration_minutes: int,
        address: str,
        location: str | None = None,
        planned_port: str | None = None,
        whose: Whose = AN_INSTALLATION,
        task: Task = NOTHING_SAID,
        request_id: str | None = None,
    ) -> VisitRecord:
        """Send this technician to this customer at this time, if they are free then. The same request is one visit.

        An installation of an order that has a visit to come takes that one over: it is moved where it doesn't fit.

        ``task``: the kind of job, with its buffer and skills; where; and why against hours or skills, if so.

        Raises: InvalidRequest (all faults), TechnicianUnknown, TechnicianBusy (with whom, from when to when),
        OutsideHours, SkillMissing, VisitOver (this request's visit was cancelled since; or the one to join has gone,
        and its time too), RequestConflict, ChangeRaced.
        """
        faults = Faults("The visit")
        customer = faults.number("customer_id", customer_id)
        technician = faults.number("technician_id", technician_id)
        start = faults.moment("scheduled_date", starts_at)
        ends_at = _end(start, duration_minutes, faults)
        where = faults.line("installation_address", address, longest=LONGEST_ADDRESS)
        location = faults.optional_line("service_location", location)
        planned_port = faults.optional_line("planned_port", planned_port, longest=64)
        request = faults.request_id(request_id)
        # A request that comes again after its visit still gets its answer; and whether a visit that is to be joined as
        # it stands is still there, its lock tells.
        is_over = ends_at is not None and ends_at <= self._now() and whose.visit_id is None
        if is_over and not await self._claims.is_requested(request):
            faults.add("scheduled_date", "is over already")
        faults.refuse_if_any()
        assert start is not None and ends_at is not None, "a missing time has left a fault"
        booking = Booking(customer, technician, start, ends_at, where, location, planned_port, task)
        held = await hold_technician(self._db, technician, tenant_id=self._tenant_id)
        visit = await self._bookings.book(booking, whose, request, held)
        return as_record(visit, await self._technician(visit.technician_id))

    async def is_requested(self, request_id: str | None) -> bool:
        """Whether this request has its visit already."""
        return await self._claims.is_requested(request_id)

    async def refuse_taken(self, technician_id: int, starts_at: datetime, duration_minutes: int) -> None:
        """Raises: TechnicianBusy, if a visit that is booked lies in this time; nothing is held."""
        await self._overlaps.refuse_taken(technician_id, starts_at, starts_at + timedelta(minutes=duration_minutes))

    async def of_order(
        self, *, customer_id: int, order_id: int, states: Sequence[VisitState] = LIVE_STATES, is_held: bool = True
    ) -> VisitRecord | None:
        """The order's newest visit in one of these states; held, nobody changes it until the transaction ends."""
        visit = await self._bookings.of_order(customer_id, order_id, states, is_held=is_held)
        return None if visit is None else as_record(visit, await self._technician(visit.technician_id))

    async def join(self, *, visit_id: int, whose: Whose, request_id: str | None = None) -> VisitRecord:
        """From now on the visit is needed for this too.

        Raises: VisitUnknown, ChangeRaced (it was already).
        """
        visit = await self._visit(visit_id, lock=True)
        await self._claims.join(visit, whose, request_id)
        return as_record(visit, await self._technician(visit.technician_id))

    async def is_promised(self, *, visit_id: int, purpose: VisitPurpose) -> bool:
        """Whether those who need the visit for this know when it is, and who comes: it was not moved since.

        Raises: VisitUnknown.
        """
        return await self._claims.is_promised(await self._visit(visit_id), purpose)

    async def move(
        self,
        *,
        visit_id: int,
        technician_id: int,
        starts_at: datetime,
        duration_minutes: int | None = None,
        override: Override | None = None,
    ) -> VisitRecord:
        """Another time, or somebody else, for a visit that is to come; it takes as long as it was to, unless told.

        Raises: TechnicianUnknown, VisitUnknown, VisitOver (somebody is at the door, or it has ended), TechnicianBusy,
        OutsideHours, SkillMissing.
        """
        held = await hold_technician(self._db, technician_id, tenant_id=self._tenant_id)
        visit = await self._visit(visit_id, lock=True)
        if visit.state != "booked":
            raise VisitOver(visit.id, visit.state, "moved")
        takes = visit.ends_at - visit.starts_at if duration_minutes is None else timedelta(minutes=duration_minutes)
        task = Task(await self._job(visit), place_of(visit.latitude, visit.longitude), override)
        return as_record(await self._bookings.move(visit, held, starts_at, starts_at + takes, task), held)

    async def reschedule(
        self,
        *,
        visit_id: int,
        technician_id: int,
        starts_at: datetime,
        reason: str,
        override: Override | None = None,
        seen: VisitRecord | None = None,
        request_id: str | None = None,
    ) -> VisitRecord:
        """Move a visit that is to come, and keep why; the same request again changes nothing more.

        ``seen``: only if the visit still is as its reader saw it.

        Raises: InvalidRequest (all faults), and as ``move``; VisitChanged, RequestConflict.
        """
        faults = Faults("The reschedule")
        start = faults.moment("scheduled_date", starts_at)
        technician = faults.number("technician_id", technician_id)
        why = faults.line("reason", reason, longest=LONGEST_NOTE)
        request = faults.request_id(request_id)
        if start is not None and start <= self._now():
            faults.add("scheduled_date", "is over already")
        faults.refuse_if_any()
        assert start is not None, "a missing time has left a fault"
        report = Report("rescheduled", None, None, why, request)
        if request is not None and await self._reported(await self._visit(visit_id), report) is not None:
            return await self.visit(visit_id)
        # before the visit, as everybody does who books
        await hold_technician(self._db, technician, tenant_id=self._tenant_id)
        if seen is not None and seen != await self.visit(visit_id, lock=True):
            raise VisitChanged(visit_id)
        moved = await self.move(visit_id=visit_id, technician_id=technician, starts_at=start, override=override)
        await self._keep(await self._visit(visit_id, lock=True), report)
        return moved

    async def leave(self, *, visit_id: int, purpose: VisitPurpose, reason: str, stays: bool = False) -> VisitRecord:
        """The visit isn't needed for this any more: it is called off, unless somebody else still needs it. ``stays``:
        it is about to be joined anew for this, and dispatch's until then.

        Once is enough; a visit that has ended stays as it ended. Raises: InvalidRequest, VisitUnknown.
        """
        visit = await self._visit(visit_id, lock=True)
        needed_no_more = await self._claims.leave(visit, purpose, with_dispatchs=not stays)
        if visit.state in LIVE_STATES:
            if needed_no_more and stays:
                await self._claims.join(visit, Whose("dispatch", visit.order_id))
            elif needed_no_more:
                await self.cancel(visit_id=visit_id, reason=reason)
            elif purpose == "installation":
                await self._bookings.no_line(visit)
        return await self.visit(visit_id)

    async def finish(self, *, visit_id: int, purpose: VisitPurpose, request_id: str | None = None) -> VisitRecord:
        """What the visit was needed for is done. It is completed, unless somebody else still needs it; one that has
        ended by itself stays as it ended.

        Raises: VisitUnknown, VisitOver (nobody has scanned, and an order or a line needs it), RequestConflict.
        """
        visit = await self._visit(visit_id, lock=True)
        if visit.state == "booked" and purpose == "dispatch" and await self._claims.is_dispatchs_alone(visit):
            await self._claims.leave(visit, purpose)
            await self._keep(visit, Report("completed", None, None, None, request_id))
            return await self.visit(visit_id)
        needed_no_more = await self._claims.leave(visit, purpose)
        if visit.state == "booked" or (needed_no_more and visit.state in LIVE_STATES):
            await self.report(visit_id=visit_id, outcome="completed", request_id=request_id)
        return await self.visit(visit_id)

    async def is_dispatchs_alone(self, visit_id: int) -> bool:
        """Whether neither an order nor a line needs the visit: it ends when its technician is done.

        Raises: VisitUnknown.
        """
        return await self._claims.is_dispatchs_alone(await self._visit(visit_id))

    async def is_installations(self, visit_id: int) -> bool:
        """Whether an installation needs the visit. Raises: VisitUnknown."""
        return await self._claims.is_installations(await self._visit(visit_id))

    async def report(
        self,
        *,
        visit_id: int,
        outcome: VisitOutcome,
        serial: str | None = None,
        port: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
    ) -> ReportedVisit:
        """Keep what came of a visit. The same report again, by its request id or word for word, is the same answer.

        Raises: InvalidRequest (all faults), VisitUnknown, VisitOver (the state doesn't allow it), RequestConflict.
        """
        report = read_report(outcome=outcome, serial=serial, port=port, note=note, request_id=request_id)
        visit = await self._visit(visit_id, lock=True)
        if (earlier := await self._reported(visit, report)) is not None:
            return as_report(visit, earlier)
        if outcome not in ALLOWED[visit.state]:
            raise VisitOver(visit.id, visit.state, report.outcome)
        return as_report(visit, await self._keep(visit, report))

    async def cancel(self, *, visit_id: int, reason: str, request_id: str | None = None) -> ReportedVisit:
        """Call a visit off that has not ended; its technician is free again.

        Raises: as ``report``.
        """
        return await self.report(visit_id=visit_id, outcome="cancelled", note=reason, request_id=request_id)

    async def visit(self, visit_id: int, *, lock: bool = False) -> VisitRecord:
        """``lock``: nobody else changes it until the transaction ends. Raises: VisitUnknown."""
        visit = await self._visit(visit_id, lock=lock)
        return as_record(visit, await self._technician(visit.technician_id))

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

    async def count(
        self, *, starts_at: datetime | None = None, ends_at: datetime | None = None, technician_id: int | None = None
    ) -> int:
        """How many visits touch this period."""
        wanted = in_period(starts_at, ends_at, technician_id)
        query = select(func.count()).select_from(Visit).where(Visit.tenant_id == self._tenant_id, *wanted)
        return await self._db.scalar(query) or 0

    async def _job(self, visit: Visit) -> JobRecord | None:
        return None if visit.job is None else await self._jobs.job(visit.job)

    async def _technician(self, technician_id: int) -> Technician:
        row = await self._db.get(Technician, (self._tenant_id, technician_id))
        assert row is not None, "a visit has its technician, by foreign key"
        return row

    async def _visit(self, visit_id: int, *, lock: bool = False) -> Visit:
        query = select(Visit).where(Visit.tenant_id == self._tenant_id, Visit.id == visit_id)
        visit = await self._db.scalar(
            (query.with_for_update() if lock else query).execution_options(populate_existing=True)
        )
        if visit is None:
            raise VisitUnknown(visit_id)
        return visit

    async def _reported(self, visit: Visit, report: Report) -> VisitReport | None:
        """This very report, if it is known: under its request id, or as the last thing said about the visit."""
        mine = select(VisitReport).where(VisitReport.tenant_id == self._tenant_id)
        if report.request_id is not None:
            earlier = await self._db.scalar(mine.where(VisitReport.request_id == report.request_id))
            if earlier is not None:
                if earlier.visit_id != visit.id or not report.says_the_same_as(earlier):
                    raise RequestConflict(report.request_id, f"a report on visit {earlier.visit_id}")
                return earlier
        last = await self._db.scalar(
            mine.where(VisitReport.visit_id == visit.id).order_by(VisitReport.id.desc()).limit(1)
        )
        return last if last is not None and report.says_the_same_as(last) else None

    async def _keep(self, visit: Visit, report: Report) -> VisitReport:
        try:
            async with self._db.begin_nested():
                kept: VisitReport | None = await self._db.scalar(
                    insert(VisitReport)
                    .values(tenant_id=self._tenant_id, visit_id=visit.id, reported_at=self._now(), **vars(report))
                    .returning(VisitReport)
                )
        except IntegrityError as exc:  # the same request id, at the same moment, on another visit
            raise RequestConflict(report.request_id or "", "a report on another visit") from exc
        assert kept is not None
        if report.outcome == "rescheduled":
            return kept
        visit.sequence, visit.changed_at = visit.sequence + 1, kept.reported_at
        visit.state = report.outcome
        visit.outcome_note = report.note
        visit.outcome_at = kept.reported_at
        if report.outcome == "scanned":
            visit.scanned_serial, visit.scanned_port = report.serial, report.port
        await self._db.flush()  # a later question in this transaction must find the visit as reported
        return kept


def _end(start: datetime | None, duration_minutes: int, faults: Faults) -> datetime | None:
    minutes = faults.number("duration_minutes", duration_minutes)
    if minutes and not SHORTEST_VISIT_MINUTES <= minutes <= LONGEST_VISIT_MINUTES:
        faults.add("duration_minutes", f"is not from {SHORTEST_VISIT_MINUTES} to {LONGEST_VISIT_MINUTES}")
        return None
    return None if start is None else start + timedelta(minutes=minutes)
