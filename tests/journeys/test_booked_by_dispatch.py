"""Dispatch books the visit that a run waits for or is held for: the run goes on with it, and nobody is booked twice."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select

from provisioning.commercial.tables import Mail
from provisioning.field import Jobs, Visit, VisitRecord
from tests.support.estate import Household, tomorrow
from tests.support.lab import Installation, JourneyLab
from tests.support.shop import FIBRE_POSTPAID, open_shop

pytestmark = pytest.mark.asyncio(loop_scope="session")
MINUTES = 90


async def book(lab: JourneyLab, run: Installation, house: Household, at: datetime) -> VisitRecord:
    appliance = lab.appliance
    async with appliance.database.begin() as db:
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="dispatched", duration_minutes=MINUTES)
        return await appliance.run_slots(db).book(
            run_id=run.id,
            technician_id=house.technician_id,
            starts_at=at,
            job="dispatched",
            address="Lindenweg 4",
            by="dora",
        )


async def visits(lab: JourneyLab, house: Household) -> list[tuple[int, str, str | None]]:
    async with lab.appliance.database.read() as db:
        query = select(Visit.id, Visit.state, Visit.job).where(Visit.customer_id == house.customer_id)
        return [(number, state, job) for number, state, job in await db.execute(query.order_by(Visit.id))]


async def mails_of_visits(lab: JourneyLab, house: Household) -> int:
    """How often the customer was written of a visit."""
    async with lab.appliance.database.read() as db:
        to_them = select(Mail.id).where(Mail.template == "installation_scheduled", Mail.recipient == house.email)
        return len(list(await db.scalars(to_them)))


async def booked_by(run: Installation, step: str) -> dict[str, Any]:
    found: dict[str, Any] = await run.result(step)
    return found


async def test_a_run_held_for_a_busy_technician_goes_on_with_what_dispatch_books(lab: JourneyLab) -> None:
    first, second = lab.household(), lab.household()
    at = tomorrow(lab.clock.now()) + timedelta(days=60)
    earlier = await lab.order(first, appointment=first.appointment(at))
    await earlier.until_waiting_for("visit")
    run = await lab.order(second, appointment=first.appointment(at))
    assert (await run.until_held()).summary.reason_code == "field.technician_busy"

    visit = await book(lab, run, second, at)

    await run.until_waiting_for("visit")
    assert (await booked_by(run, "schedule_installation"))["visit_id"] == visit["visit_id"]
    assert await visits(lab, second) == [(visit["visit_id"], "booked", "dispatched")]
    await run.plug_and_scan(second)
    assert (await run.until_ended()).summary.state == "completed"
    assert await visits(lab, second) == [(visit["visit_id"], "completed", "dispatched")]
    assert await mails_of_visits(lab, second) == 1
    await earlier.cancel("the other one was first")
    await earlier.until_ended()
    assert await lab.broken_invariants() == []


async def test_a_line_of_no_order_takes_over_what_dispatch_books_for_it_and_gives_it_back(lab: JourneyLab) -> None:
    for ending in ("completed", "cancelled"):
        house, at = lab.household(), tomorrow(lab.clock.now()) + timedelta(days=61)
        run = await lab.order(house, appointment=None, order_id=None)
        await run.until_waiting_for("appointment")

        visit = await book(lab, run, house, at)

        await run.until_waiting_for("visit")
        booked = await booked_by(run, "schedule_installation")
        assert (booked["visit_id"], visit["ends_at"] - visit["starts_at"]) == (
            visit["visit_id"],
            timedelta(minutes=MINUTES),
        )
        if ending == "completed":
            await run.plug_and_scan(house)
        else:
            await run.cancel("they have sold the house")
        assert (await run.until_ended()).summary.state == ending
        assert await visits(lab, house) == [(visit["visit_id"], ending, "dispatched")]
        assert await mails_of_visits(lab, house) == 1
    assert await lab.broken_invariants() == []


async def test_an_order_held_since_no_day_was_agreed_goes_on_with_what_dispatch_books(
    lab: JourneyLab, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async with open_shop(lab, tmp_path_factory.mktemp("dispatched")) as shop:
        house = lab.household()
        order = await shop.order(house, FIBRE_POSTPAID)
        await order.until_waiting_for("deployment_date")
        lab.clock.skip(days=8)
        held = await order.until_held()
        assert held.summary.current_step == "deployment_date"

        visit = await book(lab, order, house, tomorrow(lab.clock.now()) + timedelta(days=62))

        await order.until_waiting_for("visit")
        assert (await booked_by(order, "schedule_deployment"))["visit_id"] == visit["visit_id"]
        assert await visits(lab, house) == [(visit["visit_id"], "booked", "dispatched")]
        await order.cancel("it was a mistake")
        await order.until_ended()
        assert await visits(lab, house) == [(visit["visit_id"], "cancelled", "dispatched")]
