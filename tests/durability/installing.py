"""Installations: one that succeeds, at once or at the second visit; one that is undone when all but its mail was done,
or because nobody ever came; one cancelled in the moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, ClassVar

from sqlalchemy import func, select

from ipam.tables import Service
from provisioning.commercial.tables import Mail, Subscription
from provisioning.commercial.testing import Quirk
from provisioning.field.tables import Visit
from provisioning.lab.proof import prove
from provisioning.line.tables import LineOrderRow
from radius.tables import Subscriber
from radius.testing import LoginReply
from tests.durability.mails import LAST_MAIL, copies, message_id, sent_again, was_in_hand
from tests.durability.story import Played, Scene, Story, Undone, elsewhere, not_undone
from tests.support.estate import Household, tomorrow
from tests.support.lab import OF_THE_NAS_CLOCK, JourneyLab
from tests.support.shop import Shop
from tests.support.traces import NOTHING, traces_of
from tests.support.worker_process import Instant
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.steps import Wait
from workflows.engine.tables import RunRow

REFUSALS = 6
WAITS = sum(isinstance(step, Wait) and step.when is None for step in ISP_TICKET_TO_DEPLOYMENT.steps)
MAILS = {"mail_appointment": "deliver_appointment", **LAST_MAIL}


@dataclass
class Facts:
    """The household, and what the NAS was told of it before the scan."""

    house: Household
    before_scan: LoginReply | None = None


class Installed(Story):
    """With a live subscriber at its end. ``ever``: of what there were more rows than one, or none."""

    name = "installed"
    journey = ISP_TICKET_TO_DEPLOYMENT
    ever: ClassVar[Mapping[str, int]] = {}

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        return Scene(people, shop, await people.order(house), Facts(house))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "visit" and scene.facts.before_scan is None:
            scene.facts.before_scan = await scene.people.login(scene.run)
            self.before_the_scan(scene)
            await self.scan(scene)
            return
        await super().act(scene, row)

    def before_the_scan(self, scene: Scene) -> None:
        """What else happens then."""

    async def scan(self, scene: Scene) -> None:
        """The technician connects the ONT, and scans it."""
        await scene.run.plug_and_scan(scene.facts.house)

    def claims(self) -> Iterable[int]:
        """At the start, and after every wait."""
        return range(1, WAITS + 2)

    def demanded(self, clean: Played) -> set[Instant]:
        """Every step of the definition, and the claims."""
        positions = ("in_tx", "committed")
        return super().demanded(clean) | {
            Instant(f"claim.{position}", nth) for nth in self.claims() for position in positions
        }

    async def faults(self, played: Played) -> list[str]:
        """Of every side; ``prove`` asks them as the demo does."""
        found = await self._doubled(played) + sent_again(played, played.facts.house.email, MAILS)
        if played.view.summary.state == "completed" and not self.undone:
            return found + await self._installed(played)
        return found + await _undone(played)

    async def _doubled(self, played: Played) -> list[str]:
        """How many rows there ever were for this customer; a repeated effect would have left one more."""
        counts = await _rows_ever(played)
        wanted = {name: {self.ever.get(name, 1)} | ({0} if self.cancelled_when_lost else set()) for name in counts}
        return [f"{name}: {count} rows" for name, count in counts.items() if count not in wanted[name]]

    async def _installed(self, played: Played) -> list[str]:
        people, house = played.people, played.facts.house
        assert played.facts.before_scan is not None
        broken = await people.broken_invariants()
        proof = await prove(people.world, people.appliance, played.view, played.facts.before_scan)
        found_mails = copies(played, house.email)
        doubled = f"the mail arrived {found_mails[message_id(played, 'send_template_email')]} times"
        in_hand = was_in_hand(played, "deliver_email")
        found = [sentence for sentence in proof.broken if sentence != doubled or not in_hand]
        found = [sentence for sentence in found if not sentence.startswith(OF_THE_NAS_CLOCK)] + broken
        if len(found_mails) != self.ever.get("appointment mail", 1) + 1:
            found.append(f"mails by Message-ID: {dict(found_mails)}")
        found += self.lines_as_wanted(played)
        if (writes := _writes(played)) != 1:
            found.append(f"the CPE was written to {writes} times")
        return found

    def lines_as_wanted(self, played: Played) -> list[str]:
        """Unless the OLT itself has exactly the line that was planned."""
        house = played.facts.house
        lines = [line for line in played.people.world.olt.lines.values() if line.serial == house.serial]
        return [] if [line.port for line in lines] == [house.port] else [f"lines on the OLT: {lines}"]


class InstalledLater(Installed):
    """Dispatch makes the appointment; nobody is at home, and the next one is kept."""

    name = "installed_later"
    as_elsewhere = elsewhere(
        ISP_TICKET_TO_DEPLOYMENT, "schedule_installation", "mail_appointment", "deliver_appointment"
    )
    ever: ClassVar = {"visit": 2, "appointment mail": 2}

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        return Scene(people, shop, await people.order(house, appointment=None), Facts(house))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "appointment":
            day = tomorrow(scene.people.clock.now()) + timedelta(days=len(scene.said))
            await scene.run.appoint(scene.facts.house, day)
            return
        if row.waiting_for == "visit" and scene.first("nobody at home"):
            await scene.run.report("no_access", note="gate locked")
            return
        await super().act(scene, row)


class Cancelled(Installed, Undone):
    """Its mail is refused for good, and an operator cancels it."""

    name = "cancelled"
    begins_at = "deliver_email.failed.in_tx"

    def before_the_scan(self, scene: Scene) -> None:
        scene.people.world.mail.misbehave(*[Quirk.REFUSE_RECIPIENT] * REFUSALS)

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.state == "held" and row.current_step == "deliver_email" and not scene.cancelled:
            await scene.cancel()
            return
        await super().act(scene, row)

    def claims(self) -> Iterable[int]:
        """A held run is claimed anew to be undone."""
        return (WAITS + 2,)


class Unvisited(Undone, Installed):
    """Nobody reports a visit until the patience with it is over, and everything is released."""

    name = "unvisited"
    begins_at = "claim.in_tx#2"
    ends_as = "failed"
    ever: ClassVar = {"line order": 0, "bill": 0, "activation mail": 0}

    async def act(self, scene: Scene, row: RunRow) -> None:
        assert row.state != "held", f"it is held in {row.current_step}: {row.reason}"
        if row.waiting_for == "visit" and scene.first("the days pass"):
            assert row.wake_at is not None
            scene.people.clock.skip_to(row.wake_at)

    def claims(self) -> Iterable[int]:
        return (2,)


class Abandoned(Installed):
    """Cancelled in the moment in which the worker is lost."""

    name = "abandoned"
    ends_as = "cancelled"  # unless it was too late for that
    cancelled_when_lost = True


async def _rows_ever(played: Played) -> dict[str, int]:
    who, email = played.facts.house.customer_id, played.facts.house.email
    mails = select(func.count()).select_from(Mail).where(Mail.recipient == email)
    asked: dict[str, Any] = {
        "service": select(func.count()).select_from(Service).where(Service.customer_id == who),
        "subscriber": select(func.count()).select_from(Subscriber).where(Subscriber.customer_id == who),
        "visit": select(func.count()).select_from(Visit).where(Visit.customer_id == who),
        "line order": select(func.count()).select_from(LineOrderRow).where(LineOrderRow.customer_id == who),
        "bill": select(func.count()).select_from(Subscription).where(Subscription.customer_id == who),
        "appointment mail": mails.where(Mail.template == "installation_scheduled"),
        "activation mail": mails.where(Mail.template == "service_activated"),
    }
    async with played.people.appliance.database.begin() as db:
        return {name: int(await db.scalar(query) or 0) for name, query in asked.items()}


async def _undone(played: Played) -> list[str]:
    world, house = played.people.world, played.facts.house
    found = not_undone(played)
    left = await traces_of(played.people, house)
    found += [f"left over: {left}"] if left != NOTHING else []
    delivering = any("deliver_email" in instant.point for instant in played.lost_at)
    mails = copies(played, house.email)
    del mails[message_id(played, "mail_appointment")]  # it was true when it was sent
    if mails and not (played.story.cancelled_when_lost and delivering):
        found.append(f"mails of an installation that never was: {dict(mails)}")
    if house.serial in world.acs.cpes and world.acs.cpe(house.serial).line_up:
        found.append("the CPE still has light")
    return found + await played.people.broken_invariants()


def _writes(played: Played) -> int:
    """How often the ACS has written the PPPoE name to this customer's CPE."""
    acs, serial = played.people.world.acs, played.facts.house.serial
    path = acs.cpe(serial).roles.ppp_username
    changes = (happening for happening in acs.happenings if happening.serial == serial and happening.kind == "changed")
    return sum(path in change.facts["paths"] for change in changes)
