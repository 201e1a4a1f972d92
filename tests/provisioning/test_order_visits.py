"""Who is told of an order's visit: those who wait for a time, those to whom another was promised, and nobody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial import LineWish
from provisioning.estate import import_estate
from provisioning.field import Visits
from provisioning.order_visits import OrderVisits
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


async def waiting_order(appliance: Appliance) -> tuple[int, int]:
    """An order whose run waits for a day: the order's number and the run's."""
    async with appliance.database.begin() as db:
        services, quotes = appliance.services(db), appliance.quotes(db)
        quote = await quotes.draft(
            customer_id=CUSTOMER, lines=[LineWish(1)], valid_until=appliance.clock() + timedelta(days=1)
        )
        await quotes.send(quote_id=quote["quote_id"])
        await services.crm_service.accept_quote(quote_id=quote["quote_id"], accepted_by="Ada")
        order = await services.sales_service.create_order_from_quote(
            quote_id=quote["quote_id"], tenant_id=appliance.tenant_id
        )
        accepted = {"accepted_by": "Ada", "accepted_at": appliance.clock(), "acceptance": 1, "priority": "normal"}
        data = {"quote_id": quote["quote_id"], "customer_id": CUSTOMER, **accepted}
        run_id, _ = await appliance.runs.start(db, "quote_accepted_to_order", data, by="desk")
        values = {"state": "pending", "waiting_for": "deployment_date", "waiting_on": None}
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(**values))
    return order["order_id"], run_id


async def install(appliance: Appliance, when: datetime, request_id: str, order_id: int = ORDER) -> int:
    async with appliance.database.begin() as db:
        booked = await appliance.services(db).ticketing_service.schedule_installation(
            customer_id=CUSTOMER,
            installation_address="here",
            technician_id=7,
            scheduled_date=when,
            order_id=order_id,
            request_id=request_id,
        )
    return booked["visit_id"]


def statements(appliance: Appliance) -> list[str]:
    """Every statement that reads from now on, as it is made."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_more: Any) -> None:
        seen.append(statement)

    for engine in (appliance.database.engine, appliance.database.reading):
        event.listen(engine.sync_engine, "before_cursor_execute", note)
    return seen


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
    visit_id = await install(appliance, when, key)
    await scheduled(appliance, when)  # the order joins it as it stands
    assert await appliance.order_visits.tell() == 0
    later = when + timedelta(hours=5)
    async with appliance.database.begin() as db:
        visits = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        await visits.move(visit_id=visit_id, technician_id=7, starts_at=later, duration_minutes=120)
    assert [await appliance.order_visits.tell() for _ in range(2)] == [1, 0]
    [(told_run, name, payload)] = await told(appliance)
    assert (told_run, name, datetime.fromisoformat(payload["scheduled_date"])) == (run_id, "appointment", later)


async def test_an_order_that_waits_for_a_day_is_told_of_the_visit_that_was_made_for_its_line(
    appliance: Appliance,
) -> None:
    order_id, run_id = await waiting_order(appliance)
    when = (appliance.clock() + timedelta(days=3)).replace(microsecond=0)
    for number, day in enumerate((when, when + timedelta(days=1))):  # of two, the newest is the one that it joins
        visit_id = await install(appliance, day, f"ticket/T-{number}/schedule_installation", order_id)
        async with appliance.database.begin() as db:
            visits = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
            await visits.report(visit_id=visit_id, outcome="scanned", serial=f"HWTC0000000{number}")
            await visits.report(visit_id=visit_id, outcome="completed")
    assert await appliance.order_visits.tell() == 1
    [(told_run, name, payload)] = await told(appliance)
    assert (told_run, name, payload["visit_id"]) == (run_id, "deployment_date", visit_id)
    async with appliance.database.begin() as db:
        joined = await appliance.services(db).deployment_service.schedule_deployment(
            order_id=order_id, customer_id=CUSTOMER, priority="normal", scheduled_date=when
        )
    assert (joined["visit_id"], joined["is_made"]) == (visit_id, True)
    assert await appliance.order_visits.tell() == 0


async def test_a_ticket_is_told_of_no_visit_that_is_over(appliance: Appliance) -> None:
    await waiting(appliance, "T-1")
    when = (appliance.clock() + timedelta(days=3)).replace(microsecond=0)
    await scheduled(appliance, when)
    late = OrderVisits(
        appliance.database.begin,
        read=appliance.database.read,
        runs=appliance.runs,
        tenant_id=appliance.tenant_id,
        now=lambda: when + timedelta(hours=2),
    )
    assert await late.tell() == 0
    assert await appliance.order_visits.tell() == 1


async def test_a_ticket_that_is_undone_leaves_its_word_of_the_visit_to_the_next(appliance: Appliance) -> None:
    first, second = await waiting(appliance, "T-1"), await waiting(appliance, "T-2")
    await scheduled(appliance, (appliance.clock() + timedelta(days=3)).replace(microsecond=0))
    assert await appliance.order_visits.tell() == 1
    async with appliance.database.begin() as db:
        undoing = {"direction": "undo", "state": "held", "waiting_for": None}
        await db.execute(update(RunRow).where(RunRow.id == first).values(**undoing))
    assert await appliance.order_visits.tell() == 1
    assert [run_id for run_id, *_ in await told(appliance)] == [first, second]


async def test_a_look_that_finds_nothing_new_reads_no_run_and_writes_nothing(appliance: Appliance) -> None:
    run_id = await waiting(appliance, "T-1")
    key, when = "ticket/T-1/schedule_installation", (appliance.clock() + timedelta(days=3)).replace(microsecond=0)
    seen = statements(appliance)
    assert await appliance.order_visits.tell() == 0
    assert [statement for statement in seen if "FROM run" in statement] == []

    # Nor is a run told that has ended, whatever it was promised.
    visit_id = await install(appliance, when, key)
    await scheduled(appliance, when)
    async with appliance.database.begin() as db:
        row = {"state": "completed", "effect": "transactional", "key": key, "started_at": appliance.clock()}
        db.add(StepRow(run_id=run_id, step="schedule_installation", round=1, **row))
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(state="partial", waiting_for=None))
        visits = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        later = when + timedelta(hours=5)
        await visits.move(visit_id=visit_id, technician_id=7, starts_at=later, duration_minutes=120)
    seen.clear()
    assert await appliance.order_visits.tell() == 0
    assert [statement for statement in seen if not statement.startswith(("SELECT", "SET", "PRAGMA"))] == []
    assert [statement for statement in seen if "FOR UPDATE" in statement or "run.input" in statement] == []
