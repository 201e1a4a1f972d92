"""An installation that shares its order's visit, and is called off: the technician stays the order's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import select

from provisioning.field import Visit
from tests.durability.mails import wrong_mails
from tests.durability.story import Played, Scene, Undone, elsewhere, not_undone, unlike
from tests.support.estate import Household
from tests.support.lab import JourneyLab
from tests.support.shop import Shop
from tests.support.traces import NOTHING, traces_of
from workflows.answers import ScheduledDeployment
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.tables import RunRow

FIRST_ORDER = 90_000
APPOINTMENT_MAIL = {"mail_appointment": "deliver_appointment"}


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
    deadliest: ClassVar[tuple[str, ...]] = ("schedule_installation.in_tx", "undo:schedule_installation.in_tx")

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
