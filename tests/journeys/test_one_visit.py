"""An order and the installation that belongs to it: one technician, one call at the door, one mail about it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta

import pytest
import pytest_asyncio
from sqlalchemy import select

from provisioning.field import Jobs, Visit, Visits
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab
from tests.support.shop import FIBRE_POSTPAID, FIBRE_PREPAID, Shop, open_shop
from workflows import StepView

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(lab: JourneyLab, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with open_shop(lab, tmp_path_factory.mktemp("shop")) as opened:
        yield opened


async def visits(lab: JourneyLab, house: Household) -> list[tuple[str, int, datetime]]:
    """The customer's visits: the state, the technician and the start of each."""
    async with lab.appliance.database.begin() as db:
        query = select(Visit.state, Visit.technician_id, Visit.starts_at).where(Visit.customer_id == house.customer_id)
        return [(state, who, starts_at) for state, who, starts_at in await db.execute(query.order_by(Visit.id))]


async def ticket(
    lab: JourneyLab, house: Household, order: Installation, appointment: datetime | None, **changes: str
) -> Installation:
    """The order's installation, with an appointment or without one."""
    order_id = (await order.result("create_order_from_quote"))["order_id"]
    data = house.ticket(lab.clock.now()) | {"order_id": order_id} | changes
    data["appointment"] = house.appointment(appointment) if appointment else None
    return await lab.submit(data)


async def report(lab: JourneyLab, order: Installation, outcome: str, **said: object) -> list[int]:
    visit_id = (await order.result("schedule_deployment"))["visit_id"]
    if outcome == "no_access":
        await lab.until_it_begins(visit_id)
    async with lab.appliance.database.begin() as db:
        desk = lab.appliance.visit_desk(db)
        _, told = await desk.report(visit_id=visit_id, outcome=outcome, by="technician", **said)  # type: ignore[arg-type]
    return told


async def steps_of(run: Installation) -> dict[str, StepView]:
    return {one.name: one for one in (await run.view()).steps}


async def until_it_knows(lab: JourneyLab, order: Installation, starts_at: datetime) -> None:
    """Until the order waits for the visit at that time."""
    said = starts_at.isoformat().replace("+00:00", "Z")
    while True:
        step = (await steps_of(order))["schedule_deployment"]
        if step.state == "completed" and step.result["starts_at"] == said:
            break
        await lab.happening()
    await order.until_waiting_for("visit")


async def until_both_know(lab: JourneyLab, order: Installation, line: Installation, starts_at: datetime) -> None:
    """Until both runs wait for the visit at that time; the tick of the calendar tells them."""
    said = starts_at.isoformat().replace("+00:00", "Z")
    while True:
        steps = [
            (await steps_of(run))[name]
            for run, name in ((order, "schedule_deployment"), (line, "schedule_installation"))
        ]
        if all(step.state == "completed" and step.result["starts_at"] == said for step in steps):
            break
        await lab.happening()
    await order.until_waiting_for("visit")
    await line.until_waiting_for("visit")


async def test_a_ticket_of_an_order_takes_its_visit_over_and_one_scan_carries_both_on(
    lab: JourneyLab, shop: Shop
) -> None:
    house, day = lab.household(), shop.visit_day()
    order = await shop.order(house, FIBRE_POSTPAID, scheduled_date=day.isoformat())
    await order.until_waiting_for("visit")
    [booked] = await visits(lab, house)
    line = await ticket(lab, house, order, None)
    await line.until_waiting_for("visit")
    assert await visits(lab, house) == [booked]
    assert (await line.states())["mail_appointment"] == "skipped"
    [mail] = lab.mails_to(house)
    assert "We come to you on" in mail.body("plain")

    await lab.plug(house.serial, house)
    assert await report(lab, order, "scanned", serial=house.serial, port=house.port) == [order.id, line.id]
    assert (await order.until_ended()).summary.state == "completed"
    assert (await line.until_ended()).summary.state == "completed"
    assert [state for state, *_ in await visits(lab, house)] == ["completed"]
    assert await lab.broken_invariants() == []


async def test_a_ticket_that_asks_for_another_time_moves_the_visit_and_the_order_hears_of_it(
    lab: JourneyLab, shop: Shop
) -> None:
    house, day = lab.household(), shop.visit_day()
    order = await shop.order(house, FIBRE_POSTPAID, scheduled_date=day.isoformat(), team="dispatch", channel="email")
    await order.until_waiting_for("visit")
    agreed = datetime.combine(day + timedelta(days=1), time(13), UTC)
    line = await ticket(lab, house, order, agreed)
    await until_both_know(lab, order, line, agreed)
    technician = house.appointment(agreed)["technician_id"]
    assert await visits(lab, house) == [("booked", technician, agreed)]
    assert len(lab.mails_to(house)) == 2  # the order's confirmation, and the new time

    # Dispatch gives the order another day: the installation hears of it, and the customer reads of it once.
    moved = datetime.combine(day + timedelta(days=2), time(10), UTC)
    await shop.tell(order, "deployment_date", scheduled_date=moved.isoformat())
    await until_both_know(lab, order, line, moved)
    assert [(state, starts_at) for state, _, starts_at in await visits(lab, house)] == [("booked", moved)]
    assert len(lab.mails_to(house)) == 3

    await line.cancel("the customer wants no line")
    assert (await line.until_ended()).summary.state == "cancelled"
    assert [state for state, *_ in await visits(lab, house)] == ["booked"]
    assert await lab.broken_invariants() == []
    await order.cancel("nor anything else")
    assert (await order.until_ended()).summary.state == "cancelled"
    assert [state for state, *_ in await visits(lab, house)] == ["cancelled"]
    assert await lab.broken_invariants() == []


async def test_nobody_at_home_for_both_and_the_time_that_one_is_told_is_the_others(lab: JourneyLab, shop: Shop) -> None:
    house, day = lab.household(), shop.visit_day()
    order = await shop.order(house, FIBRE_POSTPAID, scheduled_date=day.isoformat())
    await order.until_waiting_for("visit")
    keeps_until = datetime.combine(day + timedelta(days=7), time(), UTC)  # addresses, behind a visit in vain
    line = await ticket(lab, house, order, None, hold_until=keeps_until.isoformat())
    await line.until_waiting_for("visit")
    assert await report(lab, order, "no_access", note="gate locked") == [order.id, line.id]
    await order.until_waiting_for("deployment_date")
    await line.until_waiting_for("appointment")

    again = datetime.combine(day + timedelta(days=1), time(9), UTC)
    await line.appoint(house, again)
    await until_both_know(lab, order, line, again)
    assert [(state, starts_at) for state, _, starts_at in await visits(lab, house)][1:] == [("booked", again)]

    await order.cancel("the customer cancels the order alone")
    assert (await order.until_ended()).summary.state == "cancelled"
    assert [state for state, *_ in await visits(lab, house)] == ["no_access", "booked"]
    await line.cancel("and the line")
    assert (await line.until_ended()).summary.state == "cancelled"
    assert [state for state, *_ in await visits(lab, house)] == ["no_access", "cancelled"]
    assert await lab.broken_invariants() == []


async def test_an_order_whose_technician_was_there_before_its_money_sends_nobody_and_lets_the_line_finish(
    lab: JourneyLab, shop: Shop
) -> None:
    house = lab.household()
    order = await shop.order(house, FIBRE_PREPAID, payment_method="bank")
    await order.until_waiting_for("payment_settled")
    line = await ticket(lab, house, order, datetime.combine(shop.visit_day(), time(9), UTC))
    await line.until_waiting_for("visit")
    await line.report("scanned", serial=house.serial, port=house.port)

    # The ONT stays dark for a while, and the money arrives: nobody has to name a day.
    assert await shop.settle(order, "process_payment", "statement 8") == [order.id]
    assert (await order.until_ended()).summary.state == "completed"
    assert [state for state, *_ in await visits(lab, house)] == ["scanned"]
    assert await lab.broken_invariants() == []
    await line.cancel("the customer wants no line")
    assert (await line.until_ended()).summary.state == "cancelled"
    assert await lab.broken_invariants() == []


async def test_the_address_that_dispatch_has_named_holds_until_it_names_another(lab: JourneyLab, shop: Shop) -> None:
    house, day = lab.household(), shop.visit_day()
    order = await shop.order(house, FIBRE_POSTPAID)
    await order.until_waiting_for("deployment_date")
    await shop.tell(order, "deployment_date", scheduled_date=day.isoformat(), installation_address="2 Back Yard")
    await order.until_waiting_for("visit")
    assert await report(lab, order, "no_access", note="gate locked") == [order.id]
    await order.until_waiting_for("deployment_date")
    await shop.tell(order, "deployment_date", scheduled_date=(day + timedelta(days=1)).isoformat())
    await order.until_waiting_for("visit")
    async with lab.appliance.database.begin() as db:
        query = select(Visit.address).where(Visit.customer_id == house.customer_id)
        assert list(await db.scalars(query)) == ["2 Back Yard", "2 Back Yard"]
    await order.cancel("the customer cancels")
    await order.until_ended()


async def test_the_customer_of_a_confirmed_order_reads_of_every_other_visit_once_whoever_books_or_moves_it(
    lab: JourneyLab, shop: Shop
) -> None:
    house, day = lab.household(), shop.visit_day()
    order = await shop.order(house, FIBRE_POSTPAID, scheduled_date=day.isoformat())
    await order.until_waiting_for("visit")
    assert await report(lab, order, "cancelled", note="the van broke down") == [order.id]
    await order.until_waiting_for("deployment_date")
    order_id = (await order.result("create_order_from_quote"))["order_id"]

    at_nine = datetime.combine(day + timedelta(days=1), time(9), UTC)
    technician_id = house.appointment(at_nine)["technician_id"]
    async with lab.appliance.database.begin() as db:
        await Jobs(db, tenant_id=lab.appliance.tenant_id).define(name="by hand", duration_minutes=60)
        booked = await lab.appliance.dispatch_desk(db).book(
            customer_id=house.customer_id,
            technician_id=technician_id,
            starts_at=at_nine,
            address="2 Back Yard",
            job="by hand",
            order_id=order_id,
            by="nora",
        )
    await until_it_knows(lab, order, at_nine)
    assert ["2 Back Yard" in mail.body("plain") for mail in lab.mails_to(house)] == [False, True]

    at_two = at_nine.replace(hour=14)
    async with lab.appliance.database.begin() as db:
        await lab.appliance.dispatch_desk(db).reschedule(
            visit_id=booked["visit_id"], technician_id=technician_id, starts_at=at_two, reason="later", by="nora"
        )
    await until_it_knows(lab, order, at_two)
    assert len(lab.mails_to(house)) == 3
    assert "2 Back Yard" in lab.mails_to(house)[2].body("plain")
    async with lab.appliance.database.read() as db:
        kept = await Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.appliance.clock).visit(booked["visit_id"])
    assert (kept["state"], kept["starts_at"], kept["job"]) == ("booked", at_two, "by hand")
    assert kept["technician_id"] == technician_id

    assert await lab.broken_invariants() == []
    await order.cancel("the customer cancels")
    assert (await order.until_ended()).summary.state == "cancelled"
    assert [state for state, *_ in await visits(lab, house)] == ["cancelled", "cancelled"]
    assert await lab.broken_invariants() == []
