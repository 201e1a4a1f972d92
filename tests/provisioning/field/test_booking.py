"""Booking: one technician, one place at a time, whatever happens at once."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
from sqlalchemy import func, select

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import ChangeRaced, InvalidRequest, RequestConflict
from provisioning.field import (
    Jobs,
    Place,
    Task,
    Technician,
    TechnicianBusy,
    TechnicianUnknown,
    Visit,
    VisitOver,
    Visits,
    VisitUnknown,
    Ways,
    Whose,
)
from tests.provisioning.field.conftest import NOW, TEN, TENANT, at, book, tomorrow, visits
from tests.support.postgres import until_it_waits_for_us


async def test_a_booked_visit_reads_as_it_was_wished(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db, planned_port="olt1/0/3")
    async with begin() as db:
        assert await visits(db).visit(booked["visit_id"]) == booked
    assert booked == {
        "visit_id": booked["visit_id"],
        "customer_id": 42,
        "order_id": None,
        "technician_id": 1,
        "technician_name": "Tom",
        "starts_at": at(10),
        "ends_at": at(12),
        "address": "1 High Street",
        "location": "LOC-1",
        "planned_port": "olt1/0/3",
        "state": "booked",
        "scanned_serial": None,
        "scanned_port": None,
        "outcome_note": None,
        "outcome_at": None,
        "job": None,
        "latitude": None,
        "longitude": None,
        "arrives_until": at(10),
        "sequence": 0,
        "override_reason": None,
    }


@pytest.mark.parametrize(
    ("starts_at", "minutes"),
    [(at(10), 120), (at(9), 61), (at(11, 59), 30), (at(10, 30), 15), (at(8), 600)],
)
async def test_an_overlapping_visit_is_refused_saying_with_whom_and_from_when_to_when(
    begin: Begin, starts_at: datetime, minutes: int
) -> None:
    async with begin() as db:
        first = await book(db)
        with pytest.raises(TechnicianBusy) as refused:
            await book(db, starts_at=starts_at, minutes=minutes, customer_id=43)
    busy = refused.value
    assert (busy.technician_name, busy.busy_from, busy.busy_to) == ("Tom", at(10), at(12))
    assert (busy.visit_id, busy.transient) == (first["visit_id"], False)
    assert busy.message == (
        f"Technician Tom is busy from 2026-03-03 10:00 to 2026-03-03 12:00 UTC with visit {first['visit_id']} "
        "of customer 42; choose another time or another technician."
    )
    async with begin() as db:
        assert await tomorrow(db) == [first]


async def test_visits_that_touch_end_to_end_and_other_technicians_are_no_conflict(begin: Begin) -> None:
    async with begin() as db:
        await book(db)
        await book(db, starts_at=at(9), minutes=60)
        await book(db, starts_at=at(12), minutes=60)
        await book(db, technician_id=2)
    async with begin() as db:
        assert [(v["technician_name"], v["starts_at"].hour) for v in await tomorrow(db)] == [
            ("Tom", 9),
            ("Tom", 10),
            ("Uma", 10),
            ("Tom", 12),
        ]
        assert len(await visits(db).visits(starts_at=at(9), ends_at=at(10), technician_id=1)) == 1
        assert await visits(db).visits(starts_at=at(13), ends_at=at(14)) == []
        assert len(await visits(db).visits()) == 4
        assert len(await visits(db).visits(starts_at=at(12))) == 1
        assert len(await visits(db).visits(ends_at=at(10))) == 1


async def test_a_time_in_another_zone_is_the_same_time(begin: Begin) -> None:
    in_the_east = TEN.astimezone(timezone(timedelta(hours=5, minutes=30)))
    async with begin() as db:
        booked = await book(db, starts_at=in_the_east, request_id="r")
        assert await book(db, request_id="r") == booked
        with pytest.raises(TechnicianBusy):
            await book(db, starts_at=in_the_east)
    assert booked["starts_at"] == TEN


@pytest.mark.scenario("D15")
async def test_of_many_bookings_at_once_exactly_one_wins(begin: Begin) -> None:
    async def attempt(number: int) -> bool:
        try:
            async with begin() as db:
                await book(db, starts_at=at(10, number % 3 * 20), customer_id=100 + number)
        except TechnicianBusy:
            return False
        return True

    won = await asyncio.gather(*(attempt(number) for number in range(12)))
    assert sum(won) == 1
    async with begin() as db:
        assert len(await tomorrow(db)) == 1


@pytest.mark.second_half
@pytest.mark.timeout(300)
async def test_of_a_thousand_bookings_at_once_each_slot_has_one_winner_and_everybody_else_is_told(begin: Begin) -> None:
    gate = asyncio.Semaphore(40)

    async def attempt(number: int) -> str:
        async with gate:
            try:
                async with begin() as db:
                    await book(db, starts_at=at(8 + 2 * (number % 4), number % 3 * 20), customer_id=100 + number)
            except TechnicianBusy:
                return "busy"
            return "booked"

    told = await asyncio.gather(*(attempt(number) for number in range(1000)))
    async with begin() as db:
        booked = sorted(await tomorrow(db), key=lambda visit: visit["starts_at"])
    assert all(earlier["ends_at"] <= later["starts_at"] for earlier, later in pairwise(booked))
    assert 3 <= len(booked) <= 4  # who begins late in one slot leaves no room in the next
    assert (told.count("booked"), told.count("busy")) == (len(booked), 1000 - len(booked))


async def test_the_same_request_is_one_visit_also_at_the_same_moment(begin: Begin) -> None:
    async def attempt() -> int:
        async with begin() as db:
            return (await book(db, request_id="order/1/visit"))["visit_id"]

    assert len(set(await asyncio.gather(*(attempt() for _ in range(6))))) == 1
    async with begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit)) == 1


async def test_the_same_request_with_other_input_is_a_conflict(begin: Begin) -> None:
    async with begin() as db:
        await book(db, request_id="order/1/visit")
        with pytest.raises(RequestConflict, match="already made visit"):
            await book(db, request_id="order/1/visit", starts_at=at(15))
        with pytest.raises(RequestConflict):
            await book(db, request_id="order/1/visit", technician_id=2)


async def test_a_request_that_comes_again_after_its_visit_still_gets_its_answer(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db, request_id="order/1/visit")
    async with begin() as db:
        again = await visits(db, now=lambda: at(18)).book(
            customer_id=42,
            technician_id=1,
            starts_at=TEN,
            duration_minutes=120,
            address="1 High Street",
            location="LOC-1",
            request_id="order/1/visit",
        )
    assert again == booked


async def test_a_cancelled_visit_frees_its_technician_but_not_its_request(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db, request_id="order/1/visit")
        await visits(db).cancel(visit_id=booked["visit_id"], reason="customer ill")
        with pytest.raises(VisitOver, match="is cancelled and can't be booked again by the same request"):
            await book(db, request_id="order/1/visit")
        second = await book(db, request_id="order/1/visit/round 2")
    assert second["visit_id"] != booked["visit_id"]


async def test_two_isps_technicians_with_one_number_are_two_people(begin: Begin) -> None:
    async with begin() as db:
        mine = await book(db)
        theirs = await visits(db, "south").book(
            customer_id=42, technician_id=1, starts_at=TEN, duration_minutes=60, address="elsewhere"
        )
        with pytest.raises(VisitUnknown):
            await visits(db).visit(theirs["visit_id"])
        assert await tomorrow(db) == [mine]


async def test_an_unknown_technician_is_refused(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(TechnicianUnknown, match="There is no technician 9"):
            await book(db, technician_id=9)


async def test_all_faults_of_a_booking_are_named_at_once(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await visits(db).book(
                customer_id=0,
                technician_id=-1,
                starts_at=TEN.replace(tzinfo=None),
                duration_minutes=3,
                address=" ",
                location="LOC\x00",
            )
        with pytest.raises(InvalidRequest, match="scheduled_date is over already"):
            await book(db, starts_at=NOW - timedelta(hours=3))
    assert [fault.field for fault in refused.value.faults] == [
        "customer_id",
        "technician_id",
        "scheduled_date",
        "duration_minutes",
        "installation_address",
        "service_location",
    ]


@pytest.mark.both_databases
@pytest.mark.parametrize("how", ["moved", "taken over"])
async def test_the_way_on_that_takes_longer_by_now_is_in_nobodys_way_at_the_visits_old_place(
    begin: Begin, how: str
) -> None:
    near, far = Place(48.10, 11.50), Place(48.10, 11.58)
    async with begin() as db:
        job = await Jobs(db, tenant_id=TENANT).define(name="splice", duration_minutes=50)
        wish = {"customer_id": 42, "technician_id": 1, "duration_minutes": 50, "address": "here"}
        of_order = {"whose": Whose("deployment", 7), "task": Task(job, near)}
        visit = await visits(db).book(starts_at=at(12), **wish, **of_order)  # type: ignore[arg-type]
        after = await visits(db).book(starts_at=at(13), task=Task(job, far), **wish)  # type: ignore[arg-type]
        slower = Visits(db, tenant_id=TENANT, now=lambda: NOW, ways=Ways(kmh=20))  # 18 minutes, no longer 9

        async def put(starts_at: datetime) -> datetime:
            if how == "moved":
                moved = await slower.move(visit_id=visit["visit_id"], technician_id=1, starts_at=starts_at)
            else:
                moved = await slower.book(starts_at=starts_at, whose=Whose("installation", 7), **wish)  # type: ignore[arg-type]
            assert moved["visit_id"] == visit["visit_id"]
            return moved["starts_at"]

        with pytest.raises(TechnicianBusy, match=f"visit {after['visit_id']} of"):
            await put(at(12, 1))
        held = select(Visit.held_from).where(Visit.id == after["visit_id"])
        assert await db.scalar(held) == at(12, 51)
        assert await put(at(10)) == at(10)
        assert await db.scalar(held) == at(12, 42)


@pytest.mark.parametrize("how", ["moved", "rescheduled", "taken over"])
@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_of_a_visit_that_somebody_else_gets_both_technicians_are_held_so_two_that_cross_do_not_deadlock(
    begin: Begin, how: str
) -> None:
    free = select(Technician.id).where(Technician.tenant_id == TENANT).with_for_update(skip_locked=True, key_share=True)
    wish = {"customer_id": 42, "technician_id": 2, "duration_minutes": 60, "address": "here"}
    async with begin() as db:
        visit = await visits(db).book(starts_at=TEN, **wish, whose=Whose("deployment", 7))  # type: ignore[arg-type]
    async with begin() as db:
        if how == "moved":
            await visits(db).move(visit_id=visit["visit_id"], technician_id=1, starts_at=TEN)
        elif how == "rescheduled":
            await visits(db).reschedule(visit_id=visit["visit_id"], technician_id=1, starts_at=TEN, reason="rain")
        else:
            theirs = {**wish, "technician_id": 1, "whose": Whose("installation", 7)}
            await visits(db).book(starts_at=TEN, **theirs)  # type: ignore[arg-type]
        assert (await visits(db).visit(visit["visit_id"]))["technician_id"] == 1
        async with begin() as other:
            assert list(await other.scalars(free)) == []


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_visit_that_somebody_else_got_before_its_technicians_were_held_is_not_moved(begin: Begin) -> None:
    async def back() -> None:
        async with begin() as db:
            await visits(db).move(visit_id=visit["visit_id"], technician_id=1, starts_at=at(14))

    async with begin() as db:
        visit = await book(db)
    async with begin() as db:
        await visits(db).move(visit_id=visit["visit_id"], technician_id=2, starts_at=TEN)
        moving = asyncio.create_task(back())
        await until_it_waits_for_us(db, moving)
    with pytest.raises(ChangeRaced):
        await moving
    async with begin() as db:
        kept = await visits(db).visit(visit["visit_id"])
    assert (kept["technician_id"], kept["starts_at"]) == (2, TEN)
