"""Dispatch's door to the calendar: slots are searched, visits are booked and moved, and the run that waits is told.

Who comes too late for a slot is told what else there is (``alternatives`` of the refusal, which ``field.Alternatives``
looks for when the transaction has ended), whoever asked for it. A visit of an order is joined anew by its runs when it
has moved (``provisioning.order_visits``); the run of a visit without an order goes on waiting for it, so it must come
before that run gives its addresses back. Who writes the customer of what was booked or moved, ``visit_mail`` knows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.errors import ChangeRaced
from provisioning.field import (
    AS_THE_CROW_FLIES,
    VISIT,
    Asked,
    Asking,
    Fitting,
    HoldEnds,
    Jobs,
    Override,
    Search,
    SlotOffer,
    SlotRefused,
    Task,
    VisitRecord,
    Visits,
    VisitUnknown,
    Ways,
    Whose,
    place_of,
    read_place,
)
from provisioning.intake import Clock, Faults
from provisioning.visit_mail import VisitMail
from workflows import Runs, waiting_runs
from workflows.services import Services

LONGEST_REASON = 500


class DispatchDesk:
    """Searches, books and moves within the caller's transaction. ``services`` write to the customer."""

    def __init__(
        self,
        db: AsyncSession,
        *,
        runs: Runs,
        services: Services,
        search: Search,
        tenant_id: str,
        now: Clock,
        ways: Ways = AS_THE_CROW_FLIES,
    ) -> None:
        self._db = db
        self._runs = runs
        self._services = services
        self._tenant_id = tenant_id
        self._visits = Visits(db, tenant_id=tenant_id, now=now, ways=ways)
        self._fitting = Fitting(db, tenant_id=tenant_id, ways=ways)
        self._jobs = Jobs(db, tenant_id=tenant_id)
        self._mail = VisitMail(db, services=services, tenant_id=tenant_id)
        self._search = search
        self._now = now

    async def slots(
        self,
        *,
        job: str,
        latitude: float | None = None,
        longitude: float | None = None,
        starts_after: datetime | None = None,
        days: int = 7,
        technician_id: int | None = None,
        limit: int = 20,
        most_a_day: int | None = None,
    ) -> list[SlotOffer]:
        """When somebody can come who is able to do this job, day by day the best first.

        Raises: InvalidRequest (all faults), JobUnknown.
        """
        faults = Faults("The search")
        place = read_place(faults, latitude, longitude)
        faults.refuse_if_any()
        return await self._search.offers(
            job=await self._jobs.job(job),
            place=place,
            starts_after=starts_after or self._now(),
            days=days,
            technician_id=technician_id,
            limit=limit,
            most_a_day=most_a_day,
        )

    async def slots_of(
        self,
        *,
        visit_id: int,
        starts_after: datetime | None = None,
        days: int = 7,
        technician_id: int | None = None,
        limit: int = 20,
        most_a_day: int | None = None,
    ) -> list[SlotOffer]:
        """When else somebody can come to a visit that is to come, as ``slots`` finds it; the visit is in nobody's way.

        Raises: VisitUnknown, JobUnknown.
        """
        visit = await self._visits.visit(visit_id)
        found = await self._search.offers(
            job=await self._jobs.of_visit(visit),
            place=place_of(visit["latitude"], visit["longitude"]),
            starts_after=starts_after or self._now(),
            days=days,
            technician_id=technician_id,
            limit=limit + 1,
            most_a_day=most_a_day,
            besides=visit_id,
        )
        as_it_is = (visit["technician_id"], visit["starts_at"])
        return [each for each in found if (each["technician_id"], each["starts_at"]) != as_it_is][:limit]

    async def refuse_taken(
        self,
        *,
        technician_id: int,
        starts_at: datetime,
        job: str,
        latitude: float | None = None,
        longitude: float | None = None,
    ) -> Asking | None:
        """Looks whether a slot is plainly taken, without holding anybody: a crowd that wants one slot is told so
        without standing in line to write. That nothing is refused here promises nothing. What it returns asks for the
        ways to it.

        Raises: InvalidRequest (all faults), JobUnknown, TechnicianBusy (with what was asked for).
        """
        faults = Faults("The visit")
        place = read_place(faults, latitude, longitude)
        faults.refuse_if_any()
        kind = await self._jobs.job(job)
        with asked_for(Asked.of(kind, place, starts_at)):
            await self._visits.refuse_taken(technician_id, starts_at, kind["duration_minutes"])
        return await self._fitting.ways_around(technician_id, starts_at, place)

    async def look_ahead(self, *, visit_id: int, technician_id: int, starts_at: datetime) -> Asking | None:
        """Asks for the ways to a visit that is to be moved, before anybody is held for it. Of a visit that there is
        not, the move says so."""
        try:
            visit = await self._visits.visit(visit_id)
        except VisitUnknown:
            return None
        place = place_of(visit["latitude"], visit["longitude"])
        return await self._fitting.ways_around(technician_id, starts_at, place, besides=visit_id)

    async def book(  # noqa: PLR0913 - each is a fact about the visit
        self,
        *,
        customer_id: int,
        technician_id: int,
        starts_at: datetime,
        address: str,
        job: str,
        latitude: float | None = None,
        longitude: float | None = None,
        location: str | None = None,
        order_id: int | None = None,
        override_reason: str | None = None,
        request_id: str | None = None,
        is_written: bool = False,
        by: str,
    ) -> VisitRecord:
        """A visit that dispatch has agreed on with a customer, who is written of it, by the run of its order if one
        joins it. The same request writes once. ``is_written``: the caller sees to it that a run joins it, and writes.

        Raises: InvalidRequest (all faults), JobUnknown, CustomerUnknown, TechnicianUnknown, TechnicianBusy,
        OutsideHours and SkillMissing (with what was asked for), RequestConflict, ChangeRaced.
        """
        faults = Faults("The visit")
        place = read_place(faults, latitude, longitude)
        override = _override(faults, override_reason, by)
        faults.refuse_if_any()
        kind = await self._jobs.job(job)
        if customer_id > 0:  # else it is a fault among others
            await self._services.customer_service.customer(customer_id)
        # one that is known may have moved since, and its customer was written
        is_new = not await self._visits.is_requested(request_id)
        with asked_for(Asked.of(kind, place, starts_at)):
            booked = await self._visits.book(
                customer_id=customer_id,
                technician_id=technician_id,
                starts_at=starts_at,
                duration_minutes=kind["duration_minutes"],
                address=address,
                location=location,
                whose=Whose("dispatch", order_id),
                task=Task(kind, place, override),
                request_id=request_id,
            )
        if is_new and not is_written:
            await self._mail.tell(booked)
        return booked

    async def reschedule(
        self,
        *,
        visit_id: int,
        technician_id: int,
        starts_at: datetime,
        reason: str,
        override_reason: str | None = None,
        seen: VisitRecord | None = None,
        is_written: bool = False,
        by: str,
    ) -> VisitRecord:
        """Another time, or somebody else, for a visit that is to come. ``seen``: only if it is still as it was seen.
        ``is_written``: the caller sees to it that a run joins it as it is then, and writes.

        Raises: InvalidRequest (all faults), TechnicianUnknown, VisitUnknown, VisitOver, VisitChanged, HoldEnds,
        TechnicianBusy, OutsideHours and SkillMissing (with what was asked for), ChangeRaced.
        """
        faults = Faults("The reschedule")
        override = _override(faults, override_reason, by)
        faults.refuse_if_any()
        runs = await self._runs.about(self._db, VISIT, str(visit_id))
        await self._runs.lock(self._db, runs)
        before = await self._visits.visit(visit_id)
        with asked_for(await self.asked(before, starts_at)):
            moved = await self._visits.reschedule(
                visit_id=visit_id,
                technician_id=technician_id,
                starts_at=starts_at,
                reason=reason,
                override=override,
                seen=seen,
            )
        if await self._runs.about(self._db, VISIT, str(visit_id)) != runs:
            raise ChangeRaced
        told, now_told = ((each["starts_at"], each["technician_id"]) for each in (before, moved))
        if now_told == told:
            return moved
        if moved["order_id"] is None:
            await self._refuse_after_hold(moved, runs)
        if not is_written:
            await self._mail.tell(moved)
        return moved

    async def asked(self, visit: VisitRecord, starts_at: datetime) -> Asked:
        """What a search for another time of this visit has to know. Raises: JobUnknown."""
        place = place_of(visit["latitude"], visit["longitude"])
        asked = Asked.of(await self._jobs.of_visit(visit), place, starts_at, besides=visit["visit_id"])
        return replace(asked, but_not_as=(visit["technician_id"], visit["starts_at"]))

    async def kept_until(self, visit: VisitRecord) -> datetime | None:
        """Until when the runs that wait for this visit keep their addresses; None: a move moves that, too."""
        if visit["order_id"] is not None:
            return None
        ends = await self._holds(await self._runs.about(self._db, VISIT, str(visit["visit_id"])))
        return min((ends_at for ends_at, _ in ends), default=None)

    async def _refuse_after_hold(self, visit: VisitRecord, runs: list[int]) -> None:
        """Raises: HoldEnds, if a run would give up before the visit is over."""
        for ends_at, run_id in await self._holds(runs):
            if ends_at < visit["ends_at"]:
                raise HoldEnds(visit["visit_id"], ends_at, run_id)

    async def _holds(self, runs: list[int]) -> list[tuple[datetime, int]]:
        """Of those of these runs that wait for a visit, when each gives up."""
        waiting = await waiting_runs(self._db, tenant_id=self._tenant_id, waiting_for=VISIT)
        return [(run.wake_at, run.id) for run in waiting if run.id in runs and run.wake_at is not None]


@contextmanager
def asked_for(asked: Asked) -> Iterator[None]:
    """A refusal says what was wanted, for who looks for something else when this transaction has ended."""
    try:
        yield
    except SlotRefused as refused:
        refused.asked = asked
        raise


def _override(faults: Faults, reason: str | None, by: str) -> Override | None:
    why = faults.optional_line("override_reason", reason, longest=LONGEST_REASON)
    return None if why is None else Override(why, by)
