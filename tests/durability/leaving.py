"""A live subscriber leaves, at once or on a day to come, and their CPE may be off: whatever the worker dies of on the
way, all of the service ends, each part of it once; or nothing of it does."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from acs.testing import Quirks
from provisioning.commercial.helpdesk.ticket_tables import Ticket
from radius.testing import LabNas, Mood
from tests.durability.mails import message_id, sent_again
from tests.durability.story import Played, Prepared, Scene, elsewhere, not_ended, unlike
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.shop import Shop
from tests.support.traces import NOTHING, Traces, apart_from_slowing, pools_in_quarantine, traces_of
from tests.support.worker_process import Instant
from workflows.definitions.service_termination import SERVICE_TERMINATION
from workflows.engine.tables import RunRow

EVERY_POOL = ("aggregation-north/101", "north-pd", "north-v4", "north-wan6")
DAYS_AHEAD = 20
UNREACHABLE = "acs.device_unreachable"
STILL_OPEN = "radius.sessions_still_open"


@dataclass
class Leaver:
    """Who leaves, and what the household was given."""

    house: Household
    installed: Installation
    service_id: int
    username: str
    before: Traces = NOTHING


class Terminated(Prepared):
    """The service ends at once; there is nothing to be undone of it."""

    name = "terminated"
    journey = SERVICE_TERMINATION

    def __init__(self) -> None:
        self._live: dict[JourneyLab, Leaver] = {}

    async def prepare(self, people: JourneyLab) -> None:
        """A live subscriber, whose installation nobody disturbs."""
        house = people.household()
        run = await people.order(house)
        await run.until_waiting_for("visit")
        cpe = await run.plug_and_scan(house)
        await run.until_ended()
        cpe.quirks = Quirks(reboot_seconds=0.0)
        given = await run.result("allocate_resources")
        self._live[people] = Leaver(house, run, given["service_id"], given["username"])

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        return await self.asked(people, shop, self._live.pop(people), at_once=True)

    async def asked(self, people: JourneyLab, shop: Shop, leaver: Leaver, **when: Any) -> Scene:
        wish = {"username": leaver.username, "reason": "moves away", **when}
        async with people.appliance.database.begin() as db:
            started = await people.appliance.termination_desk(db).accept(wish, by="desk")
        return Scene(people, shop, Installation(people, started.run_id), leaver)

    async def faults(self, played: Played) -> list[str]:
        people, leaver = played.people, played.facts
        found: dict[str, Any] = {
            "left over": await traces_of(people, leaver.house),
            "in quarantine": await pools_in_quarantine(people, leaver.service_id),
            "still online": await people.appliance.sessions.open_sessions(leaver.username),
            "dials as": people.world.acs.cpe(leaver.house.serial).ppp.username,
            "tickets": await self._tickets(played),
        }
        wanted: dict[str, Any] = {
            "left over": NOTHING,
            "in quarantine": EVERY_POOL,
            "still online": [],
            "dials as": "",
            "tickets": [],
        }
        return [
            *not_ended(played),
            *unlike(found, wanted | self.other_than_usual(leaver)),
            *self._last_mails(played),
            *await people.broken_invariants(),
        ]

    def _last_mails(self, played: Played) -> list[str]:
        house, written = played.facts.house, message_id(played, "send_template_email")
        told = {mail.message_id for mail in played.people.mails_to(house, "your service has ended")}
        return [*unlike(told, {written}), *sent_again(played, house.email)]

    def other_than_usual(self, leaver: Leaver) -> dict[str, Any]:
        """What stands otherwise than where everything was taken away."""
        return {}

    async def _tickets(self, played: Played) -> list[tuple[str, str]]:
        """Of whom which team has to see to."""
        who = played.facts.house.customer_id
        async with played.people.appliance.database.read() as db:
            found = await db.execute(select(Ticket.assigned_team, Ticket.title).where(Ticket.customer_id == who))
            return [(team, title) for team, title in found]


class LeftOnItsDay(Terminated):
    """On a day to come, when the CPE is off; it is switched on again a while later."""

    name = "left_on_its_day"
    as_elsewhere = elsewhere(SERVICE_TERMINATION, "end_service", "request_resets", "see_resets")

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        return await self.asked(people, shop, self._live.pop(people), ends_on=await a_day_ahead(people))

    async def act(self, scene: Scene, row: RunRow) -> None:
        cpe = scene.people.world.acs.cpe(scene.facts.house.serial)
        if row.current_step == "until_its_day" and scene.has_time(row) and scene.first("the days pass"):
            assert row.wake_at is not None
            await cpe.power_off()
            scene.people.clock.skip_to(row.wake_at)
            return
        if row.reason_code == UNREACHABLE and scene.first("switched on"):
            await cpe.power_on()
            return
        await super().act(scene, row)


class LeftWithoutCpe(Terminated):
    """The CPE is off and never comes back: a day later a team has it on its list."""

    name = "left_without_cpe"
    as_elsewhere = elsewhere(SERVICE_TERMINATION, "see_resets", "ticket_for_cpe")

    async def prepare(self, people: JourneyLab) -> None:
        await super().prepare(people)
        await people.world.acs.cpe(self._live[people].house.serial).power_off()

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.reason_code == UNREACHABLE and scene.first("a day passes"):
            scene.people.clock.skip(days=1)
            return
        await super().act(scene, row)

    def other_than_usual(self, leaver: Leaver) -> dict[str, Any]:
        return {"dials as": leaver.username, "tickets": [("noc", f"Reset the CPE of {leaver.username}")]}


class SilentNas(Terminated):
    """The NAS neither answers nor notices that the line went dark: only the addresses wait, until it is heard again."""

    name = "silent_nas"
    as_elsewhere = elsewhere(SERVICE_TERMINATION, "disconnect_sessions", "see_sessions_ended", "release_addresses")

    def __init__(self) -> None:
        super().__init__()
        self._nases: dict[JourneyLab, LabNas] = {}

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        nas = self._nases[people] = people.nas
        nas.disconnects.mood = Mood(silent=True)
        people.world.nas = None
        return await super().begin(people, shop)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.reason_code == STILL_OPEN and scene.has_time(row):
            if scene.first("heard again"):
                left = await traces_of(scene.people, scene.facts.house)
                assert (left.addresses, left.bills, left.on_the_olt) == (EVERY_POOL, 0, ()), left
                nas = scene.people.world.nas = self._nases.pop(scene.people)
                nas.disconnects.mood = Mood()
            assert row.wake_at is not None
            scene.people.clock.skip_to(row.wake_at)
            return
        await super().act(scene, row)


class Stays(Terminated):
    """The end is taken back before its day, and nothing has happened; so the same subscriber can do that again."""

    name = "stays"
    ends_as = "cancelled"

    async def prepare(self, people: JourneyLab) -> None:
        if people not in self._live:
            await super().prepare(people)

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        leaver = self._live[people]
        leaver.before = await traces_of(people, leaver.house)
        return await self.asked(people, shop, leaver, ends_on=await a_day_ahead(people))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.current_step == "until_its_day" and scene.has_time(row) and scene.first("stays"):
            scene.people.clock.skip(days=DAYS_AHEAD - 1)
            async with scene.people.appliance.database.begin() as db:
                desk = scene.people.appliance.termination_desk(db)
                await desk.withdraw(scene.facts.username, reason="stays after all", by="desk")
            return
        await super().act(scene, row)

    def demanded(self, clean: Played) -> set[Instant]:
        """There is nothing but the wait, and the look that finds it called off."""
        return {Instant(f"claim.{position}", nth) for nth in (1, 2) for position in ("in_tx", "committed")}

    async def faults(self, played: Played) -> list[str]:
        people, leaver = played.people, played.facts
        found = {
            "left": apart_from_slowing(await traces_of(people, leaver.house)),
            "cpe": people.world.acs.cpe(leaver.house.serial).ppp.status,
            "accepted": (await people.login(leaver.installed)).accepted,
            "last mails": len(people.mails_to(leaver.house, "your service has ended")),
            "done": [step.name for step in played.view.steps if step.result is not None],
        }
        wanted = {
            "left": apart_from_slowing(leaver.before),
            "cpe": "Connected",
            "accepted": True,
            "last mails": 0,
            "done": [],
        }
        return [*not_ended(played), *unlike(found, wanted), *await people.broken_invariants()]


async def a_day_ahead(people: JourneyLab) -> str:
    """The last day of a service that ends in some weeks."""
    async with people.appliance.database.read() as db:
        return (people.appliance.termination_desk(db).today() + timedelta(days=DAYS_AHEAD)).isoformat()
