"""Hours, leave and skills refuse a visit unless it is said why; and visits refuse hours that would leave them out."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.errors import InvalidRequest
from provisioning.field import (
    Jobs,
    JobUnknown,
    LeaveUnknown,
    OutsideHours,
    Override,
    Place,
    Planning,
    RosterCollides,
    Search,
    SkillMissing,
    SkillsNeeded,
    Task,
    TechnicianBusy,
    Technicians,
    TechnicianUnknown,
    Visit,
)
from provisioning.field.fitting import Asked
from provisioning.field.invariants import visits_out_of_hours
from tests.provisioning.field.conftest import NOW, TEN, TENANT, at, book, visits

WEEK = {"tue": ["08:00-12:00", "13:00-17:00"]}
ILL = Override("the customer is without a line", "dispatch")
HERE, NEAR = Place(48.10, 11.50), Place(48.10, 11.58)


def planning(db: AsyncSession) -> Planning:
    return Planning(db, tenant_id=TENANT, now=lambda: NOW)


async def plan(db: AsyncSession, **more: object) -> None:
    await planning(db).plan(**{"technician_id": 1, "week": WEEK, "time_zone": "UTC", **more})  # type: ignore[arg-type]


async def test_a_visit_outside_the_hours_is_refused_unless_it_is_said_why(begin: Begin) -> None:
    async with begin() as db:
        await plan(db)
        with pytest.raises(OutsideHours, match=r"works 08:00-12:00 and 13:00-17:00 \(UTC\) on Tuesdays"):
            await book(db, starts_at=at(11))
        with pytest.raises(OutsideHours, match="doesn't work on Wednesdays"):
            await book(db, starts_at=at(10) + timedelta(days=1))
        booked = await visits(db).book(
            customer_id=42,
            technician_id=1,
            starts_at=at(11),
            duration_minutes=120,
            address="1 High Street",
            task=Task(override=ILL),
        )
        within = await book(db, starts_at=at(14))
    assert booked["override_reason"] == "the customer is without a line"
    assert within["override_reason"] is None


async def test_an_override_that_was_not_needed_is_not_kept(begin: Begin) -> None:
    async with begin() as db:
        await plan(db)
        booked = await visits(db).book(
            customer_id=42,
            technician_id=1,
            starts_at=at(8),
            duration_minutes=60,
            address="1 High Street",
            task=Task(override=ILL),
        )
    assert booked["override_reason"] is None


async def test_leave_refuses_visits_and_booked_visits_refuse_leave(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db)
        with pytest.raises(RosterCollides) as refused:
            async with db.begin_nested():
                await planning(db).take_leave(technician_id=1, starts_at=at(8), ends_at=at(11), reason="ill")
        assert refused.value.visit_ids == [booked["visit_id"]]
        away = await planning(db).take_leave(technician_id=1, starts_at=at(12), ends_at=at(18), reason="ill")
        assert await planning(db).take_leave(technician_id=1, starts_at=at(12), ends_at=at(18), reason="ill") == away
        with pytest.raises(OutsideHours, match=r"is away from 2026-03-03 12:00 to 2026-03-03 18:00 UTC \(ill\)"):
            await book(db, starts_at=at(13))
        await planning(db).withdraw_leave(away["leave_id"])
        await book(db, starts_at=at(13))
        assert await planning(db).leave() == []
        with pytest.raises(LeaveUnknown):
            await planning(db).withdraw_leave(99)


async def test_visits_that_hours_leave_out_stay_with_the_reason_on_record(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db, starts_at=at(11))
        with pytest.raises(RosterCollides):
            async with db.begin_nested():
                await plan(db)
        await plan(db, override=ILL)
    async with begin() as db:
        kept = await visits(db).visit(booked["visit_id"])
    assert (kept["override_reason"], kept["sequence"]) == ("the customer is without a line", 1)


async def test_a_job_brings_its_buffer_its_window_and_its_skills(begin: Begin) -> None:
    async with begin() as db:
        jobs = Jobs(db, tenant_id=TENANT)
        job = await jobs.define(
            name="splice", duration_minutes=60, buffer_minutes=30, window_minutes=90, skills=["splicing"]
        )
        assert await jobs.jobs() == [job]
        with pytest.raises(JobUnknown):
            await jobs.job("dig")
        wish = {"customer_id": 42, "duration_minutes": 60, "address": "1 High Street", "task": Task(job)}
        booked = await visits(db).book(technician_id=1, starts_at=at(10), **wish)  # type: ignore[arg-type]
        assert (booked["job"], booked["arrives_until"]) == ("splice", at(11, 30))
        with pytest.raises(SkillMissing, match="Uma lacks splicing, which splice needs"):
            await visits(db).book(technician_id=2, starts_at=at(10), **wish)  # type: ignore[arg-type]
        with pytest.raises(TechnicianBusy):
            await book(db, starts_at=at(11, 15))
        await book(db, starts_at=at(11, 30))


async def test_the_way_from_the_visit_before_and_to_the_next_one_is_kept_free(begin: Begin) -> None:
    wish = {"customer_id": 42, "technician_id": 1, "duration_minutes": 60, "address": "1 High Street"}
    async with begin() as db:
        await visits(db).book(starts_at=at(8), task=Task(place=HERE), **wish)  # type: ignore[arg-type]
        with pytest.raises(TechnicianBusy):
            await visits(db).book(starts_at=at(9, 5), task=Task(place=NEAR), **wish)  # type: ignore[arg-type]
        second = await visits(db).book(starts_at=at(9, 9), task=Task(place=NEAR), **wish)  # type: ignore[arg-type]
        third = await visits(db).book(starts_at=at(11, 30), task=Task(place=NEAR), **wish)  # type: ignore[arg-type]
        with pytest.raises(TechnicianBusy) as refused:  # from here the third one could not be reached in time
            await visits(db).book(starts_at=at(10, 25), task=Task(place=HERE), **wish)  # type: ignore[arg-type]
        assert refused.value.visit_id == third["visit_id"]
        row = await db.scalar(select(Visit).where(Visit.id == second["visit_id"]))
        assert row is not None and row.held_from == at(9)


async def test_every_fault_of_a_plan_is_named_and_an_unknown_technician_is_refused(begin: Begin) -> None:
    async with begin() as db:
        with pytest.raises(InvalidRequest) as refused:
            await planning(db).plan(technician_id=1, home_latitude=91, week={"mon": ["x"]}, holidays="ZZ")
        assert [fault.field for fault in refused.value.faults] == [
            "home_latitude",
            "home_longitude",
            "week.mon",
            "holidays",
            "time_zone",
        ]
        with pytest.raises(TechnicianUnknown):
            await planning(db).plan(technician_id=99)


async def test_a_moved_visit_grows_its_sequence_and_keeps_why(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db)
        moved = await visits(db).reschedule(
            visit_id=booked["visit_id"], technician_id=2, starts_at=TEN + timedelta(days=1), reason="rain"
        )
        assert (moved["technician_id"], moved["sequence"], moved["state"]) == (2, 1, "booked")
        ended = await visits(db).cancel(visit_id=booked["visit_id"], reason="sold")
        assert ended["outcome"] == "cancelled"
        assert (await visits(db).visit(booked["visit_id"]))["sequence"] == 2


@pytest.mark.both_databases
async def test_visits_that_are_over_refuse_no_plan_and_are_not_changed_by_one(begin: Begin) -> None:
    async with begin() as db:
        booked = await book(db)
        scanned = await book(db, starts_at=at(14))
        await visits(db).report(visit_id=scanned["visit_id"], outcome="scanned", serial="HWTC12345678")
        later = Planning(db, tenant_id=TENANT, now=lambda: TEN + timedelta(days=30))
        await later.plan(technician_id=1, week={"mon": ["08:00-12:00"]}, time_zone="UTC")
        kept = await visits(db).visit(scanned["visit_id"])
        assert (kept["override_reason"], kept["sequence"]) == (None, 1)
        assert await visits(db).visit(booked["visit_id"]) == booked
        over = await visits_out_of_hours(db, tenant_id=TENANT, now=TEN + timedelta(days=30))
        assert over == []
        told = await visits_out_of_hours(db, tenant_id=TENANT, now=TEN)
        assert [each.visit_id for each in told] == [booked["visit_id"], scanned["visit_id"]]


@pytest.mark.both_databases
async def test_an_exception_for_a_skill_or_a_day_hides_no_leave_that_is_taken_later(begin: Begin) -> None:
    async with begin() as db:
        await plan(db)
        job = await Jobs(db, tenant_id=TENANT).define(name="weld", duration_minutes=60, skills=["welding"])
        wish = {"customer_id": 42, "technician_id": 1, "duration_minutes": 60, "address": "1 High Street"}
        by_skill = await visits(db).book(starts_at=at(8), task=Task(job, None, ILL), **wish)  # type: ignore[arg-type]
        sunday = TEN + timedelta(days=5)
        on_sunday = await visits(db).book(starts_at=sunday, task=Task(override=ILL), **wish)  # type: ignore[arg-type]
        away = {"technician_id": 1, "starts_at": at(0), "ends_at": at(0) + timedelta(days=7), "reason": "ill"}
        with pytest.raises(RosterCollides) as refused:
            async with db.begin_nested():
                await planning(db).take_leave(**away)  # type: ignore[arg-type]
        assert refused.value.visit_ids == [by_skill["visit_id"], on_sunday["visit_id"]]
        await planning(db).take_leave(**away, override=Override("comes all the same", "dispatch"))  # type: ignore[arg-type]
        kept = await visits(db).visit(by_skill["visit_id"])
        assert kept["override_reason"] == "the customer is without a line; comes all the same"
        # Another week touches what was agreed for a Sunday no more than the week before did.
        await plan(db, week={"tue": ["08:00-11:00"]})
        assert (await visits(db).visit(on_sunday["visit_id"]))["sequence"] == 1


async def test_a_technician_without_a_week_has_their_public_holidays(begin: Begin) -> None:
    async with begin() as db:
        await planning(db).plan(technician_id=1, holidays="DE")
        with pytest.raises(OutsideHours, match="has a public holiday on 2026-05-01"):
            await book(db, starts_at=TEN.replace(month=5, day=1))
        await book(db, starts_at=TEN.replace(month=5, day=2, hour=22))


@pytest.mark.both_databases
async def test_the_alternatives_are_those_nearest_in_time_however_many_are_free(begin: Begin) -> None:
    async with begin() as db:
        people = Technicians(db, tenant_id=TENANT)
        for number in range(3, 8):
            await people.register(technician_id=number, name=f"T{number}")
        job = await Jobs(db, tenant_id=TENANT).define(name="repair", duration_minutes=60)
        search = Search(db, tenant_id=TENANT, now=lambda: NOW, zone=ZoneInfo("UTC"))
        near = await search.near(Asked.of(job, None, at(16)))
        assert [offer["starts_at"] for offer in near] == [at(16)] * 3


async def test_a_skill_that_booked_visits_need_goes_only_with_the_reason_on_record(begin: Begin) -> None:
    async with begin() as db:
        await planning(db).register(technician_id=1, name="Tom", skills=["splicing", "wifi"])
        job = await Jobs(db, tenant_id=TENANT).define(name="splice", duration_minutes=60, skills=["splicing"])
        wish = {"customer_id": 42, "technician_id": 1, "duration_minutes": 60, "address": "1 High Street"}
        needs = await visits(db).book(starts_at=at(10), task=Task(job), **wish)  # type: ignore[arg-type]
        other = await visits(db).book(starts_at=at(14), **wish)  # type: ignore[arg-type]
        await planning(db).register(technician_id=1, name="Tom", skills=["splicing"])  # nobody needs the other one
        with pytest.raises(SkillsNeeded, match="Tom would lack splicing, and has visits that need it") as refused:
            async with db.begin_nested():
                await planning(db).register(technician_id=1, name="Tom", skills=[])
        assert refused.value.visit_ids == [needs["visit_id"]]
    async with begin() as db:
        assert (await planning(db).technician(1))["skills"] == ["splicing"]
        lost = await planning(db).register(technician_id=1, name="Tom", skills=[], override=ILL)
        kept = await visits(db).visit(needs["visit_id"])
        assert lost["skills"] == []
        assert (kept["override_reason"], kept["sequence"]) == ("the customer is without a line", 1)
        assert (await visits(db).visit(other["visit_id"]))["override_reason"] is None
