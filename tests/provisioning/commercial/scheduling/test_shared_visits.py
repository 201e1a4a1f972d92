"""A deployment and an installation of one order are one call at one door, whichever is booked first."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from provisioning.commercial import DayFull
from provisioning.commercial.helpdesk.ticketing import TicketingService
from provisioning.commercial.partners.partner_invariants import deployments_off_their_visit
from provisioning.commercial.tables import Mail
from provisioning.errors import InvalidRequest
from provisioning.field import Jobs, Task, Technicians, Visit, Visits, Whose
from provisioning.field.invariants import orders_visited_twice, visits_nobody_needs
from tests.provisioning.commercial.scheduling.test_deployments import TUESDAY, at, schedule, visit
from tests.support.partnership import NOW, OWN_CUSTOMER, TENANT, Partnership
from workflows.answers import ScheduledDeployment
from workflows.services import ScheduledInstallation

pytestmark = pytest.mark.both_databases

ORDER = 500


async def install(
    isp: Partnership, when: datetime, technician: int = 1, request_id: str = "ticket/1", **more: Any
) -> ScheduledInstallation:
    async with isp.begin() as db:
        return await TicketingService(db, tenant_id=TENANT, now=lambda: NOW).schedule_installation(
            customer_id=OWN_CUSTOMER,
            installation_address="1 High Street",
            technician_id=technician,
            scheduled_date=when,
            order_id=ORDER,
            request_id=request_id,
            **more,
        )


async def release(isp: Partnership, scheduled: ScheduledDeployment) -> None:
    async with isp.begin() as db:
        await isp.deployment(db, NOW, "UTC").release_deployment(
            deployment_id=scheduled["deployment_id"], reason="run undone"
        )


async def drop_line(isp: Partnership, visit_id: int) -> None:
    async with isp.begin() as db:
        service = TicketingService(db, tenant_id=TENANT, now=lambda: NOW)
        await service.release_visit(visit_id=visit_id, reason="run undone")


async def assert_one_call(isp: Partnership, visit_count: int = 1) -> None:
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit)) == visit_count
        assert await deployments_off_their_visit(db, tenant_id=TENANT) == []
        assert await orders_visited_twice(db, tenant_id=TENANT) == []
        assert await visits_nobody_needs(db, tenant_id=TENANT) == []


async def test_the_installation_of_an_order_takes_its_deployments_visit_and_each_may_go_alone(
    isp: Partnership,
) -> None:
    scheduled = await schedule(isp, ORDER, request_id="quote/1")
    joined = await install(isp, at(8), scheduled["technician_id"])
    assert (joined["visit_id"], joined["starts_at"]) == (scheduled["visit_id"], at(8))
    await assert_one_call(isp)

    await release(isp, scheduled)
    assert (await visit(isp, joined["visit_id"]))["state"] == "booked"
    await assert_one_call(isp)

    # The order comes back, to the same door at the same time.
    again = await schedule(isp, ORDER, request_id="quote/1/2")
    assert (again["visit_id"], again["deployment_id"] > scheduled["deployment_id"]) == (joined["visit_id"], True)
    await drop_line(isp, joined["visit_id"])
    assert (await visit(isp, joined["visit_id"]))["state"] == "booked"
    await release(isp, again)
    assert (await visit(isp, joined["visit_id"]))["state"] == "cancelled"
    await assert_one_call(isp)


async def test_a_deployment_joins_its_installations_visit_as_it_stands_unless_it_is_told_to_move_it(
    isp: Partnership,
) -> None:
    booked = await install(isp, at(14), 2)
    assert booked["is_announced"] is False
    joined = await schedule(isp, ORDER, at(9), request_id="quote/1")  # the wish that the quote was accepted with
    assert (joined["visit_id"], joined["starts_at"], joined["technician_id"]) == (booked["visit_id"], at(14), 2)
    await release(isp, joined)

    same_day = await schedule(isp, ORDER, TUESDAY, request_id="quote/1/2", moves_visit=True)
    assert same_day["starts_at"] == at(14)
    await release(isp, same_day)
    with pytest.raises(InvalidRequest, match="is over already"):
        await schedule(isp, ORDER, NOW, moves_visit=True)
    moved = await schedule(isp, ORDER, at(15), request_id="quote/1/3", moves_visit=True)
    assert (moved["visit_id"], moved["starts_at"], moved["ends_at"]) == (booked["visit_id"], at(15), at(17))
    assert (await visit(isp, booked["visit_id"]))["starts_at"] == at(15)
    await assert_one_call(isp)


async def test_a_date_that_is_moved_keeps_the_job_its_length_and_its_skills(isp: Partnership) -> None:
    async with isp.begin() as db:
        await Technicians(db, tenant_id=TENANT).register(technician_id=2, name="Uma", skills=["splicing"])
        job = await Jobs(db, tenant_id=TENANT).define(name="inst", duration_minutes=240, skills=["splicing"])
        booked = await Visits(db, tenant_id=TENANT, now=lambda: NOW).book(
            customer_id=OWN_CUSTOMER,
            technician_id=2,
            starts_at=at(14),
            duration_minutes=240,
            address="1 High Street",
            whose=Whose("dispatch", ORDER),
            task=Task(job),
        )
    wednesday = TUESDAY + timedelta(days=1)
    moved = await schedule(isp, ORDER, wednesday, request_id="quote/1", moves_visit=True)
    assert (moved["visit_id"], moved["technician_id"]) == (booked["visit_id"], 2)  # Tom comes first, and can't
    assert (moved["starts_at"], moved["ends_at"]) == (at(8, day=wednesday), at(12, day=wednesday))
    await release(isp, moved)


async def test_a_day_on_which_nobody_who_is_able_has_room_is_full_however_free_the_others_are(
    isp: Partnership,
) -> None:
    thursday = TUESDAY + timedelta(days=2)
    async with isp.begin() as db:
        await Technicians(db, tenant_id=TENANT).register(technician_id=2, name="Uma", skills=["splicing"])
        job = await Jobs(db, tenant_id=TENANT).define(name="inst", duration_minutes=240, skills=["splicing"])
        wish: dict[str, Any] = {"technician_id": 2, "address": "1 High Street"}
        their = Visits(db, tenant_id=TENANT, now=lambda: NOW)
        await their.book(
            customer_id=OWN_CUSTOMER,
            starts_at=at(14),
            duration_minutes=240,
            whose=Whose("dispatch", ORDER),
            task=Task(job),
            **wish,
        )
        await their.book(customer_id=43, starts_at=at(10, day=thursday), duration_minutes=360, **wish)
    with pytest.raises(DayFull, match="the next day with room is 2026-03-06"):
        await schedule(isp, ORDER, thursday, request_id="quote/1", moves_visit=True)


async def confirm(isp: Partnership, key: str) -> int:
    """The order's confirmation is written; its number."""
    async with isp.begin() as db:
        email_id: int | None = await db.scalar(
            insert(Mail)
            .values(
                tenant_id=TENANT,
                request_id=f"{key}/send_template_email",
                message_id=f"<{key}@isp.example>",
                template="order_confirmation",
                language="en",
                recipient="own@example.com",
                variables_digest="",
                subject="Your order",
                text="We come to you",
                html="",
                state="queued",
                queued_at=NOW,
            )
            .returning(Mail.id)
        )
    assert email_id is not None
    return email_id


async def sent(isp: Partnership, email_id: int) -> None:
    async with isp.begin() as db:
        await db.execute(update(Mail).where(Mail.id == email_id).values(state="sent", sent_at=NOW))


async def test_only_a_confirmation_that_was_sent_of_the_visit_as_it_is_spares_the_customer_another_mail(
    isp: Partnership,
) -> None:
    scheduled = await schedule(isp, ORDER, request_id="quote/1/accepted/schedule_deployment")
    email_id = await confirm(isp, "quote/1/accepted")
    await sent(isp, await confirm(isp, "quote/11/accepted"))
    assert (await install(isp, at(8), scheduled["technician_id"]))["is_announced"] is False
    await sent(isp, email_id)
    assert (await install(isp, at(8), scheduled["technician_id"]))["is_announced"] is True

    # The order comes back: the customer has read of the deployment that it had then, and of this one nothing.
    await release(isp, scheduled)
    again = "quote/1/accepted/schedule_deployment/2"
    await schedule(isp, ORDER, request_id=again, now=NOW + timedelta(hours=1))
    assert (await install(isp, at(8), scheduled["technician_id"]))["is_announced"] is False


async def test_an_order_says_whether_its_customer_has_read_of_this_very_visit_or_is_written_of_it(
    isp: Partnership,
) -> None:
    first = await schedule(isp, ORDER, at(9), request_id="quote/1/accepted/schedule_deployment")
    await sent(isp, await confirm(isp, "quote/1/accepted"))
    told = []
    for number, when, address in ((2, 9, "1 High Street"), (3, 10, "1 High Street"), (4, 10, "2 Back Yard")):
        await release(isp, first)
        request = f"quote/1/accepted/schedule_deployment/{number}"
        first = await schedule(isp, ORDER, at(when), request, installation_address=address)
        told.append((first["technician_id"], first["is_announced"]))
    assert told == [(1, True), (1, False), (1, False)]
    await install(isp, at(10), first["technician_id"])
    await release(isp, first)
    joined = await schedule(isp, ORDER, at(10), "quote/1/accepted/schedule_deployment/5")
    assert (joined["starts_at"], joined["is_announced"]) == (at(10), True)  # its run writes
    await assert_one_call(isp, visit_count=4)


@pytest.mark.parametrize("purpose", ["deployment", "installation"])
async def test_a_visit_that_is_about_to_be_joined_anew_stays_dispatchs_and_goes_with_the_last_of_the_work(
    isp: Partnership, purpose: str
) -> None:
    if purpose == "deployment":
        scheduled = await schedule(isp, ORDER, at(9), request_id="quote/1")
        async with isp.begin() as db:
            await isp.deployment(db).release_deployment(
                deployment_id=scheduled["deployment_id"], reason="moved", stays=True
            )
        visit_id = scheduled["visit_id"]
    else:
        visit_id = (await install(isp, at(9)))["visit_id"]
        async with isp.begin() as db:
            service = TicketingService(db, tenant_id=TENANT, now=lambda: NOW)
            await service.release_visit(visit_id=visit_id, reason="moved", stays=True)
    assert (await visit(isp, visit_id))["state"] == "booked"
    await assert_one_call(isp)
    if purpose == "deployment":
        anew = await schedule(isp, ORDER, at(9), request_id="quote/1/2")
        assert anew["visit_id"] == visit_id
        await release(isp, anew)
    else:
        assert (await install(isp, at(9), request_id="ticket/1/2", visit_id=visit_id))["visit_id"] == visit_id
        await drop_line(isp, visit_id)
    assert (await visit(isp, visit_id))["state"] == "cancelled"
    await assert_one_call(isp)


async def test_a_visit_that_was_scanned_before_the_order_could_join_it_anew_is_not_called_off(isp: Partnership) -> None:
    scheduled = await schedule(isp, ORDER, at(9), request_id="quote/1")
    async with isp.begin() as db:
        service = TicketingService(db, tenant_id=TENANT, now=lambda: NOW)
        await service.report_visit(visit_id=scheduled["visit_id"], outcome="scanned", serial="HWTC00000001")
        await isp.deployment(db).release_deployment(
            deployment_id=scheduled["deployment_id"], reason="moved", stays=True
        )
    assert (await visit(isp, scheduled["visit_id"]))["state"] == "scanned"
    anew = await schedule(isp, ORDER, at(9), request_id="quote/1/2")
    assert (anew["visit_id"], anew["is_made"]) == (scheduled["visit_id"], True)


async def test_a_ticket_that_moves_the_visit_is_no_news_of_the_orders_confirmation(isp: Partnership) -> None:
    scheduled = await schedule(isp, ORDER, request_id="quote/1/accepted/schedule_deployment")
    await sent(isp, await confirm(isp, "quote/1/accepted"))
    moved = await install(isp, at(13), 2)
    assert (moved["visit_id"], moved["technician_id"], moved["starts_at"]) == (scheduled["visit_id"], 2, at(13))
    assert moved["is_announced"] is False
    await assert_one_call(isp)


async def test_where_the_technician_has_been_for_the_installation_nobody_comes_for_the_order(isp: Partnership) -> None:
    booked = await install(isp, at(9))
    async with isp.begin() as db:
        service = TicketingService(db, tenant_id=TENANT, now=lambda: NOW)
        await service.report_visit(visit_id=booked["visit_id"], outcome="scanned", serial="HWTC00000001")
    scheduled = await schedule(isp, ORDER, request_id="quote/1")
    assert (scheduled["visit_id"], scheduled["is_made"]) == (booked["visit_id"], True)
    async with isp.begin() as db:
        await TicketingService(db, tenant_id=TENANT, now=lambda: NOW).complete_visit(visit_id=booked["visit_id"])
    assert (await schedule(isp, 501))["is_made"] is False
    await assert_one_call(isp, visit_count=2)


async def test_an_order_and_its_installation_at_once_are_one_visit(isp: Partnership) -> None:
    both = await asyncio.gather(schedule(isp, ORDER, request_id="quote/1"), install(isp, at(9), technician=2))
    assert both[0]["visit_id"] == both[1]["visit_id"]
    await assert_one_call(isp)
    assert (await visit(isp, both[0]["visit_id"]))["starts_at"] == at(9)  # the ticket's time, whoever was first


async def test_an_order_that_goes_while_its_installation_comes_leaves_one_visit_for_it(isp: Partnership) -> None:
    scheduled = await schedule(isp, ORDER, request_id="quote/1")
    _, joined = await asyncio.gather(release(isp, scheduled), install(isp, at(8), scheduled["technician_id"]))
    assert (await visit(isp, joined["visit_id"]))["state"] == "booked"
    taken_over = joined["visit_id"] == scheduled["visit_id"]
    assert taken_over or (await visit(isp, scheduled["visit_id"]))["state"] == "cancelled"
    await assert_one_call(isp, visit_count=1 if taken_over else 2)
