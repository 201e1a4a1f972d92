"""A definition that can't be trusted is found at import, and says what is wrong with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.workflows.toy import DEFINITIONS as DEFINITIONS_OF_THE_TOY
from tests.workflows.toy import (
    HIRE,
    Badge,
    Hire,
    Services,
    arrival,
    cool_off,
    mail_welcome,
    open_door,
    order_badge,
    step,
    take_desk,
)
from workflows.definitions import DEFINITIONS
from workflows.engine.run import Run, step_key
from workflows.engine.runs import Runs
from workflows.engine.steps import Act, Effect, NothingToUndo, RetryPolicy, Step, Wait
from workflows.errors import DefinitionFault, JourneyUnknown, StepUnknown
from workflows.testing import InlineDispatch, VirtualClock


def with_steps(**changed: Step[Any, Any]) -> tuple[Step[Any, Any], ...]:
    """The steps of the toy's journey, some of them changed."""
    return tuple(changed.get(each.name, each) for each in HIRE.steps)


def test_every_fault_of_a_definition_is_named_at_once() -> None:
    with pytest.raises(DefinitionFault) as refused:
        replace(
            HIRE,
            steps=(take_desk, replace(order_badge, when=lambda run: True), take_desk),
            reopens={"arrival": (arrival, mail_welcome), "knock": (arrival, mail_welcome)},
        )
    assert str(refused.value) == (
        "definition hire: two steps are named take_desk; "
        "step order_badge has a condition but no words for the case that it is false; "
        "signal arrival reopens a step that the definition does not have; "
        "signal knock reopens arrival, which does not wait for it; "
        "signal knock reopens a step that the definition does not have"
    )


@pytest.mark.scenario("D1")
@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        (
            {"steps": with_steps(arrival=replace(arrival, again_from=(mail_welcome,)))},
            "step arrival may go again from mail_welcome, which does not stand before it",
        ),
        (
            {"steps": with_steps(arrival=replace(arrival, again_from=(replace(order_badge),)))},
            "step arrival may go again from order_badge, which does not stand before it",
        ),
        (
            {"steps": with_steps(cool_off=replace(cool_off, on_deadline=None, again_from=(take_desk,)))},
            "step cool_off may go again from earlier steps, but nothing of it leads there",
        ),
        (
            {"steps": with_steps(open_door=replace(open_door, leads={OSError: lambda run, why: None}))},
            "step open_door leads elsewhere on OSError, which has no code and so is no error of ours",
        ),
        (
            {"back_with": {order_badge: open_door}},
            "step order_badge is to be done again with open_door, which does not stand before it",
        ),
        (
            {"back_with": {replace(order_badge): take_desk}},
            "step order_badge is to be done again with take_desk, which does not stand before it",
        ),
        (
            {"reopens": {"arrival": (arrival, order_badge)}},
            "signal arrival reopens arrival until order_badge, which does not come after it",
        ),
        (
            {"steps": with_steps(cool_off=replace(cool_off, patience=("settling",)))},
            "step cool_off asks for the patience settling, which the definition does not set",
        ),
        ({"patience": {"setling": timedelta(hours=1)}}, "the patience setling is set, but no step asks for it"),
    ],
)
def test_what_a_definition_refers_to_must_be_there(changed: dict[str, Any], fault: str) -> None:
    with pytest.raises(DefinitionFault) as refused:
        replace(HIRE, **{"reopens": {}, **changed})
    assert str(refused.value) == f"definition hire: {fault}"


def test_a_definition_without_steps_is_refused() -> None:
    with pytest.raises(DefinitionFault, match="it has no steps"):
        replace(HIRE, steps=(), reopens={})


def test_what_there_is_not_is_refused_with_what_there_is() -> None:
    runs = Runs(
        definitions=DEFINITIONS_OF_THE_TOY, doorbell=InlineDispatch.doorbell, clock=VirtualClock(), tenant_id="x"
    )
    with pytest.raises(JourneyUnknown, match="there is no journey fire; there are hire"):
        runs.current("fire")
    with pytest.raises(StepUnknown, match="hire has no step tea; its steps are take_desk, order_badge, "):
        HIRE.step("tea")


def test_a_step_that_does_not_say_what_it_returns_is_refused() -> None:
    with pytest.raises(DefinitionFault, match="step vague does not say what it returns"):

        @step.transactional(undo=NothingToUndo("nothing"))
        async def vague(services: Services, run: Run[Hire]):  # type: ignore[no-untyped-def]
            return None


def test_a_steps_result_is_typed_by_its_function() -> None:
    badge: Badge = order_badge.result.validate_json('{"text": "x"}')
    assert badge == {"text": "x"}


def test_keys_are_made_of_business_object_step_and_round_only() -> None:
    assert step_key("order/1", "book", 1) == "order/1/book"
    assert step_key("order/1", "book", 2) == "order/1/book/2"


def test_delays_grow_up_to_the_longest_and_jitter_spreads_them() -> None:
    policy = RetryPolicy(attempts=5, first_delay_seconds=1, factor=3, longest_delay_seconds=10)
    assert [policy.delay(n, 1.0) for n in (1, 2, 3, 4)] == [timedelta(seconds=s) for s in (1, 3, 9, 10)]
    assert policy.delay(2, 0.0) == timedelta(seconds=1.5)


@pytest.mark.scenario("D11")
@pytest.mark.parametrize("definition", DEFINITIONS.values(), ids=lambda d: d.name)
def test_every_step_of_a_journey_says_how_it_is_undone_or_why_not(definition: object) -> None:
    for one in definition.steps:  # type: ignore[attr-defined]
        if isinstance(one, Wait):
            assert one.says, one.name
            continue
        assert isinstance(one, Act)
        assert callable(one.undo) or one.undo.because, one.name
        assert one.effect in Effect
