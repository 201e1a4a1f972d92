"""Many runs at a glance: what is held by its reason, and marks that change with what they stand for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, literal, select, update

from provisioning.database import Database
from workflows import (
    Among,
    HeldFor,
    ended_by_hour,
    held_groups,
    held_mark,
    held_runs,
    newest_mark,
    run_marks,
    runs_about,
    states_of_steps,
)
from workflows.engine.tables import RunNote, RunRow, StepRow, WorkflowBase

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
REFUSED, SILENT = HeldFor("provision", "hand_over_line", "line.refused"), HeldFor("provision", "apply_device", "")
HELD = {1: REFUSED, 2: SILENT, 3: REFUSED, 4: REFUSED}


@pytest.fixture
async def listed(database: Database) -> Database:
    """Runs 1 to 4 are held, 5 is completed, 6 is another tenant's; the odd ones are customer 7's."""
    async with database.engine.begin() as connection:
        await connection.run_sync(WorkflowBase.metadata.create_all)
    async with database.begin() as db:
        await db.execute(insert(RunRow), [run(number) for number in range(1, 7)])
    return database


def run(number: int) -> dict[str, Any]:
    why = HELD.get(number)
    return {
        "id": number,
        "tenant_id": "south" if number == 6 else "main",
        "journey": "provision",
        "version": 1,
        "business_key": f"order/{number}",
        "customer_id": 7 if number % 2 else 8,
        "input": "{}",
        "input_digest": "",
        "state": "completed" if number == 5 else "held",
        "current_step": why.step if why else None,
        "reason_code": (why.reason_code or None) if why else None,
        "reason": f"reason {number}",
        "created_at": BEGAN,
        "updated_at": BEGAN + timedelta(minutes=number),
    }


async def test_what_is_held_is_grouped_by_its_reason_the_largest_group_first(listed: Database) -> None:
    async with listed.read() as db:
        groups = await held_groups(db, tenant_id="main")
        own = await held_groups(db, tenant_id="main", among=Among(select(literal(8)), "", "x"))
    assert [(group.held_for, group.count, group.newest_id, group.reason) for group in groups] == [
        (REFUSED, 3, 4, "reason 4"),
        (SILENT, 1, 2, "reason 2"),
    ]
    assert groups[0].oldest_since == BEGAN + timedelta(minutes=1)
    assert [(group.held_for, group.count) for group in own] == [(SILENT, 1), (REFUSED, 1)]


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [4, 3, 2, 1]),
        ({"held_for": REFUSED}, [4, 3, 1]),
        ({"held_for": SILENT}, [2]),
        ({"held_for": REFUSED, "customer_id": 7}, [3, 1]),
        ({"customer_ids": [8, 9]}, [4, 2]),
        ({"customer_ids": []}, []),
        ({"before_id": 3}, [2, 1]),
        ({"journey": "other"}, []),
        ({"limit": 1}, [4]),
        ({"among": Among(select(literal(8)), "", "x")}, [4, 2]),
    ],
)
async def test_the_newest_that_are_held_come_first(listed: Database, asked: dict[str, Any], found: list[int]) -> None:
    async with listed.read() as db:
        assert [run.id for run in await held_runs(db, tenant_id="main", **asked)] == found


async def test_a_mark_changes_with_what_it_stands_for_and_with_nothing_else(listed: Database) -> None:
    async def marks() -> tuple[str, str, str, str]:
        async with listed.read() as db:
            runs = await run_marks(db, tenant_id="main", run_ids=[1, 5, 6])
            assert set(runs) == {1, 5}
            return runs[1], runs[5], await held_mark(db, tenant_id="main"), await newest_mark(db, tenant_id="main")

    before = await marks()
    async with listed.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == 6).values(state="completed", updated_at=BEGAN))
    assert await marks() == before
    async with listed.begin() as db:
        db.add(RunNote(run_id=1, at=BEGAN, by="nora", step=None, text="called"))
    noted = await marks()
    assert (noted[0] != before[0], noted[1:]) == (True, before[1:])
    async with listed.begin() as db:
        moved = BEGAN + timedelta(hours=1)
        await db.execute(update(RunRow).where(RunRow.id == 5).values(state="held", updated_at=moved))
    after = await marks()
    assert after[0] == noted[0] and all(now != then for now, then in zip(after[1:], noted[1:], strict=True))


async def test_a_list_s_mark_changes_with_a_run_that_moves_by_a_clock_that_is_behind(listed: Database) -> None:
    async with listed.begin() as db:
        before = await newest_mark(db, tenant_id="main")
        await db.execute(update(RunRow).where(RunRow.id == 2).values(updated_at=BEGAN + timedelta(seconds=1)))
        assert await newest_mark(db, tenant_id="main") != before


async def test_runs_are_counted_by_the_hour_in_which_they_ended(listed: Database) -> None:
    ended = {1: 0, 2: 59, 3: 60, 4: 180, 5: 30, 6: 5}  # minutes after the beginning
    async with listed.begin() as db:
        for number, minutes in ended.items():
            at = BEGAN + timedelta(minutes=minutes)
            await db.execute(update(RunRow).where(RunRow.id == number).values(finished_at=at))
    async with listed.read() as db:
        hours = await ended_by_hour(db, tenant_id="main", begins=BEGAN, hours=3)
        own = await ended_by_hour(db, tenant_id="main", begins=BEGAN, hours=3, among=Among(select(literal(8)), "", "x"))
    assert [(hour.begins - BEGAN, hour.ended, hour.completed) for hour in hours] == [
        (timedelta(), 3, 1),
        (timedelta(hours=1), 1, 0),
        (timedelta(hours=2), 0, 0),
    ]
    assert [hour.ended for hour in own] == [1, 0, 0]


async def test_runs_are_found_by_what_they_wait_for_and_their_steps_stand_as_the_latest_round(listed: Database) -> None:
    rounds = [
        (1, "visit", 1, "completed", "visit:9"),
        (2, "visit", 1, "pending", "visit:9"),
        (3, "visit", 1, "pending", "visit:91"),
        (6, "visit", 1, "pending", "visit:9"),  # another tenant's
        (1, "bind", 1, "undone", None),
        (1, "bind", 2, "completed", None),
        (2, "bind", 1, "undone", None),
        (6, "bind", 1, "completed", None),
    ]
    names = ("run_id", "step", "round", "state", "waits_on")
    async with listed.begin() as db:
        for each in rounds:
            row = dict(zip(names, each, strict=True))
            db.add(StepRow(**row, effect="wait", key="/".join(map(str, each[:3])), started_at=BEGAN))
    async with listed.read() as db:
        about: dict[str, Any] = {"tenant_id": "main", "signal": "visit", "subjects": ["9", "10"]}
        assert await runs_about(db, **about, journeys=["provision"]) == {"9": 2}
        assert await runs_about(db, **about, journeys=["another"]) == {}
        states = await states_of_steps(db, tenant_id="main", run_ids=[1, 2, 3, 6], steps=["bind"])
    assert states == {1: {"bind": "completed"}, 2: {"bind": "undone"}}
