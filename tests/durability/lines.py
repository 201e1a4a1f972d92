"""Lines that nobody puts on the OLT at once: by hand, by a system of the ISP's own, or at another port than planned."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import ClassVar

import httpx

from provisioning.api import create_app
from tests.durability.installing import WAITS, Installed
from tests.durability.story import Played, Scene, elsewhere
from tests.support.lab import JourneyLab
from tests.support.line_system import LineSystem
from tests.support.shop import Shop
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.tables import RunRow

ANOTHER_PORT = "0/7/15"
OF_THE_LINE = elsewhere(ISP_TICKET_TO_DEPLOYMENT, "authorise_line", "hand_over_line", "line_answer", "confirm_port")


class LineAnswered(Installed, ABC):
    """The line's side has heard, and answers later: one wait more."""

    as_elsewhere = OF_THE_LINE

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "line_answer":
            await self.at_the_olt(scene)
            return
        await super().act(scene, row)

    @abstractmethod
    async def at_the_olt(self, scene: Scene) -> None:
        """Somebody does what the line's side was asked for, and says so."""

    def claims(self) -> Iterable[int]:
        return range(1, WAITS + 3)


class LineByHand(LineAnswered):
    """An operator pastes the snippet into the OLT, and answers."""

    name = "line_by_hand"
    settings: ClassVar = {"line_adapter": "manual"}

    async def at_the_olt(self, scene: Scene) -> None:
        if not scene.first("pasted"):
            return
        people, house = scene.people, scene.facts.house
        order = (await scene.run.result("authorise_line"))["line_order_id"]
        async with people.appliance.database.begin() as db:
            told = await people.appliance.line_desk(db).answer(
                line_order_id=order, actual_port=house.port, onu_id=17, received_power_dbm=-21.5, by="operator"
            )
        assert told == [scene.run.id]
        await people.world.acs.cpe(house.serial).light()

    def lines_as_wanted(self, played: Played) -> list[str]:
        """The OLT is nobody's whom the laboratory could ask."""
        return []


class LineByWebhook(LineAnswered):
    """The ISP's own system is told, does it, and answers."""

    name = "line_by_webhook"
    settings: ClassVar = {"line_adapter": "webhook"}

    def __init__(self) -> None:
        self._systems: dict[JourneyLab, LineSystem] = {}

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        people.line_receiver.received.clear()
        if people not in self._systems:
            transport = httpx.ASGITransport(create_app(people.appliance))
            appliance = httpx.AsyncClient(transport=transport, base_url="https://isp.example")
            (secret,) = people.appliance.settings.line_webhook_secrets()
            self._systems[people] = LineSystem(
                people.line_receiver, secret.get_secret_value(), people.world.olt.url, appliance, people.clock.now
            )
        return await super().begin(people, shop)

    async def at_the_olt(self, scene: Scene) -> None:
        for answer in await self._systems[scene.people].work():
            assert answer.status_code == 200, answer.text

    async def faults(self, played: Played) -> list[str]:
        """It may have heard the same message again, and never another one."""
        told = {each.headers["webhook-id"] for each in played.people.line_receiver.received}
        return [*await super().faults(played), *([f"it was told {told}"] if len(told) != 1 else [])]


class PortMismatch(Installed):
    """The ONT comes up at another port than planned; somebody moves the fibre, and the line is ordered anew."""

    name = "port_mismatch"
    as_elsewhere = OF_THE_LINE
    ever: ClassVar = {"line order": 2}

    async def scan(self, scene: Scene) -> None:
        people, house = scene.people, scene.facts.house
        await people.plug(house.serial, house)
        people.world.olt.plug(house.serial, ANOTHER_PORT)  # where the fibre ends
        await scene.run.report("scanned", serial=house.serial)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.state == "held" and row.current_step == "confirm_port":
            if scene.first("the fibre is moved"):
                scene.people.world.olt.plug(scene.facts.house.serial, scene.facts.house.port)
                await scene.run.retry(from_step="authorise_line")
            return
        await super().act(scene, row)
