"""What must always hold for runs, asked of a small journey; ``tests/provisioning/test_check.py`` asks the whole."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import update

from tests.workflows.toy import DEFINITIONS, Toy, ToyFault, ToyOutage
from workflows.engine.due import MOVES_WITHIN, TAKEN_UP_WITHIN
from workflows.engine.invariants import restless_runs, unfinished_ends, unknown_outcomes
from workflows.engine.tables import RunRow, StepRow


async def findings(toy: Toy, *, later: timedelta = timedelta()) -> list[tuple[str, str]]:
    async with toy.database.begin() as db:
        found = [
            *await restless_runs(db, tenant_id="main", now=toy.clock() + later),
            *await unfinished_ends(db, tenant_id="main", definitions=DEFINITIONS),
            *await unknown_outcomes(db, tenant_id="main"),
        ]
        assert await restless_runs(db, tenant_id="other", now=toy.clock() + later) == []
    return [(one.subject, one.sentence) for one in found]


async def change(toy: Toy, table: type[RunRow] | type[StepRow], *where: Any, **values: Any) -> None:
    async with toy.database.begin() as db:
        await db.execute(update(table).where(*where).values(**values))


async def decide(toy: Toy, decision: str, run_id: int, **arguments: Any) -> None:
    async with toy.database.begin() as db:
        await getattr(toy.runs, decision)(db, run_id, by="nora", **arguments)


async def test_runs_that_wait_retry_are_held_or_have_ended_in_any_way_are_in_order(toy: Toy) -> None:
    for order in ("completed", "waiting", "cancelled", "rolled back"):
        await toy.start(order)
    await toy.dispatch().drain()
    async with toy.database.begin() as db:
        for run_id, order in ((1, "completed"), (4, "rolled back")):
            told = {"outcome": "came"}
            await toy.runs.signal(db, run_id, "arrival", told, key="door", by="test", subject=order)
    await decide(toy, "cancel", 3, reason="not needed")
    toy.world.fail_next(ToyFault("jammed"))
    await toy.dispatch().drain()
    held = 1 if (await _state(toy, 1)) == "held" else 4
    toy.world.fail_next(ToyOutage("away"))
    await toy.start("retrying")
    await toy.dispatch().drain()
    assert await findings(toy) == []
    await decide(toy, "roll_back", held, reason="give up")
    await toy.dispatch().drain()
    assert await _state(toy, held) == "failed"
    assert await findings(toy) == []


async def test_an_operators_skip_is_in_order_too(toy: Toy) -> None:
    toy.world.fail_next(ToyFault("no card left"))
    run_id = await toy.start()
    await toy.dispatch().drain()
    await decide(toy, "skip", run_id, reason="handed out by hand")
    await toy.arrive(run_id)
    await toy.dispatch().sleep_until_rest()
    assert await _state(toy, run_id) == "partial"
    assert await findings(toy) == []


async def test_a_run_that_nobody_moves_or_wakes_is_found_in_time_and_not_before(toy: Toy) -> None:
    run_id = await toy.start()
    assert await findings(toy, later=MOVES_WITHIN) == []
    sentence = f"Run {run_id} is acknowledged but has not moved since 2026-03-02 09:00 UTC."
    late = MOVES_WITHIN + timedelta(seconds=1)
    assert await findings(toy, later=late) == [(f"run {run_id}", sentence)]
    await toy.dispatch().drain()
    assert await findings(toy, later=timedelta(days=2) + TAKEN_UP_WITHIN) == []
    sentence = f"Run {run_id} should have woken at 2026-03-04 09:00 UTC: no worker seems to be at work."
    late = timedelta(days=2) + TAKEN_UP_WITHIN + timedelta(seconds=1)
    assert await findings(toy, later=late) == [(f"run {run_id}", sentence)]


async def test_a_release_without_a_runs_definition_can_still_ask(toy: Toy) -> None:
    run_id = await toy.start()
    await toy.dispatch().drain()
    await decide(toy, "cancel", run_id, reason="not needed")
    await toy.dispatch().drain()
    await change(toy, StepRow, StepRow.step == "order_badge", state="unknown")
    async with toy.database.begin() as db:
        whole = await unfinished_ends(db, tenant_id="main", definitions={})
        unknown = await unknown_outcomes(db, tenant_id="main")
    assert [one.sentence for one in whole] == [f"Run {run_id} is cancelled, but its step order_badge is unknown."]
    assert [one.sentence for one in unknown] == [
        f"Run {run_id} is cancelled, and nobody knows whether its step order_badge took effect."
    ]


async def _state(toy: Toy, run_id: int) -> str:
    async with toy.database.begin() as db:
        return (await db.get_one(RunRow, run_id)).state
