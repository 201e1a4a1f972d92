"""Deployments: an order gets a technician's visit in the one calendar, on the day or at the moment that is wanted.

Where an installation that belongs to the order has a visit already, that is the order's too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

import structlog
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.helpdesk.ticketing import DEFAULT_DURATION_MINUTES
from provisioning.commercial.scheduling.announcements import Announcements
from provisioning.commercial.scheduling.wanted_deployment import WantedDeployment, find_time_fault, is_wanted
from provisioning.commercial.tables import SiteSurvey
from provisioning.commercial.tenants.tenant_errors import (
    DayFull,
    DeploymentReleased,
    DeploymentUnknown,
    NobodyAble,
    NoTechnicians,
    OrderScheduled,
    PlaceUnknown,
    SlotTaken,
)
from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.days import begin_of, day_of, end_of
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.field import (
    AS_THE_CROW_FLIES,
    CAME_TO_NOTHING,
    LIVE_STATES,
    Asked,
    JobRecord,
    Jobs,
    Search,
    SlotOffer,
    SlotRefused,
    Task,
    VisitRecord,
    Visits,
    Ways,
    Whose,
    hold_technicians,
    place_of,
)
from provisioning.intake import Clock, Faults
from workflows.answers import ScheduledDeployment
from workflows.services import VisitState

LOOKED_AHEAD_DAYS = 60
DONE: tuple[VisitState, ...] = ("scanned", "completed")
DONE_OR_TO_COME: tuple[VisitState, ...] = ("booked", *DONE)
UNSAID = JobRecord(
    name="visit", duration_minutes=DEFAULT_DURATION_MINUTES, buffer_minutes=0, window_minutes=0, skills=[]
)
"""What a visit is of which nobody has said what there is to do."""

log = structlog.get_logger(__name__)


class Deployments:
    """Schedules deployments into the calendar of visits. Writes only ``db``; the caller commits.

    Of ``ways`` is read what is known by now (`WaysAhead`): technicians are held, and nobody waits for a router.
    """

    def __init__(
        self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo, ways: Ways = AS_THE_CROW_FLIES
    ) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._zone = zone
        known = ways.as_known()  # technicians are held while it is searched
        self._visits = Visits(db, tenant_id=tenant_id, now=now, ways=known)
        self._search = Search(db, tenant_id=tenant_id, now=now, zone=zone, ways=known)
        self._jobs = Jobs(db, tenant_id=tenant_id)
        self._announcements = Announcements(db, tenant_id=tenant_id)

    async def schedule(
        self, wanted: WantedDeployment, request_id: str | None, *, moves_visit: bool = False
    ) -> ScheduledDeployment:
        """Raises: as ``DeploymentService.schedule_deployment``."""
        await require_customer(self._db, self._tenant_id, wanted.customer_id)
        technicians = await hold_technicians(self._db, tenant_id=self._tenant_id)
        if (known := await self._known(wanted, request_id)) is not None:
            return known
        visit = await self._joined(wanted, request_id, moves_visit=moves_visit)
        if visit is None:
            self._refuse_if_out_of_time(wanted)
            if not technicians:
                raise NoTechnicians
            address = wanted.address or await self._surveyed_place(wanted)
            visit = await self._booked(wanted, address, request_id)
        return await self._keep(wanted, visit, request_id)

    async def complete(self, deployment_id: int, request_id: str | None) -> ScheduledDeployment:
        """Raises: DeploymentUnknown, VisitOver, RequestConflict."""
        row = await self._deployment(deployment_id)
        visit = await self._visits.finish(visit_id=row.visit_id, purpose="deployment", request_id=request_id)
        return await self._scheduled(row, visit)

    async def release(self, deployment_id: int, reason: str, *, stays: bool = False) -> ScheduledDeployment:
        """Raises: DeploymentUnknown."""
        row = await self._deployment(deployment_id)
        if row.state == "scheduled":
            await self._visits.leave(visit_id=row.visit_id, purpose="deployment", reason=reason, stays=stays)
            await self._end(row, reason)
        return await self._scheduled(row, await self._visits.visit(row.visit_id))

    async def _deployment(self, deployment_id: int) -> Deployment:
        row = await self._db.scalar(
            select(Deployment)
            .where(Deployment.tenant_id == self._tenant_id, Deployment.id == deployment_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        )
        if row is None:
            raise DeploymentUnknown(deployment_id)
        return row

    async def _known(self, wanted: WantedDeployment, request_id: str | None) -> ScheduledDeployment | None:
        """The deployment that this wish already has, if any."""
        mine = (
            select(Deployment).where(Deployment.tenant_id == self._tenant_id).execution_options(populate_existing=True)
        )
        if request_id is not None:
            row = await self._db.scalar(mine.where(Deployment.request_id == request_id))
            if row is not None:
                if not is_wanted(row, wanted):
                    raise RequestConflict(request_id, f"deployment {row.id}")
                if row.state == "released":
                    raise DeploymentReleased(row.id, row.order_id, row.release_reason)
                return await self._scheduled(row, await self._visits.visit(row.visit_id))
        of_the_order = mine.where(Deployment.order_id == wanted.order_id, Deployment.state == "scheduled")
        row = await self._db.scalar(of_the_order.with_for_update())
        if row is None:
            return None
        visit = await self._visits.visit(row.visit_id)
        if visit["state"] not in DONE_OR_TO_COME:  # nobody came of it: the order may be scheduled anew
            await self._end(row, f"visit {row.visit_id} is {visit['state']}")
            return None
        if not is_wanted(row, wanted):
            raise OrderScheduled(row.order_id, row.id, visit["starts_at"])
        return await self._scheduled(row, visit)

    def _refuse_if_out_of_time(self, wanted: WantedDeployment) -> None:
        faults = Faults("The deployment")
        find_time_fault(faults, wanted.moment or wanted.day, now=self._now(), zone=self._zone)
        faults.refuse_if_any()

    async def _joined(
        self, wanted: WantedDeployment, request_id: str | None, *, moves_visit: bool
    ) -> VisitRecord | None:
        """The visit that an installation of this order has: it is the order's too, to come or made already."""
        visit = await self._visits.of_order(
            customer_id=wanted.customer_id,
            order_id=wanted.order_id,
            states=LIVE_STATES if moves_visit else DONE_OR_TO_COME,
        )
        if visit is None or (visit["state"] == "completed" and visit["scanned_serial"] is None):
            return None  # at a call without a scan nothing was installed
        visit_id = visit["visit_id"]
        if moves_visit and visit["state"] == "booked" and not self._fits(wanted, visit):
            self._refuse_if_out_of_time(wanted)
            place = place_of(visit["latitude"], visit["longitude"])
            kind = await self._jobs.of_visit(visit)  # it stays as long as it is, and its job's skills are needed
            await self._first_free(
                wanted,
                Asked.of(kind, place, self._begin(wanted), besides=visit_id),
                lambda offer: self._visits.move(
                    visit_id=visit_id, technician_id=offer["technician_id"], starts_at=offer["starts_at"]
                ),
            )
        whose = Whose("deployment", wanted.order_id)
        return await self._visits.join(visit_id=visit_id, whose=whose, request_id=request_id)

    def _fits(self, wanted: WantedDeployment, visit: VisitRecord) -> bool:
        if wanted.moment is not None:
            return visit["starts_at"] == wanted.moment
        return day_of(visit["starts_at"], self._zone) == wanted.day

    async def _booked(self, wanted: WantedDeployment, address: str, request_id: str | None) -> VisitRecord:
        task = await self._task(wanted, address)
        kind = task.job or UNSAID
        asked = Asked.of(kind, task.place, self._begin(wanted))
        return await self._first_free(
            wanted,
            asked,
            lambda offer: self._visits.book(
                customer_id=wanted.customer_id,
                technician_id=offer["technician_id"],
                starts_at=offer["starts_at"],
                duration_minutes=kind["duration_minutes"],
                address=address,
                whose=Whose("deployment", wanted.order_id),
                task=task,
                request_id=request_id,
            ),
        )

    async def _task(self, wanted: WantedDeployment, address: str) -> Task:
        """As dispatch has described it at a visit of the order that came to nothing: the same job, and where the
        address is the same, the same place."""
        former = await self._visits.of_order(
            customer_id=wanted.customer_id, order_id=wanted.order_id, states=CAME_TO_NOTHING, is_held=False
        )
        if former is None:
            return Task()
        job = None if former["job"] is None else await self._jobs.job(former["job"])
        place = place_of(former["latitude"], former["longitude"]) if former["address"] == address else None
        return Task(job, place)

    def _begin(self, wanted: WantedDeployment) -> datetime:
        if wanted.moment is not None:
            return wanted.moment
        assert wanted.day is not None, "a deployment is wanted on a day or at a moment"
        return begin_of(wanted.day, self._zone)

    async def _first_free(
        self, wanted: WantedDeployment, asked: Asked, take: Callable[[SlotOffer], Awaitable[VisitRecord]]
    ) -> VisitRecord:
        """The best that can be had, as the dispatch board would offer it. Raises: NobodyAble, DayFull, SlotTaken."""
        is_at = wanted.moment is not None
        for offer in await (self._search.at(asked) if is_at else self._search.on_day(asked)):
            try:
                visit = await take(offer)
            except SlotRefused:  # a visit written past the calendar is in the way: the next one
                continue
            log.info("technician chosen", visit_id=visit["visit_id"], why=offer["why"], travel_by=offer["travel_by"])
            return visit
        raise await self._no_room(wanted, asked)

    async def _no_room(self, wanted: WantedDeployment, asked: Asked) -> NobodyAble | DayFull | SlotTaken:
        """The refusal, with the next time at which there is room."""
        if not await self._search.is_anybody_able(asked.job):
            return NobodyAble(asked.job["skills"])
        if wanted.moment is not None:
            # what is in the way past the calendar is not seen there either
            another = replace(asked, but_not_at=wanted.moment)
            later = await self._search.first(another, days=LOOKED_AHEAD_DAYS + 1)
            return SlotTaken(wanted.moment, later["starts_at"] if later else None)
        assert wanted.day is not None, "a deployment is wanted on a day or at a moment"
        next_day = replace(asked, starts_at=end_of(wanted.day, self._zone))
        later = await self._search.first(next_day, days=LOOKED_AHEAD_DAYS)
        return DayFull(wanted.day, day_of(later["starts_at"], self._zone) if later else None, LOOKED_AHEAD_DAYS)

    async def _surveyed_place(self, wanted: WantedDeployment) -> str:
        place: str | None = await self._db.scalar(
            select(SiteSurvey.service_location)
            .where(SiteSurvey.tenant_id == self._tenant_id, SiteSurvey.customer_id == wanted.customer_id)
            .order_by(SiteSurvey.surveyed_at.desc(), SiteSurvey.id.desc())
            .limit(1)
        )
        if place is None:
            raise PlaceUnknown(wanted.order_id, wanted.customer_id)
        return place

    async def _keep(self, wanted: WantedDeployment, visit: VisitRecord, request_id: str | None) -> ScheduledDeployment:
        try:
            async with self._db.begin_nested():
                row = await self._db.scalar(
                    insert(Deployment)
                    .values(
                        tenant_id=self._tenant_id,
                        order_id=wanted.order_id,
                        customer_id=wanted.customer_id,
                        visit_id=visit["visit_id"],
                        priority=wanted.priority,
                        wanted=wanted.wanted,
                        state="scheduled",
                        scheduled_at=self._now(),
                        request_id=request_id,
                    )
                    .returning(Deployment)
                )
        except IntegrityError as exc:
            raise ChangeRaced from exc  # the visit goes with the caller's rollback
        assert row is not None
        return await self._scheduled(row, visit)

    async def _scheduled(self, row: Deployment, visit: VisitRecord) -> ScheduledDeployment:
        is_written = await self._visits.is_installations(row.visit_id)
        return ScheduledDeployment(
            deployment_id=row.id,
            order_id=row.order_id,
            customer_id=row.customer_id,
            priority=row.priority,
            technician_id=visit["technician_id"],
            technician_name=visit["technician_name"],
            visit_id=row.visit_id,
            starts_at=visit["starts_at"],
            ends_at=visit["ends_at"],
            address=visit["address"],
            state=row.state,
            is_made=visit["state"] in DONE,
            is_announced=is_written or await self._announcements.was_read_before(row, visit),
        )

    async def _end(self, row: Deployment, reason: str) -> None:
        row.state, row.released_at, row.release_reason = "released", self._now(), reason
        await self._db.flush()  # the order may be scheduled anew in this transaction
