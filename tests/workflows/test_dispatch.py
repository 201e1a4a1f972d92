"""Segments go through the real queue, on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from provisioning.database import Database, sync_url
from tests.workflows.toy import DEFINITIONS, Services, Toy, World, make_toy
from workflows.engine.dispatch import Bell, Dispatch, prepare_queue_tables
from workflows.engine.interpreter import Interpreter
from workflows.engine.run_views import show_run
from workflows.engine.runs import Runs
from workflows.engine.tables import RunRow, StepRow, WorkerRow
from workflows.errors import CodeMissing

pytestmark = pytest.mark.both_databases

LogLines = Callable[[], list[dict[str, Any]]]


def wall_clock() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
async def bell(database: Database) -> AsyncIterator[Bell]:
    url = sync_url(database.url)
    await asyncio.to_thread(prepare_queue_tables, url)
    made = Bell(url, tenant_id="main")
    yield made
    await made.close()


@pytest.fixture
async def live(database: Database, bell: Bell) -> Toy:
    toy = await make_toy(database)
    toy.runs = Runs(definitions=DEFINITIONS, doorbell=bell, clock=wall_clock, tenant_id="main")
    return toy


def make_dispatch(toy: Toy, bell: Bell) -> Dispatch:
    interpreter: Interpreter[Services, World] = Interpreter(
        begin=toy.database.begin,
        services=Services,
        outside=toy.world,
        definitions=DEFINITIONS,
        clock=wall_clock,
        tenant_id="main",
    )
    return Dispatch(
        url=sync_url(toy.database.url),
        begin=toy.database.begin,
        interpreter=interpreter,
        runs=toy.runs,
        bell=bell,
        definitions=DEFINITIONS,
        clock=wall_clock,
        tenant_id="main",
    )


@pytest.fixture
async def dispatch(live: Toy, bell: Bell) -> AsyncIterator[Dispatch]:
    made = make_dispatch(live, bell)
    await made.open()
    yield made
    await made.close(drain_seconds=0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await condition():  # noqa: ASYNC110 - the condition is a row in the database
            await asyncio.sleep(0.02)


async def has_state(toy: Toy, run_id: int, *states: str) -> bool:
    async with toy.database.begin() as db:
        return (await show_run(db, run_id, tenant_id="main", definitions=DEFINITIONS)).summary.state in states


async def has_ended(bell: Bell, name: str) -> bool:
    return (await bell.statuses([name]))[name] == "SUCCESS"


def named_in(log_lines: LogLines, event: str) -> list[tuple[int, int]]:
    """The run and the customer of each such line."""
    return [(line["run_id"], line["customer_id"]) for line in log_lines() if line["event"] == event]


async def set_run(toy: Toy, run_id: int, **values: object) -> None:
    async with toy.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(**values))


async def test_a_started_run_is_dispatched_and_a_signal_and_a_timer_take_it_to_the_end(
    live: Toy, dispatch: Dispatch
) -> None:
    run_id = await live.start()
    await until(lambda: has_state(live, run_id, "pending"))
    await live.arrive(run_id)
    await until(lambda: has_state(live, run_id, "pending"))
    await until(lambda: _waits_for_timer(live, run_id))
    assert await dispatch.wake_due() == 0
    await set_run(live, run_id, wake_at=wall_clock() - timedelta(seconds=1))
    async with live.database.begin() as db:
        await db.execute(update(StepRow).where(StepRow.step == "cool_off").values(deadline_at=wall_clock()))
    assert await dispatch.wake_due() == 1
    await until(lambda: has_state(live, run_id, "completed"))
    assert live.world.mails == {"order/A1/mail_welcome": 1}


async def _waits_for_timer(toy: Toy, run_id: int) -> bool:
    async with toy.database.begin() as db:
        summary = (await show_run(db, run_id, tenant_id="main", definitions=DEFINITIONS)).summary
    return summary.state == "pending" and summary.current_step == "cool_off"


async def _is_over(bell: Bell, segment: str) -> bool:
    return (await bell.statuses([segment])).get(segment) == "SUCCESS"


async def test_a_start_that_is_rolled_back_rings_no_bell(live: Toy, dispatch: Dispatch, bell: Bell) -> None:
    with pytest.raises(ZeroDivisionError):
        async with live.database.begin() as db:
            await live.runs.start(
                db, "hire", {"order": "X", "name": "Ada", "customer_id": 1, "remote": True}, by="test"
            )
            raise ZeroDivisionError
    assert await bell.statuses(["run:1:1"]) == {}


async def test_a_run_whose_segment_is_gone_is_restarted(
    live: Toy, dispatch: Dispatch, bell: Bell, log_lines: LogLines
) -> None:
    run_id = await live.start()
    await until(lambda: has_state(live, run_id, "pending"))
    await until(lambda: _is_over(bell, f"run:{run_id}:1"))  # the queue learns of it a moment after the run
    long_ago = wall_clock() - timedelta(minutes=5)
    await set_run(live, run_id, state="inProgress", waiting_for=None, updated_at=long_ago)
    assert await dispatch.restart_lost() == 1
    assert named_in(log_lines, "segment was lost") == [(run_id, 7)]
    await until(lambda: has_state(live, run_id, "pending"))


async def test_a_run_that_cannot_be_moved_is_named_and_stops_no_other(
    live: Toy, dispatch: Dispatch, log_lines: LogLines
) -> None:
    stuck, other = await live.start(), await live.start("B2", customer_id=8)
    await until(lambda: has_state(live, other, "pending"))
    await until(lambda: has_state(live, stuck, "pending"))
    await set_run(live, stuck, version=7, wake_at=wall_clock() - timedelta(minutes=1))
    await set_run(live, other, wake_at=wall_clock() - timedelta(seconds=1))
    assert await dispatch.wake_due() == 1
    assert named_in(log_lines, "a run can't be moved") == [(stuck, 7)]


async def test_a_worker_without_the_code_of_open_runs_refuses_to_start(live: Toy, bell: Bell) -> None:
    run_id = await live.start()
    await set_run(live, run_id, version=7)
    with pytest.raises(CodeMissing, match="hire version 7 \\(1 open\\)"):
        await make_dispatch(live, bell).open()


async def test_segments_of_a_silent_worker_are_taken_over(
    live: Toy, dispatch: Dispatch, bell: Bell, log_lines: LogLines
) -> None:
    """On SQLite there is one worker only, and nothing to take over."""
    run_id = await live.start()
    await until(lambda: has_state(live, run_id, "pending"))
    if not live.database.is_postgresql:
        assert await dispatch.take_over() == []
        return
    await until(lambda: has_ended(bell, f"run:{run_id}:1"))  # or the queue's own word of its end would come after ours
    async with live.database.begin() as db:
        db.add(WorkerRow(executor_id="dead", started_at=wall_clock(), beat_at=wall_clock() - timedelta(minutes=1)))
        await db.execute(
            text("UPDATE dbos.workflow_status SET status='PENDING', executor_id='dead' WHERE workflow_uuid = :name"),
            {"name": f"run:{run_id}:1"},
        )
        await db.execute(
            update(RunRow).where(RunRow.id == run_id).values(state="inProgress", waiting_for=None, owner="dead")
        )
    assert await dispatch.take_over() == [f"run:{run_id}:1"]
    assert named_in(log_lines, "taking over a segment of a silent worker") == [(run_id, 7)]
    await until(lambda: has_state(live, run_id, "pending"))
