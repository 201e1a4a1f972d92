"""What dispatch has booked for an order stays what it is, whoever joins it; and it goes when the order goes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.field import (
    Jobs,
    Override,
    Place,
    Planning,
    SkillMissing,
    Task,
    TechnicianBusy,
    Visit,
    VisitRecord,
    Whose,
)
from provisioning.field.invariants import visits_nobody_needs
from tests.provisioning.field.conftest import NOW, TEN, TENANT, at, book, visits

pytestmark = pytest.mark.both_databases

ORDER = 900
LINE = Whose("installation", ORDER)
SUNDAY = TEN + timedelta(days=5)


async def by_dispatch(
    db: AsyncSession,
    override: Override | None = None,
    technician_id: int = 1,
    place: Place | None = None,
    **changes: Any,
) -> VisitRecord:
    """Four hours, half an hour kept free, and somebody who splices."""
    job = await Jobs(db, tenant_id=TENANT).define(
        name="inst", duration_minutes=240, buffer_minutes=30, window_minutes=60, skills=["splicing"]
    )
    wanted: dict[str, Any] = {"customer_id": 42, "starts_at": at(8), "whose": Whose("dispatch", ORDER)} | changes
    return await visits(db).book(
        technician_id=technician_id,
        duration_minutes=240,
        address="1 High Street",
        task=Task(job, place, override),
        **wanted,
    )


async def by_ticket(db: AsyncSession, technician_id: int = 1, **changes: Any) -> VisitRecord:
    wanted: dict[str, Any] = {"customer_id": 42, "starts_at": at(8), "location": "LOC-1", "planned_port": "olt1/0/3"}
    wanted |= {"address": "1 High Street", "request_id": "ticket/1"}
    return await visits(db).book(
        technician_id=technician_id,
        duration_minutes=120,
        whose=LINE,
        **wanted | changes,
    )


async def held(db: AsyncSession, visit_id: int) -> Visit:
    row = await db.scalar(select(Visit).where(Visit.id == visit_id).execution_options(populate_existing=True))
    assert row is not None
    return row


async def test_a_ticket_for_the_time_that_dispatch_has_booked_leaves_length_buffer_and_job(begin: Begin) -> None:
    async with begin() as db:
        booked = await by_dispatch(db)
        joined = await by_ticket(db)
        assert joined == {**booked, "location": "LOC-1", "planned_port": "olt1/0/3", "sequence": 1}
        assert (joined["ends_at"], joined["job"]) == (at(12), "inst")
        assert (await held(db, joined["visit_id"])).held_to == at(12, 30)
        assert await by_ticket(db) == joined  # the same request again
        with pytest.raises(TechnicianBusy):
            await book(db, customer_id=43, starts_at=at(10))
        with pytest.raises(TechnicianBusy):
            await book(db, customer_id=43, starts_at=at(12, 15))


async def test_a_ticket_for_another_time_moves_the_job_with_its_length_and_its_buffer(begin: Begin) -> None:
    async with begin() as db:
        booked = await by_dispatch(db)
        moved = await by_ticket(db, starts_at=at(13))
        assert (moved["visit_id"], moved["starts_at"], moved["ends_at"]) == (booked["visit_id"], at(13), at(17))
        assert (await held(db, moved["visit_id"])).held_to == at(17, 30)
        assert await by_ticket(db, starts_at=at(13)) == moved


async def test_a_ticket_gives_no_job_to_somebody_who_lacks_the_skill_for_it(begin: Begin) -> None:
    async with begin() as db:
        booked = await by_dispatch(db)
        with pytest.raises(SkillMissing, match="Uma lacks splicing, which inst needs"):
            await by_ticket(db, technician_id=2)
        assert await visits(db).visit(booked["visit_id"]) == booked


async def test_the_visit_after_one_that_came_to_nothing_is_that_job_and_at_the_same_address_that_place(
    begin: Begin,
) -> None:
    door = Place(48.1, 11.58)
    async with begin() as db:
        first = await by_dispatch(db, place=door)
        there = visits(db, now=lambda: first["starts_at"])
        await there.report(visit_id=first["visit_id"], outcome="no_access", note="gate locked")
        with pytest.raises(SkillMissing):
            await by_ticket(db, technician_id=2)
        again = await by_ticket(db, starts_at=at(13))
        assert (again["visit_id"] != first["visit_id"], again["job"], again["ends_at"]) == (True, "inst", at(17))
        assert (again["latitude"], again["longitude"]) == (door.latitude, door.longitude)
        assert (await held(db, again["visit_id"])).held_to == at(17, 30)
        assert await by_ticket(db, starts_at=at(13)) == again  # the same request again
        await visits(db).cancel(visit_id=again["visit_id"], reason="moved house")
        elsewhere = await by_ticket(db, starts_at=at(13), address="2 Back Yard", request_id="ticket/1/2")
        assert (elsewhere["job"], elsewhere["latitude"]) == ("inst", None)
        await visits(db).report(visit_id=elsewhere["visit_id"], outcome="not_feasible", note="no duct")
        other = await by_ticket(db, starts_at=at(13), customer_id=43, request_id="ticket/2")
        assert (other["job"], other["ends_at"]) == (None, at(15))


async def test_a_ticket_for_a_time_that_was_agreed_against_the_hours_leaves_the_reason(begin: Begin) -> None:
    async with begin() as db:
        await Planning(db, tenant_id=TENANT, now=lambda: NOW).plan(
            technician_id=1, week={"tue": ["08:00-17:00"]}, time_zone="UTC"
        )
        await by_dispatch(db, Override("agreed by telephone", "dispatch"), starts_at=SUNDAY)
        joined = await by_ticket(db, starts_at=SUNDAY)
        assert (joined["override_reason"], joined["planned_port"]) == ("agreed by telephone", "olt1/0/3")


async def test_what_dispatch_booked_for_an_order_goes_with_the_last_of_the_orders_work(begin: Begin) -> None:
    async with begin() as db:
        booked = await by_dispatch(db)
        await visits(db).join(visit_id=booked["visit_id"], whose=Whose("deployment", ORDER))
        await by_ticket(db)
        kept = await visits(db).leave(visit_id=booked["visit_id"], purpose="installation", reason="run undone")
        assert kept["state"] == "booked"
        gone = await visits(db).leave(visit_id=booked["visit_id"], purpose="deployment", reason="order withdrawn")
        assert (gone["state"], gone["outcome_note"]) == ("cancelled", "order withdrawn")
        await book(db, customer_id=43, starts_at=at(8))  # Tom is free
        assert await visits_nobody_needs(db, tenant_id=TENANT) == []


async def test_a_visit_that_no_order_has_joined_stays_dispatchs(begin: Begin) -> None:
    async with begin() as db:
        booked = await by_dispatch(db)
        kept = await visits(db).leave(visit_id=booked["visit_id"], purpose="deployment", reason="never joined")
        assert kept == booked
