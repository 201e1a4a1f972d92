"""An order and its installation with one visit: moved by the ticket and scanned once for both; or kept for the order,
when the installation is called off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

from sqlalchemy import select

from provisioning.field import Visit
from tests.durability.mails import LAST_MAIL, copies, sent_again, wrong_mails
from tests.durability.story import (
    Played,
    Scene,
    Story,
    Undone,
    elsewhere,
    kills_of,
    not_ended,
    not_undone,
    step_of,
    unlike,
)
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.shop import FIBRE_POSTPAID, Shop
from tests.support.traces import NOTHING, traces_of
from tests.support.worker_process import Instant
from workflows.answers import ScheduledDeployment
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.tables import RunRow

FIRST_ORDER = 90_000
APPOINTMENT_MAIL = {"mail_appointment": "deliver_appointment"}


@dataclass
class Both:
    """The household, its order's run, and when the ticket wants the technician to come."""

    house: Household
    order: Installation
    agreed: datetime


class OneScan(Story):
    """The ticket of an order asks for another time; the order hears of it, and one scan carries both on. Its run is the
    order's at first, and the installation's from the ticket on."""

    name = "one_scan"
    journey = ISP_TICKET_TO_DEPLOYMENT
    as_elsewhere = elsewhere(ISP_TICKET_TO_DEPLOYMENT, "schedule_installation")

    def instants(self, trace: Sequence[str]) -> list[Instant]:
        """Where one books and the other completes; elsewhere a death could be the second one of the other's mail."""
        return [one for one in kills_of(trace) if step_of(one.point) in ("schedule_installation", "complete_order")]

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house, day = people.household(), shop.visit_day()
        order = await shop.order(house, FIBRE_POSTPAID, scheduled_date=day.isoformat())
        agreed = datetime.combine(day + timedelta(days=1), time(13), UTC)
        return Scene(people, shop, order, Both(house, order, agreed))

    async def act(self, scene: Scene, row: RunRow) -> None:
        both: Both = scene.facts
        if row.waiting_for != "visit":
            await super().act(scene, row)
        elif scene.first("a ticket comes in"):
            order_id = (await both.order.result("create_order_from_quote"))["order_id"]
            scene.run = await scene.people.submit(both.house.ticket(both.agreed, order_id=order_id))
        elif await self._is_agreed(both) and scene.first("scanned"):
            await scene.people.plug(both.house.serial, both.house)
            visit_id = (await scene.run.result("schedule_installation"))["visit_id"]
            async with scene.people.appliance.database.begin() as db:
                _, told = await scene.people.appliance.visit_desk(db).report(
                    visit_id=visit_id,
                    outcome="scanned",
                    serial=both.house.serial,
                    port=both.house.port,
                    by="technician",
                )
            assert told == [both.order.id, scene.run.id], told

    async def _is_agreed(self, both: Both) -> bool:
        """Whether the order waits for the visit at the ticket's time."""
        order = await both.order.view()
        booked = next(step.result for step in order.steps if step.name == "schedule_deployment")
        is_moved = booked is not None and datetime.fromisoformat(booked["starts_at"]) == both.agreed
        return is_moved and order.summary.waiting_for == "visit"

    async def faults(self, played: Played) -> list[str]:
        both: Both = played.facts
        order = await both.order.until_ended()
        rounds = {step.name: step.round for step in order.steps}
        found = {
            "order": await played.shop.order_state(both.order),
            "booked for the order": rounds["schedule_deployment"],
            "calendar": await played.shop.calendar(both.house),
            "mails": len(copies(played, both.house.email)),
        }
        wanted = {
            "order": ("completed", None),
            "booked for the order": 2,
            "calendar": [("completed", both.agreed)],
            "mails": 3,  # the confirmation, the other time, and that the line works
        }
        return [
            *not_ended(played),
            *unlike(found, wanted),
            *sent_again(played, both.house.email, {**APPOINTMENT_MAIL, **LAST_MAIL}),
            *await played.people.broken_invariants(),
        ]


@dataclass(frozen=True)
class Shared:
    """A household, and the deployment of its order."""

    house: Household
    scheduled: ScheduledDeployment


class LineDropped(Undone):
    """It takes over the visit that its order has, and an operator cancels it before anybody comes."""

    name = "line_dropped"
    journey = ISP_TICKET_TO_DEPLOYMENT
    begins_at = "claim.in_tx"
    as_elsewhere = elsewhere(ISP_TICKET_TO_DEPLOYMENT, "schedule_installation")

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        order = FIRST_ORDER + house.number
        async with people.appliance.database.begin() as db:
            scheduled = await people.appliance.services(db).deployment_service.schedule_deployment(
                order_id=order,
                customer_id=house.customer_id,
                priority="normal",
                scheduled_date=shop.visit_day(),
                installation_address="1 High Street",
            )
        appointment = {
            "technician_id": scheduled["technician_id"],
            "scheduled_date": scheduled["starts_at"].isoformat(),
        }
        run = await people.order(house, order_id=order, appointment=appointment)
        return Scene(people, shop, run, Shared(house, scheduled))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "visit":
            if scene.first("called off"):
                await scene.cancel()
            return
        await super().act(scene, row)

    async def faults(self, played: Played) -> list[str]:
        people, house, scheduled = played.people, played.facts.house, played.facts.scheduled
        async with people.appliance.database.read() as db:
            found = await db.execute(
                select(Visit.id, Visit.technician_id, Visit.starts_at, Visit.planned_port).where(
                    Visit.customer_id == house.customer_id
                )
            )
            visits: list[Any] = [tuple(row) for row in found]
        wanted = [(scheduled["visit_id"], scheduled["technician_id"], scheduled["starts_at"], None)]
        return [
            *not_undone(played),
            *unlike(visits, wanted),
            *unlike(await traces_of(people, house), replace(NOTHING, visits=("booked",))),
            *wrong_mails(played, house.email, APPOINTMENT_MAIL),
            *await people.broken_invariants(),
        ]
