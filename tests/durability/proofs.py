"""What must be true at the end, however often the worker died on the way: asked of every side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from sqlalchemy import func, select

from ipam.tables import Service
from provisioning.commercial.tables import Mail, Subscription
from provisioning.field.tables import Visit
from provisioning.lab.proof import prove
from provisioning.line.tables import LineOrderRow
from radius.tables import Subscriber
from tests.durability.lane import Lane, Played
from tests.support.traces import NOTHING, traces_of
from workflows.engine.tables import StepState


async def faults_of(lane: Lane, played: Played, clean: Played | None = None) -> list[str]:
    """Every sentence that is not as if nothing had happened; ``clean`` is the same story without a death."""
    wanted = (0, 1) if played.story == "abandoned" else (1,)
    found = [f"{name}: {count} rows" for name, count in (await _rows(lane, played)).items() if count not in wanted]
    if played.view.summary.state == "completed" and played.story != "cancelled":
        found += await _installed(lane, played)
    else:
        found += await _undone(lane, played)
    if clean is not None and clean.story == played.story and shape(played) != shape(clean):
        found.append(f"its steps ended as {shape(played)}, without a death as {shape(clean)}")
    return found


def shape(played: Played) -> dict[str, tuple[str, int]]:
    """How each step ended, and in which round."""
    return {step.name: (step.state, step.round) for step in played.view.steps}


async def _rows(lane: Lane, played: Played) -> dict[str, int]:
    """How many there ever were for this customer; a repeated effect would have left two."""
    who, email = played.house.customer_id, played.house.email
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
    async with lane.people.appliance.database.begin() as db:
        return {name: int(await db.scalar(query) or 0) for name, query in asked.items()}


async def _installed(lane: Lane, played: Played) -> list[str]:
    world, serial = lane.people.world, played.house.serial
    assert played.before_scan is not None
    proof = await prove(world, lane.people.appliance, played.view, played.before_scan)
    copies = _copies(lane, played)
    may_be_doubled = any(instant.point.startswith("commit(deliver_email") for instant in played.lost_at)
    doubled = f"the mail arrived {copies[_message_id(played, 'send_template_email')]} times"
    found = [sentence for sentence in proof.broken if not (may_be_doubled and sentence == doubled)]
    found += await lane.people.broken_invariants() if found else []
    if len(copies) != 2 or max(copies.values()) > 2:
        found.append(f"mails by Message-ID: {dict(copies)}")
    lines = [line for line in world.olt.lines.values() if line.serial == serial]
    if len(lines) != 1 or lines[0].port != played.house.port:
        found.append(f"lines on the OLT: {lines}")
    if (writes := _writes(lane, played)) != 1:
        found.append(f"the CPE was written to {writes} times")
    return found


async def _undone(lane: Lane, played: Played) -> list[str]:
    world, house = lane.people.world, played.house
    found = [f"the run is {played.view.summary.state}"] if played.view.summary.state != "cancelled" else []
    open_steps = [s.name for s in played.view.steps if s.state not in (StepState.UNDONE, StepState.PLANNED)]
    found += [f"steps not undone: {open_steps}"] if open_steps else []
    left = await traces_of(lane.people, house)
    found += [f"left over: {left}"] if left != NOTHING else []
    delivering = any("deliver_email" in instant.point for instant in played.lost_at)
    copies = _copies(lane, played)
    del copies[_message_id(played, "mail_appointment")]  # it was true when it was sent
    if copies and not (played.story == "abandoned" and delivering):
        found.append(f"mails of an installation that never was: {dict(copies)}")
    if house.serial in world.acs.cpes and world.acs.cpe(house.serial).line_up:
        found.append("the CPE still has light")
    return found + await lane.people.broken_invariants()


def _copies(lane: Lane, played: Played) -> Counter[str]:
    """How often each Message-ID reached this customer."""
    mails: Iterable[Any] = lane.people.world.mail.mails()
    return Counter(mail.message_id for mail in mails if played.house.email in str(mail.message["To"]))


def _message_id(played: Played, step: str) -> str:
    """Under which the mail of this step is sent; empty if it was never written."""
    result = next(one.result for one in played.view.steps if one.name == step)
    return str(result["message_id"]) if result else ""


def _writes(lane: Lane, played: Played) -> int:
    """How often the ACS has written the PPPoE name to this customer's CPE."""
    acs, serial = lane.people.world.acs, played.house.serial
    path = acs.cpe(serial).roles.ppp_username
    changes = (happening for happening in acs.happenings if happening.serial == serial and happening.kind == "changed")
    return sum(path in change.facts["paths"] for change in changes)
