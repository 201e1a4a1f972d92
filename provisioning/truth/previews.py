"""What an act on a subscriber or its CPE would touch, in sentences, before it is taken: pure functions of the truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from provisioning.truth.comparing import is_let_in, served_by
from provisioning.truth.facts import Truth
from radius import UntoldPlan

Act = Literal["disconnect", "suspend", "resume", "change-plan", "set-right", "refresh", "reboot", "converge"]
ACTS: tuple[Act, ...] = get_args(Act)
OF_CPES: frozenset[Act] = frozenset({"refresh", "reboot", "converge"})
SERVED = ("active", "suspended")
NONE_OPEN = "No session is known to be open."
NASES_NAMED = 3
PROOF = "It is confirmed when accounting has shown it, and not before."


@dataclass(frozen=True)
class ActPreview:
    """What an act would touch; ``refused`` says why it can't be taken now. ``serial``: of the CPE it is about."""

    act: Act
    serial: str | None
    touches: list[str]
    refused: str | None


def acts_of(truth: Truth) -> list[Act]:
    """What can be done to it as it stands; acts on CPEs are of each of its devices."""
    state = truth.subscriber["state"]
    found: list[Act] = []
    if truth.sessions and state != "terminated":
        found.append("disconnect")
    if state == "active":
        found.append("suspend")
    if state == "suspended":
        found.append("resume")
    if state in SERVED:
        found.append("change-plan")
    return found


def plans_after(truth: Truth, act: Act, plan: str) -> tuple[str, str | None] | None:
    """The plan that it is on once the act is taken, where that may shut it out, and the one that serves it then in that
    one's place: its garden, or what its data cap has led to."""
    subscriber = truth.subscriber
    if act == "change-plan" and plan:
        return plan, subscriber["garden"]
    return (subscriber["plan"], subscriber["capped"]) if act == "resume" else None


def preview(
    truth: Truth,
    act: Act,
    *,
    serial: str | None = None,
    plan: str = "",
    garden: str = "",
    untold: Sequence[UntoldPlan] = (),
) -> ActPreview:
    """``plan`` is the one to be changed to, ``garden`` the one that serves it while it is suspended, ``untold`` where
    nobody of ``plans_after`` is let in."""
    if act in OF_CPES:
        bound = any(device["device_serial"] == serial for device in truth.devices)
        refused = None if bound else f"CPE {serial or 'without a serial'} is not bound to its service."
        return ActPreview(act, serial, [] if refused else _of_cpe(act, serial or ""), refused)
    refused = _why_not(truth, act)
    if refused is not None:
        return ActPreview(act, None, [], refused)
    touches: dict[Act, Callable[[], list[str]]] = {
        "disconnect": lambda: [
            *_ended(truth),
            "Nothing else changes: the next login is served as before.",
        ],
        "suspend": lambda: _suspended(truth, garden),
        "resume": lambda: [*_resumed(truth), *_shut_out(truth, untold)],
        "change-plan": lambda: _changed(truth, plan, untold),
        "set-right": lambda: _set_right(truth),
    }
    return ActPreview(act, None, [*touches[act](), PROOF], None)


def _why_not(truth: Truth, act: Act) -> str | None:
    state = truth.subscriber["state"]
    if state == "terminated":
        return "It is terminated: nothing is done to it any more."
    allowed: dict[Act, Sequence[str]] = {"suspend": SERVED, "resume": SERVED, "change-plan": SERVED}
    if state not in allowed.get(act, (state,)):
        return f"It is {state}: a run brings it into service first."
    if act == "resume" and state == "active":
        return "It is active: there is no suspension to end."
    if act == "disconnect" and not truth.sessions:
        return "No session is known to be open: there is nothing to end."
    return None


def _sessions(truth: Truth) -> list[str]:
    return [f"{each['session_id']} at {each['nas'] or each['nas_address']}" for each in truth.sessions]


def _ended(truth: Truth) -> list[str]:
    return [f"The NAS is asked to end session {each}." for each in _sessions(truth)] or [
        "No session is known to be open."
    ]


def _told(truth: Truth, what: str) -> list[str]:
    said = [
        f"Session {each} is told {what}, or ended where its NAS can't be told while it is up."
        for each in _sessions(truth)
    ]
    return said or [NONE_OPEN]


def _suspended(truth: Truth, garden: str) -> list[str]:
    kept = "Password, plan and addresses stay as they are."
    if garden:
        return [f"Every login is served by plan {garden} from now on.", *_told(truth, f"plan {garden}"), kept]
    return ["FreeRADIUS refuses every login from now on.", *_ended(truth), kept]


def _resumed(truth: Truth) -> list[str]:
    plan = truth.subscriber["plan"]
    lets_in = f"FreeRADIUS lets it in on plan {plan} again, with the same password and addresses."
    return [lets_in, *(_told(truth, f"plan {plan}") if truth.sessions else [])]


def _changed(truth: Truth, plan: str, untold: Sequence[UntoldPlan]) -> list[str]:
    subscriber = truth.subscriber
    if not plan:
        return [f"It is on plan {subscriber['plan']} now; choose another one."]
    said = [f"Plan {plan} in place of {subscriber['plan']}, for every login from now on."]
    if subscriber["garden"] is not None or not is_let_in(subscriber):
        return [*said, "It is suspended, and stays so.", *_shut_out(truth, untold)]
    kept = ["Its bill goes on as it is: this changes what the line gets, and no subscription."]
    if subscriber["service_id"] is not None:
        kept.append("Its addresses and its VLAN stay as they are, also where that plan would be given others.")
    shut_out = _shut_out(truth, untold)
    if shut_out and subscriber["capped"] is not None:
        shut_out.append("Unless its data cap is used up on that plan as well, and another one serves it then.")
    return [*said, *_told(truth, f"plan {plan}"), *shut_out, *kept]


def _shut_out(truth: Truth, untold: Sequence[UntoldPlan]) -> list[str]:
    """Where its sessions are, first; of a large network no more than a few."""
    its_own = {each["nas"] for each in truth.sessions}
    sorted_ones = sorted(untold, key=lambda each: each["nas"] not in its_own)
    said = [
        f"Nobody of plan {each['plan']} is let in at {each['nas']}"
        f"{', where it is online now' if each['nas'] in its_own else ''}: {'; '.join(each['faults'])}."
        for each in sorted_ones[:NASES_NAMED]
    ]
    more = len(sorted_ones) - len(said)
    if more:
        said.append(f"Nor at {more} more: firstlight plans show {sorted_ones[0]['plan']}.")
    return said


def _set_right(truth: Truth) -> list[str]:
    subscriber = truth.subscriber
    name, plan = subscriber["username"], served_by(subscriber)
    said = [f"FreeRADIUS' rows of {name} and of plan {plan} are written anew, as we want them."]
    said += [each.sentence for each in truth.differences if each.side == "radius"]
    return said + (_told(truth, f"all of plan {plan}") if is_let_in(subscriber) else _ended(truth))


def _of_cpe(act: Act, serial: str) -> list[str]:
    said: dict[Act, list[str]] = {
        "refresh": [
            f"The ACS reads the objects of CPE {serial} anew in which its settings are; the customer notices nothing.",
            "It is confirmed when the CPE has answered.",
        ],
        "reboot": [
            f"CPE {serial} reboots once: its line is down for some minutes.",
            "It is confirmed when the CPE has reported a boot since.",
        ],
        "converge": [
            f"CPE {serial} is given its settings anew and read back, also where repairing was given up.",
            "Where they differ its WAN may restart.",
            "It is confirmed when they have been read back.",
        ],
    }
    return said[act]
