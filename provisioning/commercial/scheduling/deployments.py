"""Deployments: an order gets a technician's visit in the one calendar, on the day or at the moment that is wanted.

Where an installation that belongs to the order has a visit already, that is the order's too.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import cast, get_args
from zoneinfo import ZoneInfo

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.customers.customer import require_customer
from provisioning.commercial.helpdesk.ticketing import DEFAULT_DURATION_MINUTES
from provisioning.commercial.tables import SiteSurvey
from provisioning.commercial.tenants.tenant_errors import (
    DayFull,
    DeploymentReleased,
    DeploymentUnknown,
    NoTechnicians,
    OrderScheduled,
    PlaceUnknown,
    SlotTaken,
)
from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.days import day_of
from provisioning.errors import ChangeRaced, RequestConflict
from provisioning.field import LIVE_STATES, SlotRefused, VisitRecord, Visits, Whose
from provisioning.field.slots import Slot, Slots
from provisioning.intake import Clock, Faults
from workflows.answers import DeploymentPriority, ScheduledDeployment
from workflows.services import VisitState

LONGEST_AHEAD = timedelta(days=2 * 365)
LOOKED_AHEAD_DAYS = 60
LONGEST_ADDRESS = 500
DONE: tuple[VisitState, ...] = ("scanned", "completed")
DONE_OR_TO_COME: tuple[VisitState, ...] = ("booked", *DONE)


@dataclass(frozen=True)
class WantedDeployment:
    """A deployment as it is wanted; ``day`` or ``moment``."""

    order_id: int
    customer_id: int
    priority: DeploymentPriority
    day: date | None
    moment: datetime | None
    address: str | None

    @property
    def wanted(self) -> str:
        return self.day.isoformat() if self.day else self.moment.isoformat() if self.moment else ""


def read_deployment(faults: Faults, scheduled_date: object, **given: object) -> WantedDeployment:
    """The deployment that is wanted, or faults."""
    day, moment = _day_or_moment(faults, scheduled_date)
    priority = given["priority"]
    if priority not in get_args(DeploymentPriority):
        faults.add("priority", f"{priority} is none of {', '.join(get_args(DeploymentPriority))}")
    return WantedDeployment(
        order_id=faults.number("order_id", given["order_id"]),
        customer_id=faults.number("customer_id", given["customer_id"]),
        priority=cast(DeploymentPriority, priority),
        day=day,
        moment=moment,
        address=faults.optional_line("installation_address", given["installation_address"], longest=LONGEST_ADDRESS),
    )


def find_time_fault(faults: Faults, wanted: date | None, *, now: datetime, zone: ZoneInfo) -> None:
    """Nobody can come on this day, or at this moment: it is over, or too far ahead."""
    if wanted is None:
        return
    day = wanted.date() if isinstance(wanted, datetime) else wanted
    if wanted <= now if isinstance(wanted, datetime) else wanted < day_of(now, zone):
        faults.add("scheduled_date", "is over already")
    elif day > (now + LONGEST_AHEAD).date():
        faults.add("scheduled_date", "lies more than two years ahead")


class Deployments:
    """Schedules deployments into the calendar of visits. Writes only ``db``; the caller commits."""

    def __init__(self, db: AsyncSession, *, tenant_id: str, now: Clock, zone: ZoneInfo) -> None:
        self._db = db
        self._tenant_id = tenant_id
        self._now = now
        self._visits = Visits(db, tenant_id=tenant_id, now=now)
        self._zone = zone
        self._slots = Slots(db, tenant_id=tenant_id, now=now, zone=zone)

    async def schedule(
        self, wanted: WantedDeployment, request_id: str | None, *, moves_visit: bool = False
    ) -> ScheduledDeployment:
        """Raises: as ``DeploymentService.schedule_deployment``."""
        await require_customer(self._db, self._tenant_id, wanted.customer_id)
        technicians = await self._slots.hold_technicians()
        if (known := await self._known(wanted, request_id)) is not None:
            return known
        visit = await self._joined(wanted, technicians, request_id, moves_visit=moves_visit)
        if visit is None:
            self._refuse_if_out_of_time(wanted)
            if not technicians:
                raise NoTechnicians
            address = wanted.address or await self._surveyed_place(wanted)
            visit = await self._booked(wanted, technicians, address, request_id)
        return await self._keep(wanted, visit, request_id)

    async def complete(self, deployment_id: int, request_id: str | None) -> ScheduledDeployment:
        """Raises: DeploymentUnknown, VisitOver, RequestConflict."""
        row = await self._deployment(deployment_id)
        visit = await self._visits.finish(visit_id=row.visit_id, purpose="deployment", request_id=request_id)
        return _scheduled(row, visit)

    async def release(self, deployment_id: int, reason: str) -> ScheduledDeployment:
        """Raises: DeploymentUnknown."""
        row = await self._deployment(deployment_id)
        if row.state == "scheduled":
            await self._visits.leave(visit_id=row.visit_id, purpose="deployment", reason=reason)
            await self._end(row, reason)
        return _scheduled(row, await self._visits.visit(row.visit_id))

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
                if not _is_wanted(row, wanted):
                    raise RequestConflict(request_id, f"deployment {row.id}")
                if row.state == "released":
                    raise DeploymentReleased(row.id, row.order_id, row.release_reason)
                return _scheduled(row, await self._visits.visit(row.visit_id))
        of_the_order = mine.where(Deployment.order_id == wanted.order_id, Deployment.state == "scheduled")
        row = await self._db.scalar(of_the_order.with_for_update())
        if row is None:
            return None
        visit = await self._visits.visit(row.visit_id)
        if visit["state"] not in DONE_OR_TO_COME:  # nobody came of it: the order may be scheduled anew
            await self._end(row, f"visit {row.visit_id} is {visit['state']}")
            return None
        if not _is_wanted(row, wanted):
            raise OrderScheduled(row.order_id, row.id, visit["starts_at"])
        return _scheduled(row, visit)

    def _refuse_if_out_of_time(self, wanted: WantedDeployment) -> None:
        faults = Faults("The deployment")
        find_time_fault(faults, wanted.moment or wanted.day, now=self._now(), zone=self._zone)
        faults.refuse_if_any()

    async def _joined(
        self, wanted: WantedDeployment, technicians: list[int], request_id: str | None, *, moves_visit: bool
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
            await self._first_free(
                wanted,
                technicians,
                lambda slot: self._visits.move(
                    visit_id=visit_id, technician_id=slot.technician_id, starts_at=slot.starts_at
                ),
                moved=visit,
            )
        whose = Whose("deployment", wanted.order_id)
        return await self._visits.join(visit_id=visit_id, whose=whose, request_id=request_id)

    def _fits(self, wanted: WantedDeployment, visit: VisitRecord) -> bool:
        if wanted.moment is not None:
            return visit["starts_at"] == wanted.moment
        return self._slots.day_of(visit["starts_at"]) == wanted.day

    async def _booked(
        self, wanted: WantedDeployment, technicians: list[int], address: str, request_id: str | None
    ) -> VisitRecord:
        return await self._first_free(
            wanted,
            technicians,
            lambda slot: self._visits.book(
                customer_id=wanted.customer_id,
                technician_id=slot.technician_id,
                starts_at=slot.starts_at,
                duration_minutes=DEFAULT_DURATION_MINUTES,
                address=address,
                whose=Whose("deployment", wanted.order_id),
                request_id=request_id,
            ),
        )

    async def _first_free(
        self,
        wanted: WantedDeployment,
        technicians: list[int],
        take: Callable[[Slot], Awaitable[VisitRecord]],
        moved: VisitRecord | None = None,
    ) -> VisitRecord:
        """``moved``: a visit that is there already; it stays as long as it is, and its job's skills are needed."""
        minutes, besides = DEFAULT_DURATION_MINUTES, None
        if moved is not None:
            minutes = int((moved["ends_at"] - moved["starts_at"]) / timedelta(minutes=1))
            besides = moved["visit_id"]
            technicians = await self._slots.able(technicians, job=moved["job"])
        for slot in await self._free(wanted, technicians, minutes, besides):
            try:
                return await take(slot)
            except SlotRefused:  # a buffer, a way or a visit written past the calendar is in the way: the next one
                continue
        raise await self._no_room(wanted, technicians, minutes, besides)

    async def _free(
        self, wanted: WantedDeployment, technicians: list[int], minutes: int, besides: int | None
    ) -> list[Slot]:
        if wanted.moment is not None:
            return await self._slots.at(wanted.moment, technicians, minutes=minutes, besides=besides)
        assert wanted.day is not None, "a deployment is wanted on a day or at a moment"
        return await self._slots.on(wanted.day, technicians, minutes=minutes, besides=besides)

    async def _no_room(
        self, wanted: WantedDeployment, technicians: list[int], minutes: int, besides: int | None
    ) -> DayFull | SlotTaken:
        """The refusal, with the next time at which there is room."""
        day = wanted.day or self._slots.day_of(wanted.moment or self._now())
        later = await self._slots.next_after(day, technicians, minutes=minutes, days=LOOKED_AHEAD_DAYS, besides=besides)
        if wanted.moment is None:
            return DayFull(day, self._slots.day_of(later.starts_at) if later else None, LOOKED_AHEAD_DAYS)
        same_day = await self._slots.on(day, technicians, minutes=minutes, besides=besides)
        at = next((slot.starts_at for slot in same_day if slot.starts_at > wanted.moment), None)
        return SlotTaken(wanted.moment, at or (later.starts_at if later else None))

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
        return _scheduled(row, visit)

    async def _end(self, row: Deployment, reason: str) -> None:
        row.state, row.released_at, row.release_reason = "released", self._now(), reason
        await self._db.flush()  # the order may be scheduled anew in this transaction


def _day_or_moment(faults: Faults, value: object) -> tuple[date | None, datetime | None]:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value, None
    moment = faults.moment("scheduled_date", value)
    return None, None if moment is None else moment.astimezone(UTC)


def _is_wanted(row: Deployment, wanted: WantedDeployment) -> bool:
    its = (row.order_id, row.customer_id, row.priority, row.wanted)
    return its == (wanted.order_id, wanted.customer_id, wanted.priority, wanted.wanted)


def _scheduled(row: Deployment, visit: VisitRecord) -> ScheduledDeployment:
    return ScheduledDeployment(
        deployment_id=row.id,
        order_id=row.order_id,
        customer_id=row.customer_id,
        priority=row.priority,
        technician_id=visit["technician_id"],
        visit_id=row.visit_id,
        starts_at=visit["starts_at"],
        ends_at=visit["ends_at"],
        state=row.state,
        is_made=visit["state"] in DONE,
    )
