"""Who is told of an order's visit: those who wait for a time, those to whom another was promised, and nobody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.estate import import_estate
from provisioning.field import Visits
from provisioning.tickets import read_ticket
from tests.support.appliances import ESTATE, TICKET, Original
from workflows.answers import ScheduledDeployment
from workflows.engine.tables import RunRow, SignalRow, StepRow

ORDER, CUSTOMER = 5007, 1001


@pytest.fixture
async def appliance(migrated_sqlite: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    async with open_appliance(migrated_sqlite.copy(tmp_path)) as opened:
        await import_estate(opened, ESTATE)
        yield opened


async def waiting(appliance: Appliance, ticket_id: str, **changes: Any) -> int:
    """The installation of a ticket without an appointment, as it waits for one."""
    data = read_ticket(TICKET) | {"ticket_id": ticket_id, "appointment": None, **changes}
    async with appliance.database.begin() as db:
        run_id, _ = await appliance.runs.start(db, "isp_ticket_to_deployment", data, by="desk")
        values = {"state": "pending", "waiting_for": "appointment", "waiting_on": ticket_id}
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(**values))
    return run_id


async def scheduled(appliance: Appliance, when: datetime) -> ScheduledDeployment:
    async with appliance.database.begin() as db:
        return await appliance.services(db).deployment_service.schedule_deployment(
            order_id=ORDER, customer_id=CUSTOMER, priority="normal", scheduled_date=when, installation_address="here"
        )


async def told(appliance: Appliance) -> list[tuple[int, str, dict[str, Any]]]:
    """What runs were told, the oldest first."""
    async with appliance.database.read() as db:
        found = await db.execute(select(SignalRow.run_id, SignalRow.name, SignalRow.payload).order_by(SignalRow.id))
        return [(run_id, name, json.loads(payload)) for run_id, name, payload in found]


async def test_the_ticket_of_an_order_that_waits_longest_is_told_of_its_visit_once(appliance: Appliance) -> None:
    first, _, _, _ = [
        await waiting(appliance, "T-1"),
        await waiting(appliance, "T-2"),
        await waiting(appliance, "T-3", order_id=None),
        await waiting(appliance, "T-4", customer_id=1002),
    ]
    assert await appliance.order_visits.tell() == 0
    when = (appliance.clock() + timedelta(days=3)).replace(microsecond=0)
    booked = await scheduled(appliance, when)
    assert [await appliance.order_visits.tell() for _ in range(2)] == [1, 0]
    [(run_id, name, payload)] = await told(appliance)
    assert (run_id, name) == (first, "appointment")
    assert payload | {"scheduled_date": datetime.fromisoformat(payload["scheduled_date"])} == {
        "technician_id": booked["technician_id"],
        "scheduled_date": when,
        "visit_id": booked["visit_id"],
    }


async def test_a_line_that_was_promised_another_time_is_told_of_the_new_one(appliance: Appliance) -> None:
    run_id = await waiting(appliance, "T-1")
    when = (appliance.clock() + timedelta(days=3)).replace(microsecond=0)
    async with appliance.database.begin() as db:
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(waiting_for="visit"))
        key, step = "ticket/T-1/schedule_installation", "schedule_installation"
        row = {"state": "completed", "effect": "transactional", "key": key, "started_at": appliance.clock()}
        db.add(StepRow(run_id=run_id, step=step, round=1, **row))
        booked = await appliance.services(db).ticketing_service.schedule_installation(
            customer_id=CUSTOMER,
            installation_address="here",
            technician_id=7,
            scheduled_date=when,
            order_id=ORDER,
            request_id=key,
        )
    await scheduled(appliance, when)  # the order joins it as it stands
    assert await appliance.order_visits.tell() == 0
    later = when + timedelta(hours=5)
    async with appliance.database.begin() as db:
        visits = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        await visits.move(visit_id=booked["visit_id"], technician_id=7, starts_at=later, duration_minutes=120)
    assert [await appliance.order_visits.tell() for _ in range(2)] == [1, 0]
    [(told_run, name, payload)] = await told(appliance)
    assert (told_run, name, datetime.fromisoformat(payload["scheduled_date"])) == (run_id, "appointment", later)
