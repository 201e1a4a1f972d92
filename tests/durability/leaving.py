"""A live subscriber leaves: whatever the worker dies of on the way, all of the service ends, each part of it once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from acs.testing import Quirks
from tests.durability.story import Played, Prepared, Scene
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.shop import Shop
from tests.support.traces import NOTHING, pools_in_quarantine, traces_of
from workflows.definitions.service_termination import SERVICE_TERMINATION

EVERY_POOL = ("aggregation-north/101", "north-pd", "north-v4", "north-wan6")


@dataclass
class Leaver:
    """Who leaves, and what the household was given."""

    house: Household
    service_id: int
    username: str


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
        self._live[people] = Leaver(house, given["service_id"], given["username"])

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        leaver = self._live.pop(people)
        wish = {"username": leaver.username, "at_once": True, "reason": "moves away"}
        async with people.appliance.database.begin() as db:
            started = await people.appliance.termination_desk(db).accept(wish, by="desk")
        return Scene(people, shop, Installation(people, started.run_id), leaver)

    async def faults(self, played: Played) -> list[str]:
        people, leaver = played.people, played.facts
        state = played.view.summary.state
        found = [f"the run is {state}"] if state != "completed" else []
        left = await traces_of(people, leaver.house)
        found += [f"left over: {left}"] if left != NOTHING else []
        rests = await pools_in_quarantine(people, leaver.service_id)
        found += [f"in quarantine: {rests}"] if rests != EVERY_POOL else []
        online = await people.appliance.sessions.open_sessions(leaver.username)
        found += [f"still online: {online}"] if online else []
        copies = Counter(mail.message_id for mail in people.mails_to(leaver.house, "your service has ended"))
        if len(copies) != 1 or max(copies.values()) > 2:
            found.append(f"last mails by Message-ID: {dict(copies)}")
        cpe = people.world.acs.cpe(leaver.house.serial)
        found += [f"the CPE dials as {cpe.ppp.username}"] if cpe.ppp.username else []
        return found + await people.broken_invariants()
