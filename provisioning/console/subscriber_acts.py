"""Acts on one subscriber and its CPEs: what one would touch, then the act itself. What comes of it shows on the page of
the subscriber, as confirmed, asked for or unknown, from the desks' own records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from typing import Annotated, Any, cast

from fastapi import Path, Query, Response
from starlette.exceptions import HTTPException

from acs import OperationRecord, resume_devices
from provisioning.access import subject_of
from provisioning.api import Call, InCall
from provisioning.api.own import own_sight
from provisioning.api.pages import Number
from provisioning.console.doors import ConsoleDoors, Form, form_of
from provisioning.console.pages import show, to
from provisioning.console.subscriber_pages import CONVERGING
from provisioning.errors import Fault, InvalidRequest
from provisioning.subscriber_desk import ChangedSubscriber, was_so_already
from provisioning.subscriber_looks import SubscriberNumber
from provisioning.truth import ACTS, Act
from provisioning.truth.previews import OF_CPES

OF_SUBSCRIBERS: frozenset[Act] = frozenset(ACTS) - OF_CPES
TITLES: dict[Act, str] = {
    "disconnect": "Disconnect",
    "suspend": "Suspend",
    "resume": "Resume",
    "change-plan": "Change the plan",
    "set-right": "Set right",
    "refresh": "Refresh the CPE",
    "reboot": "Reboot the CPE",
    "converge": "Converge the CPE",
}
MOST_PLANS = 200

doors = ConsoleDoors(name="subscribers")

Serial = Annotated[str, Path(max_length=64)]
Word = Annotated[str, Query(max_length=200)]


@doors.page("/subscribers/{subscriber_id}/acts/{act}", permission="subscribers.write")
async def look(call: InCall, subscriber_id: Number, act: str, plan: Word = "", garden: Word = "") -> Response:
    """What this act would touch, and the form that takes it."""
    return await _look(call, subscriber_id, _known(act, OF_SUBSCRIBERS), plan=plan, garden=garden)


@doors.act("/subscribers/{subscriber_id}/acts/{act}", permission="subscribers.write")
async def take(call: InCall, subscriber_id: Number, act: str) -> Response:
    """Takes the act, if all still stands as it was seen; leads to where its outcome shows."""
    known, form, who = _known(act, OF_SUBSCRIBERS), form_of(call), SubscriberNumber(subscriber_id)
    reason = _reason(form, known)
    await call.appliance.truth_desk(call.db, own_sight(call)).require_seen(who, form.text("seen"))
    desk = call.appliance.subscriber_desk(call.db)
    before = await desk.named(who)
    done: dict[Act, Callable[[], Awaitable[ChangedSubscriber]]] = {
        "disconnect": lambda: desk.disconnect(who),
        "suspend": lambda: desk.suspend(who, garden=form.text("garden") or None),
        "resume": lambda: desk.resume(who),
        "change-plan": lambda: desk.change_plan(who, plan=form.text("plan")),
        "set-right": lambda: desk.set_right(who),
    }
    changed = await done[known]()
    call.tells(
        action=f"subscribers {known}",
        subject=subject_of("subscriber", subscriber_id),
        customer_id=before["customer_id"],
        reason=reason,
        before=before,
        after=changed,
    )
    if was_so_already(before, changed):
        call.changes_nothing()
    return to(f"/subscribers/{subscriber_id}?done=session_change/{changed['change']['change_id']}")


@doors.page("/subscribers/{subscriber_id}/cpes/{serial}/acts/{act}", permission="devices.operate")
async def look_at_cpe(call: InCall, subscriber_id: Number, serial: Serial, act: str) -> Response:
    """What this act on a CPE would touch, and the form that takes it."""
    call.caller.require("subscribers.read")
    return await _look(call, subscriber_id, _known(act, OF_CPES), serial=serial)


@doors.act("/subscribers/{subscriber_id}/cpes/{serial}/acts/{act}", permission="devices.operate")
async def take_cpe(call: InCall, subscriber_id: Number, serial: Serial, act: str) -> Response:
    """The same for a CPE that is bound to its service."""
    call.caller.require("subscribers.read")
    known, form, who = _known(act, OF_CPES), form_of(call), SubscriberNumber(subscriber_id)
    reason = _reason(form, known)
    desk = call.appliance.truth_desk(call.db, own_sight(call))
    await desk.require_seen(who, form.text("seen"))
    seen = await desk.preview(await desk.look(who, ask_acs=False), known, serial=serial)
    if seen.refused is not None:
        raise InvalidRequest("The act", [Fault("serial", seen.refused)])
    customer_id = (await call.appliance.subscriber_desk(call.db).named(who))["customer_id"]
    call.tells(action=f"devices {known}", customer_id=customer_id, reason=reason)
    if known == CONVERGING:
        now = call.appliance.clock()
        serials = await resume_devices(call.db, [serial], tenant_id=call.tenant_id, now=now)
        call.tells(subject=f"device/{serials[0]}", before={"converging": 0}, after={"converging": 1})
        return to(f"/subscribers/{subscriber_id}?done={CONVERGING}")
    asked = await _ask(call, known, serial)
    target = f"device_operation/{asked['operation_id']}"
    call.tells(subject=target, after=asked)
    return to(f"/subscribers/{subscriber_id}?done={target}")


async def _ask(call: Call, act: Act, serial: str) -> OperationRecord:
    verbs = call.appliance.device_desk(call.db).operations
    if act == "reboot":
        return await verbs.reboot(device_serial=serial, by=call.by)
    return await verbs.refresh(device_serial=serial, by=call.by)


async def _look(call: Call, subscriber_id: int, act: Act, **said: Any) -> Response:
    who, desk = SubscriberNumber(subscriber_id), call.appliance.truth_desk(call.db, own_sight(call))
    mark = await desk.mark(who)
    truth = await desk.look(who, ask_acs=False)
    return show(
        call,
        "subscriber_act.html.j2",
        f"{TITLES[act]}: {said.get('serial') or truth.subscriber['username']}",
        act=act,
        said={"plan": "", "garden": "", **said},
        button=TITLES[act],
        subscriber=truth.subscriber,
        preview=await desk.preview(truth, act, **said),
        mark=mark,
        plans=await _plans(call, act, truth.subscriber["plan"]),
    )


async def _plans(call: Call, act: Act, present: str) -> list[str]:
    """What a plan, or a garden, is chosen from."""
    if act not in ("change-plan", "suspend"):
        return []
    found = await call.appliance.services(call.db).radius_service.plans(limit=MOST_PLANS)
    return [each["name"] for each in found if each["name"] != present]


def _reason(form: Form, act: Act) -> str | None:
    """Raises: InvalidRequest with all that is missing."""
    faults = [Fault("reason", "is missing")] if not form.text("reason") and act != "refresh" else []
    if act == "change-plan" and not form.text("plan"):
        faults.append(Fault("plan", "is missing"))
    if faults:
        raise InvalidRequest("The act", faults)
    return form.text("reason") or None


def _known(act: str, acts: Collection[Act]) -> Act:
    if act not in acts:
        raise HTTPException(404)
    return cast(Act, act)
