"""Ends other than the good one that a journey may declare: rejected, or past the point of no return."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import create_engine, update

from provisioning.database import Database, sync_url
from tests.workflows.test_interpreter import act, states, view
from tests.workflows.toy import HIRE, Services, ToyFault, ToyOutage, World, make_toy, order_badge, step, take_desk
from tests.workflows.toy import cool_off as settled
from workflows.engine.definition import Definition
from workflows.engine.invariants import unfinished_ends
from workflows.engine.routes import Reject
from workflows.engine.run import Run
from workflows.engine.steps import NothingToUndo
from workflows.engine.tables import RunRow
from workflows.errors import DefinitionFault, ResultMissing, RunNotOpenFor


class NotWanted(Exception):
    """Nobody may be hired."""

    code = "toy.not_wanted"
    transient = False


@step.keyed(
    undo=NothingToUndo("asking changes nothing"), leads={NotWanted: lambda _run, reason: Reject(f"refused: {reason}")}
)
async def ask_the_boss(world: World, run: Run[Any]) -> bool:
    raise NotWanted("no head count")


@step.keyed(undo=NothingToUndo("a badge that was shredded is gone"))
async def shred_badge(world: World, run: Run[Any]) -> bool:
    world._maybe_fail()
    return True


@step.transactional(undo=NothingToUndo("who has left has left"))
async def leave(services: Services, run: Run[Any]) -> bool:
    return True


def of(*steps: Any, **changed: Any) -> dict[tuple[str, int], Definition[Any]]:
    return {("hire", 1): replace(HIRE, steps=steps, reopens={}, **changed)}


async def test_what_was_never_to_be_done_ends_as_rejected_with_its_reason(database: Database) -> None:
    toy = await make_toy(database, of(take_desk, ask_the_boss))
    run_id = await toy.start()
    await toy.dispatch().drain()

    ended = await view(toy, run_id)
    assert (ended.summary.state, ended.summary.reason) == ("rejected", "refused: no head count")
    assert await states(toy, run_id) == {"take_desk": "undone", "ask_the_boss": "undone"}
    assert await toy.desks() == []
    async with toy.database.begin() as db:
        assert await unfinished_ends(db, tenant_id="main", definitions=toy.definitions) == []


async def test_past_the_point_of_no_return_nobody_can_undo_the_run(database: Database) -> None:
    toy = await make_toy(database, of(take_desk, shred_badge, settled, no_return=shred_badge))
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert (await states(toy, run_id))["shred_badge"] == "completed"

    with pytest.raises(RunNotOpenFor, match="shred_badge was begun, and from there on it can only be completed"):
        await act(toy, "cancel", run_id, reason="stay")
    await toy.dispatch().sleep_until_rest()

    assert (await view(toy, run_id)).summary.state == "completed"


async def test_before_it_a_cancel_undoes_as_ever(database: Database) -> None:
    toy = await make_toy(database, of(take_desk, settled, shred_badge, no_return=shred_badge))
    run_id = await toy.start()
    await toy.dispatch().drain()
    await act(toy, "cancel", run_id, reason="stay")
    await toy.dispatch().drain()

    assert (await view(toy, run_id)).summary.state == "cancelled"
    assert await toy.desks() == []


async def test_a_cancel_that_gets_in_after_the_last_door_has_closed_is_too_late(database: Database) -> None:
    toy = await make_toy(database, of(take_desk, leave, settled, no_return=leave))
    run_id = await toy.start()
    engine = create_engine(sync_url(database.url))

    def cancel_meanwhile(point: str) -> None:
        if point == "leave.committed":
            with engine.begin() as connection:
                connection.execute(update(RunRow).values(cancel_requested=True, end_reason="cancelled by nora: stay"))

    await toy.dispatch(at=cancel_meanwhile).drain()
    await toy.dispatch().sleep_until_rest()
    engine.dispose()

    ended = await view(toy, run_id)
    assert (ended.summary.state, ended.summary.reason) == ("completed", None)
    assert "the cancel came too late: what is left can only be completed" in [note.text for note in ended.notes]


async def test_what_was_begun_outside_counts_although_its_outcome_is_unknown(database: Database) -> None:
    toy = await make_toy(database, of(take_desk, shred_badge, no_return=shred_badge))
    run_id = await toy.start()
    toy.world.fail_next(ToyOutage("no answer"))
    await toy.dispatch().drain()
    assert (await states(toy, run_id))["shred_badge"] == "unknown"

    with pytest.raises(RunNotOpenFor, match="shred_badge was begun"):
        await act(toy, "cancel", run_id, reason="stay")
    await toy.dispatch().sleep_until_rest()

    assert (await view(toy, run_id)).summary.state == "completed"


def test_nothing_may_be_undone_behind_the_point_of_no_return() -> None:
    with pytest.raises(
        DefinitionFault, match="step order_badge has an undo, but from shred_badge on nothing is undone"
    ):
        of(take_desk, shred_badge, order_badge, no_return=shred_badge)


async def test_a_journey_may_make_its_customer_on_the_way(database: Database) -> None:
    made: list[int] = []

    async def look(services: Any, run: Run[Any]) -> bool:
        made.append(run.customer_id)
        return True

    unknown = of(
        take_desk,
        step.transactional(undo=NothingToUndo("looking changes nothing"))(look),
        customer_id=lambda _data: None,
        customer_of=lambda run: run[take_desk]["desk"] + 40 if run.done(take_desk) else None,
    )
    toy = await make_toy(database, unknown)
    run_id = await toy.start()
    before = await view(toy, run_id)
    await toy.dispatch().drain()

    after = await view(toy, run_id)
    assert (before.summary.customer_id, after.summary.customer_id) == (None, 41)
    assert (after.summary.state, made) == ("completed", [41])


async def test_a_customer_who_is_made_anew_is_the_runs(database: Database) -> None:
    async def cut_key(services: Any, run: Run[Any]) -> bool:
        if run.rounds["take_desk"][-1].round == 1:
            raise ToyFault("the key does not fit")
        return True

    unknown = of(
        take_desk,
        step.transactional(undo=NothingToUndo("a key is kept"))(cut_key),
        customer_id=lambda _data: None,
        customer_of=lambda run: len(run.rounds["take_desk"]) + 40 if run.done(take_desk) else None,
    )
    toy = await make_toy(database, unknown)
    run_id = await toy.start()
    await toy.dispatch().drain()
    assert (await view(toy, run_id)).summary.customer_id == 41

    await act(toy, "retry", run_id, from_step="take_desk")
    await toy.dispatch().drain()

    ended = (await view(toy, run_id)).summary
    assert (ended.state, ended.customer_id) == ("completed", 42)


async def test_asking_for_the_customer_too_early_is_named(database: Database) -> None:
    async def look(services: Any, run: Run[Any]) -> bool:
        return run.customer_id > 0

    toy = await make_toy(
        database,
        of(step.transactional(undo=NothingToUndo("looking changes nothing"))(look), customer_id=lambda _data: None),
    )
    run_id = await toy.start()
    await toy.dispatch().drain()

    held = await view(toy, run_id)
    assert (held.summary.state, held.summary.reason_code) == ("held", ResultMissing.code)


async def test_a_cancel_that_was_taken_before_a_commit_begins_is_in_time(database: Database) -> None:
    """Also where that commit is the one after which there is no return: who was told "kept" must be."""
    toy = await make_toy(database, of(take_desk, leave, no_return=leave))
    run_id = await toy.start()

    def cancelled_meanwhile(point: str) -> None:
        if point == "leave.before":
            engine = create_engine(sync_url(database.url))
            with engine.begin() as somebody:
                somebody.execute(update(RunRow).where(RunRow.id == run_id).values(cancel_requested=True))
            engine.dispose()

    await toy.dispatch(cancelled_meanwhile).drain()

    assert (await view(toy, run_id)).summary.state == "cancelled"
    assert await states(toy, run_id) == {"take_desk": "undone", "leave": "planned"}
    assert await toy.desks() == []
