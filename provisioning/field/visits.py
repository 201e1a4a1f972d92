"""Visits: booked against the technician's other visits, joined and left by those who need them, and reported from.

What states they have, and which may follow which, is drawn in ``reporting``.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import ChangeRaced
from provisioning.field.bookings import NOTHING_SAID, Booking, Bookings
from provisioning.field.claims import Whose
from provisioning.field.errors import VisitChanged, VisitOver
from provisioning.field.fitting import Override, Task
from provisioning.field.jobs import JobRecord, Jobs
from provisioning.field.known_visits import KnownVisits
from provisioning.field.overlaps import Overlaps
from provisioning.field.records import ReportedVisit, VisitRecord, as_record, as_report
from provisioning.field.reporting import Reporting
from provisioning.field.reports import LONGEST_NOTE, Report, read_report
from provisioning.field.tables import LIVE_STATES, Technician, Visit, VisitOutcome, VisitPurpose
from provisioning.field.technicians import hold_technician
from provisioning.field.travel import place_of
from provisioning.field.ways import AS_THE_CROW_FLIES, Ways
from provisioning.intake import Clock, Faults
from workflows.services import VisitState

SHORTEST_VISIT_MINUTES = 5
LONGEST_VISIT_MINUTES = 24 * 60
LONGEST_ADDRESS = 500
AN_INSTALLATION = Whose()


class Visits(KnownVisits):
    """The ISP's calendar of visits. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, ways: Ways = AS_THE_CROW_FLIES) -> None:
        super().__init__(db, tenant_id=tenant_id, now=now)
        self._now = now
        self._bookings = Bookings(db, tenant_id=tenant_id, now=now, ways=ways)
        self._reporting = Reporting(db, tenant_id=tenant_id, now=now)
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
        there = await self._bookings.to_come(customer, whose, is_held=False)
        held = await self._hold(technician, there)
        visit = await self._bookings.book(booking, whose, request, held)
        return await self._recorded(visit)

    async def refuse_taken(self, technician_id: int, starts_at: datetime, duration_minutes: int) -> None:
        """Raises: TechnicianBusy, if a visit that is booked lies in this time; nothing is held."""
        await self._overlaps.refuse_taken(technician_id, starts_at, starts_at + timedelta(minutes=duration_minutes))

    async def of_order(
        self, *, customer_id: int, order_id: int, states: Sequence[VisitState] = LIVE_STATES, is_held: bool = True
    ) -> VisitRecord | None:
        """The order's newest visit in one of these states; held, nobody changes it until the transaction ends."""
        visit = await self._bookings.of_order(customer_id, order_id, states, is_held=is_held)
        return None if visit is None else await self._recorded(visit)

    async def join(self, *, visit_id: int, whose: Whose, request_id: str | None = None) -> VisitRecord:
        """From now on the visit is needed for this too.

        Raises: VisitUnknown, ChangeRaced (it was already).
        """
        visit = await self._visit(visit_id, lock=True)
        await self._claims.join(visit, whose, request_id)
        return await self._recorded(visit)

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
        OutsideHours, SkillMissing, ChangeRaced.
        """
        theirs = (seen := await self._visit(visit_id)).technician_id
        held = await self._hold(technician_id, seen)
        visit = await self._visit(visit_id, lock=True)
        if visit.technician_id not in (technician_id, theirs):
            raise ChangeRaced  # somebody else got it before they were held
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
        if request is not None and await self._reporting.known(await self._visit(visit_id), report) is not None:
            return await self.visit(visit_id)
        # before the visit, as everybody does who books
        await self._hold(technician, await self._visit(visit_id))
        if seen is not None and seen != await self.visit(visit_id, lock=True):
            raise VisitChanged(visit_id)
        moved = await self.move(visit_id=visit_id, technician_id=technician, starts_at=start, override=override)
        await self._reporting.keep(await self._visit(visit_id, lock=True), report)
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
            await self._reporting.keep(visit, Report("completed", None, None, None, request_id))
            return await self.visit(visit_id)
        needed_no_more = await self._claims.leave(visit, purpose)
        if visit.state == "booked" or (needed_no_more and visit.state in LIVE_STATES):
            await self.report(visit_id=visit_id, outcome="completed", request_id=request_id)
        return await self.visit(visit_id)

    async def report(
        self,
        *,
        visit_id: int,
        outcome: VisitOutcome,
        serial: str | None = None,
        port: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
        made_at: datetime | None = None,
    ) -> ReportedVisit:
        """Keep what came of a visit. The same report again, by its request id or word for word, is the same answer.

        ``made_at``: when it was seen, if not now.

        Raises: InvalidRequest (all faults), VisitUnknown, VisitOver (the state doesn't allow it), VisitNotBegun,
        RequestConflict.
        """
        report = read_report(outcome=outcome, serial=serial, port=port, note=note, request_id=request_id)
        visit = await self._visit(visit_id, lock=True)
        return as_report(visit, await self._reporting.take(visit, report, made_at=made_at))

    async def cancel(self, *, visit_id: int, reason: str, request_id: str | None = None) -> ReportedVisit:
        """Call a visit off that has not ended; its technician is free again.

        Raises: InvalidRequest (all faults), VisitUnknown, VisitOver, RequestConflict.
        """
        return await self.report(visit_id=visit_id, outcome="cancelled", note=reason, request_id=request_id)

    async def _hold(self, technician_id: int, visit: Visit | None) -> Technician:
        """Who is to get this visit, if it is one, held along with whose it is, in the order of their numbers: of two
        visits that change technicians at once, each may be the other's next, and neither must wait for the other.

        Raises: TechnicianUnknown.
        """
        numbers = {technician_id} if visit is None else {technician_id, visit.technician_id}
        held = {each: await hold_technician(self._db, each, tenant_id=self._tenant_id) for each in sorted(numbers)}
        return held[technician_id]

    async def _job(self, visit: Visit) -> JobRecord | None:
        return None if visit.job is None else await self._jobs.job(visit.job)


def _end(start: datetime | None, duration_minutes: int, faults: Faults) -> datetime | None:
    minutes = faults.number("duration_minutes", duration_minutes)
    if minutes and not SHORTEST_VISIT_MINUTES <= minutes <= LONGEST_VISIT_MINUTES:
        faults.add("duration_minutes", f"is not from {SHORTEST_VISIT_MINUTES} to {LONGEST_VISIT_MINUTES}")
        return None
    return None if start is None else start + timedelta(minutes=minutes)
