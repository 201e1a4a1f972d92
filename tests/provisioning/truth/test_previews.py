"""Before an act is taken it is said what it touches, and where it can't be taken, why."""

from __future__ import annotations

from typing import Any

import pytest

from provisioning.truth import ACTS, Act, Truth, acts_of, preview
from provisioning.truth.previews import plans_after
from radius import UntoldPlan
from tests.provisioning.truth.test_comparing import NOW, SERIAL, a_device, a_session, a_subscriber


def a_truth(**said: Any) -> Truth:
    usual: dict[str, Any] = {"looked_at": NOW, "sentence": "", "agrees": True, "comparisons": [], "differences": []}
    seen: dict[str, Any] = {"sessions": [a_session()], "devices": [a_device()], "readings": [], "asked": []}
    subscriber = a_subscriber(**said.pop("subscriber", {}))
    return Truth(subscriber=subscriber, **{**usual, **seen, **said})


@pytest.mark.parametrize("act", ACTS)
def test_every_act_says_what_it_touches_and_what_confirms_it(act: Act) -> None:
    state = "suspended" if act == "resume" else "active"
    told = preview(a_truth(subscriber={"state": state}), act, serial=SERIAL, plan="fiber-600")
    assert told.refused is None
    assert "confirmed when" in told.touches[-1]


def test_a_session_that_is_to_be_ended_is_named() -> None:
    assert preview(a_truth(), "suspend").touches[:2] == [
        "FreeRADIUS refuses every login from now on.",
        "The NAS is asked to end session a1 at bng-1.",
    ]
    told = preview(a_truth(), "suspend", garden="unpaid").touches
    assert told[0] == "Every login is served by plan unpaid from now on."
    assert told[1].startswith("Session a1 at bng-1 is told plan unpaid")
    assert preview(a_truth(sessions=[]), "suspend").touches[1] == "No session is known to be open."


def test_a_plan_that_a_nas_cannot_be_told_is_said_to_shut_out_there_and_first_where_it_is_online() -> None:
    nases = ["bng-0", "bng-9", "bng-1", "bng-8", "bng-7"]
    untold = [UntoldPlan(plan="fiber-600", nas=nas, faults=["it can't be told a VRF"]) for nas in nases]
    suspended = a_truth(subscriber={"state": "suspended", "garden": "unpaid"})

    told = preview(a_truth(), "change-plan", plan="fiber-600", untold=untold).touches
    back = preview(a_truth(subscriber={"state": "suspended"}), "resume", untold=untold[:1]).touches

    assert [each for each in told if "let in" in each or "Nor" in each] == [
        "Nobody of plan fiber-600 is let in at bng-1, where it is online now: it can't be told a VRF.",
        "Nobody of plan fiber-600 is let in at bng-0: it can't be told a VRF.",
        "Nobody of plan fiber-600 is let in at bng-9: it can't be told a VRF.",
        "Nor at 2 more: firstlight plans show fiber-600.",
    ]
    assert "Nobody of plan fiber-600 is let in at bng-0: it can't be told a VRF." in back
    capped = preview(a_truth(subscriber={"capped": "slow"}), "change-plan", plan="fiber-600", untold=untold[:1]).touches
    unless = "Unless its data cap is used up on that plan as well, and another one serves it then."
    assert capped[capped.index(unless) - 1] == "Nobody of plan fiber-600 is let in at bng-0: it can't be told a VRF."
    assert unless not in told
    assert preview(suspended, "change-plan", plan="fiber-600", untold=untold[2:3]).touches[1:3] == [
        "It is suspended, and stays so.",
        "Nobody of plan fiber-600 is let in at bng-1, where it is online now: it can't be told a VRF.",
    ]


def test_a_change_of_plan_says_what_does_not_follow() -> None:
    bill = "Its bill goes on as it is: this changes what the line gets, and no subscription."
    addresses = "Its addresses and its VLAN stay as they are, also where that plan would be given others."
    assert preview(a_truth(), "change-plan", plan="fiber-600").touches[-3:-1] == [bill, addresses]
    by_hand = a_truth(subscriber={"service_id": None})
    assert preview(by_hand, "change-plan", plan="fiber-600").touches[-2] == bill


def test_the_plan_that_is_asked_of_is_the_one_by_which_logins_are_served_afterwards() -> None:
    acts: list[Act] = ["change-plan", "resume", "suspend", "disconnect"]
    assert [plans_after(a_truth(), act, "fiber-600") for act in acts] == [
        ("fiber-600", None),
        ("fiber-300", None),
        None,
        None,
    ]
    assert plans_after(a_truth(), "change-plan", "") is None
    suspended = a_truth(subscriber={"state": "suspended", "garden": "unpaid", "capped": "slow"})
    assert plans_after(suspended, "change-plan", "fiber-600") == ("fiber-600", "unpaid")
    assert plans_after(suspended, "resume", "") == ("fiber-300", "slow")


def test_what_cannot_be_done_says_why() -> None:
    cases: list[tuple[Act, dict[str, Any], str]] = [
        ("suspend", {"state": "terminated"}, "It is terminated: nothing is done to it any more."),
        ("suspend", {"state": "pending"}, "It is pending: a run brings it into service first."),
        ("resume", {"state": "active"}, "It is active: there is no suspension to end."),
    ]
    for act, subscriber, why in cases:
        assert preview(a_truth(subscriber=subscriber), act).refused == why
    assert preview(a_truth(sessions=[]), "disconnect").refused is not None
    assert preview(a_truth(), "reboot", serial="HWTC00000009").refused == (
        "CPE HWTC00000009 is not bound to its service."
    )


def test_only_what_can_be_done_as_it_stands_is_offered() -> None:
    assert acts_of(a_truth()) == ["disconnect", "suspend", "change-plan"]
    assert acts_of(a_truth(subscriber={"state": "suspended"}, sessions=[])) == ["resume", "change-plan"]
    assert acts_of(a_truth(subscriber={"state": "terminated"})) == []
    assert acts_of(a_truth(subscriber={"state": "pending"}, sessions=[])) == []
