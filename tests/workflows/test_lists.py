"""Lists of runs are read along an index, whatever is asked, and come in one order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, insert, literal, select, text

from provisioning.database import Database
from workflows import Among, list_runs
from workflows.engine.tables import RunRow, WorkflowBase

BEGAN = datetime(2026, 3, 2, tzinfo=UTC)
NEVER = BEGAN - timedelta(days=1)
PARTNER = Among(select(literal(7)), "provision", "partner/21/")


@pytest.fixture
async def listed(database: Database) -> Database:
    """Runs 1 to 8: the odd ones of a partner's customer, run 8 the partner's by its key; 5 began together with 6."""
    async with database.engine.begin() as connection:
        await connection.run_sync(WorkflowBase.metadata.create_all)
    async with database.begin() as db:
        await db.execute(insert(RunRow), [run(number) for number in range(1, 9)])
    return database


def run(number: int) -> dict[str, Any]:
    moment = BEGAN + timedelta(minutes=6 if number == 5 else number)
    return {
        "id": number,
        "tenant_id": "main",
        "journey": "provision" if number == 8 else "hire",
        "version": 1,
        "business_key": "partner/21/order/A" if number == 8 else f"partner/21/{number}",
        "customer_id": 7 if number % 2 else 8,
        "input": "{}",
        "input_digest": "",
        "state": "held" if number < 3 else "completed",
        "created_at": moment,
        "updated_at": moment,
    }


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({}, [8, 7]),
        ({"journey": "hire"}, [7, 6]),
        ({"created": (None, BEGAN + timedelta(minutes=7))}, [6, 5]),
        ({"created": (BEGAN + timedelta(minutes=6), None), "before_id": 7}, [6, 5]),
        ({"created": (None, BEGAN + timedelta(days=1)), "before_id": 6}, [5, 4]),
        ({"among": PARTNER}, [8, 7]),
        ({"among": PARTNER, "before_id": 7}, [5, 3]),
        ({"among": PARTNER, "states": ["held"]}, [1]),
    ],
)
async def test_the_newest_come_first(listed: Database, asked: dict[str, Any], found: list[int]) -> None:
    async with listed.read() as db:
        assert [each.id for each in await list_runs(db, tenant_id="main", limit=2, **asked)] == found


@pytest.mark.parametrize(
    ("asked", "indices"),
    [
        ({}, ("ix_run_newest", "run_pkey")),
        ({"journey": "none"}, ("ix_run_journey", "uq_run_business_key")),
        ({"created": (None, NEVER)}, ("ix_run_created",)),
        ({"created": (BEGAN + timedelta(days=9), None)}, ("ix_run_created",)),
        ({"among": PARTNER}, ("ix_run_customer",)),
    ],
    ids=["all", "journey", "before", "since", "partner"],
)
async def test_each_filter_is_read_along_its_index(
    listed: Database, asked: dict[str, Any], indices: tuple[str, ...]
) -> None:
    sent: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_more: Any) -> None:
        sent.append((statement, parameters))

    async with listed.begin() as db:
        others = ({**run(number), "journey": "hire", "customer_id": number} for number in range(9, 3000))
        await db.execute(insert(RunRow), list(others))
        if listed.is_postgresql:
            await db.execute(text("ANALYZE run"))
    async with listed.read() as db:
        event.listen(listed.reading.sync_engine, "before_cursor_execute", note)
        await list_runs(db, tenant_id="main", limit=2, **asked)
        event.remove(listed.reading.sync_engine, "before_cursor_execute", note)
        explain = "EXPLAIN" if listed.is_postgresql else "EXPLAIN QUERY PLAN"
        statement, parameters = sent[-1]
        rows = await (await db.connection()).exec_driver_sql(f"{explain} {statement}", parameters)
        plan = "\n".join(str(row) for row in rows)
    assert any(index in plan for index in indices), plan
    assert "Seq Scan on run" not in plan and "SCAN run" not in plan.replace("SCAN run USING", ""), plan
