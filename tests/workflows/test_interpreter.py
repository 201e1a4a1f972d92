"""What a run does when all goes well, and when it doesn't."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from provisioning.database import Database
from tests.workflows.toy import (
    DEFINITIONS,
    HIRE,
    Desk,
    Toy,
    ToyFault,
    ToyOutage,
    World,
    make_toy,
    take_desk,
)
from workflows.engine.interpreter import MAX_RESTARTS
from workflows.engine.run import Run
from workflows.engine.run_lists import list_runs, waiting_runs
from workflows.engine.run_views import RunView, show_run
from workflows.engine.runs import Runs
from workflows.engine.tables import RunRow
from workflows.errors import InputRefused, RunConflict, RunNotOpenFor, RunUnknown
from workflows.testing import InlineDispatch


async def view(toy: Toy, run_id: int) -> RunView:
    async with toy.database.begin() as db:
        return await show_run(db, run_id, tenant_id="main", definitions=toy.definitions)


async def states(toy: Toy, run_id: int) -> dict[str, str]:
    return {step.name: step.state for step in (await view(toy, run_id)).steps}


async def act(toy: Toy, name: str, run_id: int, **arguments: Any) -> None:
    async with toy.database.begin() as db:
        await getattr(toy.runs, name)(db, run_id, by="nora", **arguments)


async def test_a_run_waits_for_its_signal_and_its_timer_and_completes(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    waiting = await view(toy, run_id)
    assert (waiting.summary.state, waiting.summary.waiting_for, waiting.summary.waiting_on) == (
        "pending",
        "arrival",
        "A1",
    )
    assert waiting.summary.reason == "waiting at the door"
    assert [step.state for step in waiting.steps] == [
        "completed",
        "completed",
        "pending",
        "planned",
        "planned",
        "planned",
    ]

    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()

    done = await view(toy, run_id)
    assert done.summary.state == "completed"
    assert {step.name: step.result for step in done.steps} == {
        "take_desk": {"desk": 1},
        "order_badge": {"text": "badge for Ada"},
        "arrival": {"outcome": "came"},
        "open_door": True,
        "cool_off": None,
        "mail_welcome": None,
    }
    assert toy.world.mails == {"order/A1/mail_welcome": 1}
    assert toy.world.keyed == {"order/A1/order_badge": "badge for Ada"}


async def test_a_signal_told_before_the_run_waits_for_it_is_not_lost(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"


async def test_a_signal_about_something_else_is_not_heard(toy: Toy) -> None:
    run_id = await toy.start()
    async with toy.database.begin() as db:
        await toy.runs.signal(db, run_id, "arrival", {"outcome": "came"}, key="x", by="test", subject="another")
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.waiting_for == "arrival"


async def test_the_same_signal_told_twice_counts_once(toy: Toy) -> None:
    run_id = await toy.start()
    async with toy.database.begin() as db:
        told = [await toy.runs.signal(db, run_id, "arrival", {"outcome": "came"}, key="k", by="t") for _ in range(2)]
    assert told == [True, False]


async def test_a_signal_with_faults_is_refused_with_all_of_them(toy: Toy) -> None:
    run_id = await toy.start()
    async with toy.database.begin() as db:
        with pytest.raises(InputRefused, match="outcome: is missing"):
            await toy.runs.signal(db, run_id, "arrival", {}, key="k", by="test")
        with pytest.raises(InputRefused, match="only knows arrival"):
            await toy.runs.signal(db, run_id, "knock", {}, key="k", by="test")


async def test_starting_twice_with_one_key_is_one_run_and_other_input_is_a_conflict(toy: Toy) -> None:
    first = await toy.start()
    assert await toy.start() == first
    with pytest.raises(RunConflict, match=f"order/A1 already started run {first} with other input"):
        await toy.start(name="Bob")
    async with toy.database.begin() as db:
        assert len(await list_runs(db, tenant_id="main")) == 1


@pytest.mark.parametrize("decision", ["skip", "roll_back", "cancel"])
async def test_a_decision_without_a_reason_is_refused_and_changes_nothing(toy: Toy, decision: str) -> None:
    toy.world.fail_next(ToyFault("no printer"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    before = await view(toy, run_id)
    assert before.summary.state == "held"
    for reason, fault in {
        "": "is missing",
        " \t ": "is missing",
        "a\nb": "holds a line break or another control character",
        "a\x1b[2Jb": "holds a line break or another control character",
        "\ud800": "holds a line break or another control character",
        "x" * 1001: "is longer than 1000 characters",
    }.items():
        with pytest.raises(InputRefused) as refused:
            await act(toy, decision, run_id, reason=reason)
        assert refused.value.faults == (("reason", fault),)
    assert await view(toy, run_id) == before


async def test_bad_input_names_every_fault_and_starts_nothing(toy: Toy) -> None:
    with pytest.raises(InputRefused) as refused:
        await toy.start(name=3, customer_id="x")
    assert [where for where, _ in refused.value.faults] == ["name", "customer_id"]
    async with toy.database.begin() as db:
        assert await list_runs(db, tenant_id="main") == []


@pytest.mark.scenario("D2")
async def test_a_false_condition_skips_the_step_with_its_words_and_the_run_still_completes(toy: Toy) -> None:
    run_id = await toy.start(remote=True)
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    done = await view(toy, run_id)
    assert done.summary.state == "completed"
    assert (done.steps[3].state, done.steps[3].note) == ("skipped", "works from home")
    assert toy.world.calls["door"] == 0


@pytest.mark.scenario("D10")
async def test_a_transient_error_is_tried_again_later_under_the_same_key(toy: Toy) -> None:
    toy.world.fail_next(ToyOutage("badge printer is away"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    between = await view(toy, run_id)
    assert (between.summary.state, between.summary.waiting_for) == ("pending", "retry")
    assert (between.steps[1].state, between.steps[1].attempts) == ("unknown", 1)
    assert between.summary.reason == "badge printer is away"

    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"
    assert toy.world.keyed == {"order/A1/order_badge": "badge for Ada"}


async def test_a_run_whose_retries_end_is_held_with_the_reason_and_goes_on_when_retried(toy: Toy) -> None:
    toy.world.fail_next(*[ToyOutage("badge printer is away")] * 3)
    run_id = await toy.start()
    await toy.dispatch().sleep_until_rest()
    held = await view(toy, run_id)
    assert (held.summary.state, held.summary.reason, held.summary.reason_code) == (
        "held",
        "badge printer is away",
        "toy.outage",
    )
    assert held.summary.current_step == "order_badge"

    await act(toy, "retry", run_id)
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"


async def test_a_final_error_is_held_at_once(toy: Toy) -> None:
    toy.world.fail_next(ToyFault("no badge for Ada"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert (await states(toy, run_id))["order_badge"] == "held"
    assert toy.world.calls["badge"] == 1


async def test_an_unexpected_error_is_held_and_named(toy: Toy) -> None:
    toy.world.fail_next(KeyError("oops"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    held = await view(toy, run_id)
    assert held.summary.reason == "unexpected KeyError in order_badge: 'oops'"
    assert held.summary.reason_code == "workflow.unexpected_error"


async def test_a_skipped_step_makes_the_run_partial_and_a_given_result_is_used(toy: Toy) -> None:
    toy.world.fail_next(ToyFault("no badge"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    with pytest.raises(InputRefused, match="text: is missing"):
        await act(toy, "skip", run_id, reason="printed by hand", result={})
    await act(toy, "skip", run_id, reason="printed by hand", result={"text": "paper"})
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    done = await view(toy, run_id)
    assert done.summary.state == "partial"
    assert (done.steps[1].state, done.steps[1].result) == ("skipped", {"text": "paper"})
    assert done.steps[1].note == "skipped by nora: printed by hand"


async def test_rolling_back_a_held_run_undoes_newest_first_and_leaves_nothing(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id)
    await toy.dispatch().drain()  # the timer is pending, the door is open
    assert toy.world.doors == {"A1"}
    await act(toy, "cancel", run_id, reason="moved away")
    await toy.dispatch().drain()
    done = await view(toy, run_id)
    assert (done.summary.state, done.summary.reason) == ("cancelled", "cancelled by nora: moved away")
    assert [step.state for step in done.steps] == ["undone", "undone", "undone", "undone", "undone", "planned"]
    assert (toy.world.doors, toy.world.keyed, await toy.desks()) == (set(), {}, [])


async def test_a_failed_undo_is_held_and_can_be_left_as_it_is_with_a_reason(toy: Toy) -> None:
    toy.world.fail_next(ToyFault("no badge"))
    run_id = await toy.start()
    await toy.dispatch().drain()

    async def broken(key: str) -> None:
        raise ToyFault("badge office is closed")

    toy.world.return_badge = broken  # type: ignore[method-assign]
    await act(toy, "roll_back", run_id, reason="gave up")
    await toy.dispatch().drain()
    held = await view(toy, run_id)
    assert (held.summary.state, held.summary.reason) == ("held", "badge office is closed")
    await act(toy, "skip", run_id, reason="office will burn it")
    await toy.dispatch().drain()
    done = await view(toy, run_id)
    assert done.summary.state == "partial"
    assert done.summary.reason == "rolled back by nora: gave up"
    assert await toy.desks() == []


async def test_acts_that_do_not_fit_the_state_are_refused(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    for name, arguments in (
        ("retry", {}),
        ("skip", {"reason": "x"}),
        ("roll_back", {"reason": "x"}),
        ("cancel", {"reason": "x"}),
    ):
        with pytest.raises(RunNotOpenFor, match=f"run {run_id} is completed"):
            await act(toy, name, run_id, **arguments)
    with pytest.raises(RunUnknown, match="there is no run 99"):
        await act(toy, "cancel", 99, reason="x")


async def test_a_passed_deadline_holds_the_run_and_a_retry_waits_as_long_again(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    toy.clock.advance(timedelta(days=2))
    async with toy.database.begin() as db:
        assert await toy.runs.wake(db, run_id)
    await toy.dispatch().drain()
    held = await view(toy, run_id)
    assert (held.summary.state, held.summary.reason) == ("held", "waiting at the door: not heard of in time")
    await act(toy, "retry", run_id)
    await toy.dispatch().drain()
    again = await view(toy, run_id)
    assert again.summary.state == "pending"
    assert again.summary.wake_at == toy.clock() + timedelta(days=2)


async def test_an_outcome_may_lead_back_and_the_second_round_has_keys_of_its_own(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id, "late", key="1")
    await toy.dispatch().drain()
    again = await view(toy, run_id)
    assert [(step.name, step.state, step.round) for step in again.steps[:3]] == [
        ("take_desk", "completed", 1),
        ("order_badge", "completed", 2),
        ("arrival", "pending", 2),
    ]
    assert toy.world.keyed == {"order/A1/order_badge/2": "badge for Ada"}
    await toy.arrive(run_id, "came", key="2")
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"


async def test_the_rounds_that_were_undone_are_shown_with_what_came_of_them(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    began = toy.clock()
    toy.clock.advance(timedelta(hours=3))
    await toy.arrive(run_id, "late", key="1")
    await toy.dispatch().drain()
    toy.world.fail_next(ToyFault("the lock is jammed"))
    await toy.arrive(run_id, "came", key="2")
    await toy.dispatch().drain()
    await toy.arrive(run_id, "came", key="3")
    await toy.dispatch().drain()

    shown = {step.name: step for step in (await view(toy, run_id)).steps}
    assert {name: [past.round for past in step.earlier] for name, step in shown.items() if step.earlier} == {
        "order_badge": [1],
        "arrival": [1, 2],
        "open_door": [1],
    }
    late, came = shown["arrival"].earlier
    assert (late.result, came.result, shown["arrival"].round) == ({"outcome": "late"}, {"outcome": "came"}, 3)
    assert (late.state, late.started_at, late.finished_at) == ("undone", began, began + timedelta(hours=3))
    [jammed] = shown["open_door"].earlier
    assert (jammed.state, jammed.attempts, jammed.error_code, jammed.result) == ("undone", 1, "toy.fault", None)


async def test_an_outcome_may_end_the_journey_with_everything_undone(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id, "never")
    await toy.dispatch().drain()
    done = await view(toy, run_id)
    assert (done.summary.state, done.summary.reason) == ("failed", "never came")
    assert (toy.world.keyed, await toy.desks()) == ({}, [])


async def test_a_later_signal_reopens_an_earlier_wait_until_the_step_that_ends_that_right(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id, key="first")
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.current_step == "cool_off"
    await toy.arrive(run_id, key="second")
    await toy.dispatch().drain()
    again = await view(toy, run_id)
    assert {step.name: step.round for step in again.steps if step.round > 1} == {
        "arrival": 2,
        "open_door": 2,
        "cool_off": 2,
    }
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"
    with pytest.raises(RunNotOpenFor):
        await toy.arrive(run_id, key="third")


async def test_a_reopening_signal_wakes_a_held_run(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    toy.world.fail_next(ToyFault("the lock is jammed"))
    await toy.arrive(run_id, key="1")
    await toy.dispatch().drain()
    assert (await states(toy, run_id))["open_door"] == "held"
    await toy.arrive(run_id, key="2")
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"


async def test_a_held_run_may_be_retried_from_an_earlier_step(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    toy.world.fail_next(ToyFault("the lock is jammed"))
    await toy.arrive(run_id)
    await toy.dispatch().drain()
    await act(toy, "retry", run_id, from_step="take_desk")
    await toy.dispatch().drain()
    again = await view(toy, run_id)
    assert [step.round for step in again.steps[:3]] == [2, 2, 2]
    assert again.summary.waiting_for == "arrival"
    assert await toy.desks() == ["A1"]


async def test_only_the_newest_claim_of_a_segment_may_write(toy: Toy) -> None:
    run_id = await toy.start()
    second = toy.dispatch()

    class Usurped(Exception):
        code, transient = "toy.usurped", True

    async def usurp(key: str, name: str) -> str:
        toy.world.order_badge = type(toy.world).order_badge.__get__(toy.world)  # type: ignore[method-assign]
        await second.drain()
        return "stolen"

    toy.world.order_badge = usurp  # type: ignore[method-assign]
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).steps[1].result == {"text": "badge for Ada"}


async def test_watchers_find_the_runs_that_wait_for_something(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    async with toy.database.begin() as db:
        found = await waiting_runs(db, tenant_id="main", waiting_for="arrival")
        assert [(run.id, run.waiting_on) for run in found] == [(run_id, "A1")]
        assert await waiting_runs(db, tenant_id="another", waiting_for="arrival") == []


async def test_a_lost_segment_is_restarted_and_after_too_many_losses_held(toy: Toy) -> None:
    run_id = await toy.start()
    async with toy.database.begin() as db:
        assert await toy.runs.restart(db, run_id, 1, "worker died", 1)
    async with toy.database.begin() as db:
        assert not await toy.runs.restart(db, run_id, 1, "worker died", 1)
        assert not await toy.runs.restart(db, run_id, 2, "worker died", 1)
    async with toy.database.begin() as db:
        row = (await db.execute(select(RunRow))).scalar_one()
    assert (row.state, row.reason) == ("held", "its segments are lost again and again: worker died")


async def give_up(toy: Toy) -> int:
    """A run that its workers lost again and again in the middle of an outside call that took effect."""
    run_id = await toy.start()
    async with toy.database.begin() as db:
        await db.execute(update(RunRow).values(restarts=MAX_RESTARTS + 1, current_step="order_badge"))
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.reason_code == "workflow.no_progress"
    return run_id


@pytest.mark.parametrize("act_name", ["retry", "skip", "roll_back", "cancel"])
async def test_a_run_that_was_given_up_moves_again_when_an_operator_decides(toy: Toy, act_name: str) -> None:
    run_id = await give_up(toy)
    arguments = {} if act_name == "retry" else {"reason": "looked at it"}
    await act(toy, act_name, run_id, **arguments)
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.reason_code != "workflow.no_progress"


async def test_a_step_that_an_operator_skipped_is_still_undone_if_it_may_have_taken_effect(toy: Toy) -> None:
    run_id = await toy.start()
    toy.world.keyed["order/A1/order_badge"] = "made before the worker died"
    toy.world.fail_next(ToyFault("no badge"))
    await toy.dispatch().drain()
    await act(toy, "skip", run_id, reason="has one already", result={"text": "old"})
    await toy.dispatch().drain()
    await act(toy, "cancel", run_id, reason="moved away")
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.state == "cancelled"
    assert toy.world.keyed == {}


async def test_a_retry_opens_a_new_budget_and_forgets_no_attempt(toy: Toy) -> None:
    toy.world.fail_next(*[ToyOutage("away")] * 5)
    run_id = await toy.start()
    await toy.dispatch().sleep_until_rest()
    await act(toy, "retry", run_id)
    await toy.dispatch().sleep_until_rest()
    badge = (await view(toy, run_id)).steps[1]
    assert (badge.state, badge.attempts) == ("completed", 5)


async def test_a_signal_whose_hearing_was_undone_may_be_told_again(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id, key="same")
    await toy.dispatch().drain()
    await act_on_timer(toy, run_id)
    await toy.arrive(run_id, key="same")
    await toy.dispatch().sleep_until_rest()
    assert (await view(toy, run_id)).summary.state == "completed"


async def act_on_timer(toy: Toy, run_id: int) -> None:
    """Holds the run at its timer, and sends it back to before the wait."""
    async with toy.database.begin() as db:
        await db.execute(update(RunRow).values(state="held"))
    await act(toy, "retry", run_id, from_step="arrival")
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.waiting_for == "arrival"


async def test_a_reopening_signal_about_something_replaced_is_put_aside(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.arrive(run_id)
    await toy.dispatch().drain()
    async with toy.database.begin() as db:
        await toy.runs.signal(db, run_id, "arrival", {"outcome": "came"}, key="late", by="test", subject="before A1")
    await toy.dispatch().sleep_until_rest()
    done = await view(toy, run_id)
    assert done.summary.state == "completed"
    assert "arrival about before A1 came too late: that has been replaced" in [note.text for note in done.notes]


async def test_what_would_reopen_a_wait_is_put_aside_when_all_is_undone(database: Database) -> None:
    """Else an undo would take it for word of what is done anew, and leave standing what it is there to take back."""
    heard: list[bool] = []

    async def free_desk(services: Any, run: Run[Any], taken: Any) -> None:
        heard.append(run.is_told("arrival"))
        await services.free(run.input["order"])

    kept = replace(take_desk, undo=free_desk)
    steps = tuple(kept if each is take_desk else each for each in HIRE.steps)
    toy = await make_toy(database, {("hire", 1): replace(HIRE, steps=steps)})
    run_id = await toy.start()
    await toy.dispatch().drain()
    await toy.arrive(run_id, key="first")
    await toy.dispatch().drain()
    await toy.arrive(run_id, key="second")
    await act(toy, "cancel", run_id, reason="moved away")
    await toy.dispatch().drain()
    assert (heard, await toy.desks()) == ([False], [])
    assert "arrival came too late: everything is undone" in [note.text for note in (await view(toy, run_id)).notes]


async def test_a_run_being_undone_listens_no_more_and_cannot_be_cancelled(toy: Toy) -> None:
    toy.world.fail_next(ToyFault("no badge"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    await act(toy, "roll_back", run_id, reason="gave up")
    with pytest.raises(RunNotOpenFor, match="it is being undone"):
        await toy.arrive(run_id)
    with pytest.raises(RunNotOpenFor, match="it is being undone already"):
        await act(toy, "cancel", run_id, reason="me too")


async def test_another_tenants_run_does_not_exist(toy: Toy) -> None:
    run_id = await toy.start()
    others = Runs(definitions=DEFINITIONS, doorbell=InlineDispatch.doorbell, clock=toy.clock, tenant_id="another")
    async with toy.database.begin() as db:
        with pytest.raises(RunUnknown):
            await others.cancel(db, run_id, by="mallory", reason="x")
        with pytest.raises(RunUnknown):
            await others.signal(db, run_id, "arrival", {"outcome": "came"}, key="k", by="mallory")


async def test_what_a_step_asks_outside_first_is_asked_before_its_commit_opens_and_again_with_each_try(
    database: Database,
) -> None:
    async def look(world: World, run: Run[Any]) -> None:
        world.calls["look"] += 1
        async with database.begin() as db:  # on SQLite nobody else could, if a commit were open
            assert list(await db.scalars(select(Desk.order))) == []
        if world.calls["look"] == 1:
            raise ToyOutage("the router is away")

    steps = (replace(take_desk, first=look), *HIRE.steps[1:])
    toy = await make_toy(database, {("hire", 1): replace(HIRE, steps=steps)})
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.reason == "the router is away"
    assert await toy.desks() == []
    await toy.dispatch().sleep_until_rest()
    assert (await states(toy, run_id))["take_desk"] == "completed"
    assert (toy.world.calls["look"], await toy.desks()) == (2, ["A1"])
