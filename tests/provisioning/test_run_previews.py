"""Previews: what a decision about a run touches is read from its journal, and what isn't for it is said."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from provisioning.run_desk import mark_of
from provisioning.run_previews import VERBS, Verb, preview, steps_to_go_back_to, what_may_be_decided
from workflows import DEFINITIONS, RunSummary, RunView, StepView, WorkflowError

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
JOURNEY = max(version for name, version in DEFINITIONS if name == "isp_ticket_to_deployment")
DEFINITION = DEFINITIONS["isp_ticket_to_deployment", JOURNEY]
HELD_IN = "hand_over_line"


def run(
    state: str = "held", *, past_return: bool = False, waiting_for: str | None = None, way: str = "forward"
) -> RunView:
    """An installation that has come to the OLT; ``way``: it goes back from there (to `create_subscriber`), or undoes
    itself."""
    names = [step.name for step in DEFINITION.steps]
    until = names.index(HELD_IN)
    steps = [
        step(each.name, each.effect, "completed" if at < until else "held" if at == until else "planned")
        for at, each in enumerate(DEFINITION.steps)
    ]
    summary = RunSummary(
        7, DEFINITION.name, "ticket/7", 1, state, HELD_IN, waiting_for, None, None, None, "why", "x", NOW, NOW, None
    )
    back_to = "create_subscriber" if way == "back" else None
    return RunView(summary, {}, steps, [], past_return, JOURNEY, way, back_to)


def step(name: str, effect: str, state: str) -> StepView:
    done: Any = {"line_order_id": 4, "access_node": "OLT-3", "port": "0/0/4", "device_serial": "HWTC1"}
    result = done if state == "completed" and name == "authorise_line" else ({} if state == "completed" else None)
    return StepView(name, effect, state, 1, 1, NOW, None, result, None, None)


def test_another_try_says_how_the_other_side_takes_it_and_what_follows() -> None:
    seen = preview("retry", run(), DEFINITION)
    assert (seen.refused, seen.step, seen.undone) == (None, HELD_IN, ())
    assert seen.touches[0] == (
        "hand over line is tried again. It is sent again under the same key: what the other side has done already it"
        " doesn't do twice."
    )
    assert seen.touches[1].startswith("Then the run goes on: line answer, confirm port, provision device")


def test_going_back_undoes_down_to_the_step_and_gives_back_what_it_has_made() -> None:
    seen = preview("retry-from", run(), DEFINITION, from_step="authorise_line")
    assert [each.step for each in seen.undone] == [HELD_IN, "see_open_sessions", "authorise_line"]
    assert seen.given_back == ["line order 4: HWTC1 at OLT-3 0/0/4"]
    with pytest.raises(WorkflowError, match="tea"):
        preview("retry-from", run(), DEFINITION, from_step="tea")
    assert steps_to_go_back_to(run())[0] == HELD_IN and steps_to_go_back_to(run(past_return=True)) == []


def test_an_undo_goes_through_every_step_that_was_begun_and_says_what_stays() -> None:
    seen = preview("roll-back", run(), DEFINITION)
    assert [each.step for each in seen.undone][::-1] == [each.name for each in DEFINITION.steps[: len(seen.undone)]]
    because = {each.step: each.nothing_because for each in seen.undone}
    assert (because["visit"], because["get_site_survey"]) == ("it only waited", "a survey is only read")
    assert because[HELD_IN] is None
    assert seen.ends == "failed" and preview("cancel", run(), DEFINITION).ends == "cancelled"


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_for_held_runs_is_refused_for_others_but_a_note(verb: Verb) -> None:
    for state in ("completed", "pending", "inProgress"):
        assert (preview(verb, run(state), DEFINITION).refused is None) == (verb == "note"), state
    assert preview(verb, run(), DEFINITION).refused is None


def test_what_waits_for_its_next_try_can_be_tried_at_once() -> None:
    assert preview("retry", run("pending", waiting_for="retry"), DEFINITION).refused is None


@pytest.mark.parametrize("verb", ["retry-from", "roll-back", "cancel"])
def test_nothing_is_undone_past_the_point_of_no_return(verb: Verb) -> None:
    refused = preview(verb, run(past_return=True), DEFINITION).refused
    assert refused == "The run has come to where it can only be completed; nothing of it is undone any more."


@pytest.mark.parametrize(
    ("way", "last", "then"),
    [
        ("undo", DEFINITION.steps[0].name, "Then the run ends; it goes forward no more."),
        ("back", "create_subscriber", "Then the run goes forward again, from create subscriber."),
    ],
)
def test_another_try_of_a_run_that_goes_back_is_another_try_of_the_undo(way: str, last: str, then: str) -> None:
    seen = preview("retry", run(way=way), DEFINITION)
    assert seen.touches == [
        "The undo of hand over line is tried again; the run undoes itself, newest first.",
        then,
    ]
    assert (seen.undone[0].step, seen.undone[-1].step) == (HELD_IN, last)
    assert seen.given_back == ["line order 4: HWTC1 at OLT-3 0/0/4"]
    assert preview("retry", run("pending", waiting_for="retry", way=way), DEFINITION).touches == seen.touches
    left = preview("skip", run(way=way), DEFINITION)
    assert [each.step for each in left.undone] == [each.step for each in seen.undone[1:]]
    assert left.ends == ("partial" if way == "undo" else "partial, at the best")
    assert steps_to_go_back_to(run(way=way)) == []


def test_what_is_being_undone_is_not_said_to_be_undone_anew() -> None:
    seen = preview("roll-back", run(way="undo"), DEFINITION)
    assert seen.touches[0] == "The run is being undone already; the undo that it is held at is tried again."
    assert preview("cancel", run(way="undo"), DEFINITION).refused == "The run is being undone already."
    assert preview("cancel", run(way="back"), DEFINITION).refused is None
    assert what_may_be_decided(run()) == ["retry", "retry-from", "skip", "roll-back", "hand-over", "note"]
    assert what_may_be_decided(run("inProgress")) == ["cancel", "note"]


def test_a_mark_changes_with_how_the_run_stands() -> None:
    assert mark_of(run().summary) == mark_of(run().summary) != mark_of(run("pending").summary)
