"""Installations: one that succeeds, one that is undone when all but its mail was done, one cancelled in the moment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from ipam.tables import Service
from provisioning.commercial.tables import Mail, Subscription
from provisioning.commercial.testing import Quirk
from provisioning.field.tables import Visit
from provisioning.lab.proof import prove
from provisioning.line.tables import LineOrderRow
from radius.tables import Subscriber
from radius.testing import LoginReply
from tests.durability.story import Played, Scene, Story, Undone, not_undone
from tests.support.estate import Household
from tests.support.lab import JourneyLab
from tests.support.shop import Shop
from tests.support.traces import NOTHING, traces_of
from tests.support.worker_process import Instant
from workflows.definitions.isp_ticket_to_deployment import ISP_TICKET_TO_DEPLOYMENT
from workflows.engine.steps import Wait
from workflows.engine.tables import RunRow

REFUSALS = 6
MAILS = {"mail_appointment": "deliver_appointment", "send_template_email": "deliver_email"}
"""The step that writes each mail, and the one that hands it over."""


@dataclass
class Facts:
    """The household, and what the NAS was told of it before the scan."""

    house: Household
    before_scan: LoginReply | None = None


class Installed(Story):
    """With a live subscriber at its end."""

    name = "installed"
    journey = ISP_TICKET_TO_DEPLOYMENT

    async def begin(self, people: JourneyLab, shop: Shop) -> Scene:
        house = people.household()
        return Scene(people, shop, await people.order(house), Facts(house))

    async def act(self, scene: Scene, row: RunRow) -> None:
        if row.waiting_for == "visit" and scene.facts.before_scan is None:
            scene.facts.before_scan = await scene.people.login(scene.run)
            self.before_the_scan(scene)
            await scene.run.plug_and_scan(scene.facts.house)
            return
        await super().act(scene, row)

    def before_the_scan(self, scene: Scene) -> None:
        """What else happens then."""

    def demanded(self, clean: Played) -> set[Instant]:
        """Every step of the definition, and the claim at the start and after every wait."""
        waits = sum(isinstance(step, Wait) and step.when is None for step in self.journey.steps)
        claims = (waits + 2,) if self.undone else range(1, waits + 2)  # a held run is claimed anew to be undone
        return super().demanded(clean) | {
            Instant(f"claim.{position}", nth) for nth in claims for position in ("in_tx", "committed")
        }

    async def faults(self, played: Played) -> list[str]:
        """Of every side; ``prove`` asks them as the demo does."""
        found = await _doubled(played) + _mailed_again(played)
        if played.view.summary.state == "completed" and not self.undone:
            return found + await _installed(played)
        return found + await _undone(played)


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


class Abandoned(Installed):
    """Cancelled in the moment in which the worker is lost."""

    name = "abandoned"
    cancelled_when_lost = True


async def _doubled(played: Played) -> list[str]:
    """How many rows there ever were for this customer; a repeated effect would have left two."""
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
    wanted = (0, 1) if played.story.cancelled_when_lost else (1,)
    async with played.people.appliance.database.begin() as db:
        counts = {name: int(await db.scalar(query) or 0) for name, query in asked.items()}
    return [f"{name}: {count} rows" for name, count in counts.items() if count not in wanted]


async def _installed(played: Played) -> list[str]:
    people, house = played.people, played.facts.house
    assert played.facts.before_scan is not None
    proof = await prove(people.world, people.appliance, played.view, played.facts.before_scan)
    copies = _copies(played)
    doubled = f"the mail arrived {copies[_message_id(played, 'send_template_email')]} times"
    found = [sentence for sentence in proof.broken if sentence != doubled or not _was_in_hand(played, "deliver_email")]
    found += await people.broken_invariants() if found else []
    if len(copies) != len(MAILS):
        found.append(f"mails by Message-ID: {dict(copies)}")
    lines = [line for line in people.world.olt.lines.values() if line.serial == house.serial]
    if len(lines) != 1 or lines[0].port != house.port:
        found.append(f"lines on the OLT: {lines}")
    if (writes := _writes(played)) != 1:
        found.append(f"the CPE was written to {writes} times")
    return found


async def _undone(played: Played) -> list[str]:
    world, house = played.people.world, played.facts.house
    found = not_undone(played)
    left = await traces_of(played.people, house)
    found += [f"left over: {left}"] if left != NOTHING else []
    delivering = any("deliver_email" in instant.point for instant in played.lost_at)
    copies = _copies(played)
    del copies[_message_id(played, "mail_appointment")]  # it was true when it was sent
    if copies and not (played.story.cancelled_when_lost and delivering):
        found.append(f"mails of an installation that never was: {dict(copies)}")
    if house.serial in world.acs.cpes and world.acs.cpe(house.serial).line_up:
        found.append("the CPE still has light")
    return found + await played.people.broken_invariants()


def _copies(played: Played) -> Counter[str]:
    """How often each Message-ID reached this customer."""
    mails: Iterable[Any] = played.people.world.mail.mails()
    return Counter(mail.message_id for mail in mails if played.facts.house.email in str(mail.message["To"]))


def _mailed_again(played: Played) -> list[str]:
    """A second copy of a mail is right only where the worker was lost while the mail server had that very mail."""
    copies = _copies(played)
    return [
        f"{step}: {copies[message_id]} copies"
        for step, deliver in MAILS.items()
        if copies[message_id := _message_id(played, step)] > 1 + _was_in_hand(played, deliver)
    ]


def _was_in_hand(played: Played, deliver: str) -> bool:
    """Lost before the delivery was recorded; or so slow that its segment was taken over while it delivered."""
    lost = any(instant.point.startswith(f"commit({deliver}") for instant in played.lost_at)
    return lost or overlapping(played.trace, deliver)


def overlapping(trace: Iterable[str], step: str) -> bool:
    """Whether a step was begun twice without anything that had ended it in between."""
    begun = False
    for point in trace:
        if point == f"{step}.before":
            if begun:
                return True
            begun = True
        elif point.startswith(("! ", f"{step}.failed", f"{step}.committed")):
            begun = False
    return False


def _message_id(played: Played, step: str) -> str:
    """Under which the mail of this step is sent; empty if it was never written."""
    result = next(one.result for one in played.view.steps if one.name == step)
    return str(result["message_id"]) if result else ""


def _writes(played: Played) -> int:
    """How often the ACS has written the PPPoE name to this customer's CPE."""
    acs, serial = played.people.world.acs, played.facts.house.serial
    path = acs.cpe(serial).roles.ppp_username
    changes = (happening for happening in acs.happenings if happening.serial == serial and happening.kind == "changed")
    return sum(path in change.facts["paths"] for change in changes)
