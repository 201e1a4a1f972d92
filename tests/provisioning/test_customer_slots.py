"""Customers move their own visits: to what is free, in time, not too often; and nobody is sent whom it doesn't suit."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text, update

from provisioning.bootstrap import Appliance, open_appliance
from provisioning.commercial.tables import Mail
from provisioning.customer_slots import FURTHEST
from provisioning.estate import import_estate
from provisioning.field import (
    JobRecord,
    Jobs,
    NobodyFree,
    NoTimeChosen,
    Planning,
    TechnicianBusy,
    Technicians,
    VisitChanged,
    VisitNotMovable,
    VisitRecord,
    VisitReport,
    Visits,
)
from tests.provisioning.test_order_visits import CUSTOMER, ORDER, install, scheduled, waiting
from tests.provisioning.test_visits import needs
from tests.support.appliances import ESTATE, Original
from workflows.answers import LinkTo
from workflows.engine.tables import RunRow, StepRow

NOTICE = timedelta(hours=24)


MORNING = datetime(2026, 3, 4, 8, 0, tzinfo=UTC)
"""Of a Wednesday, so that neither an evening nor a day without work lies between it and the times it is about."""


@pytest.fixture
async def appliance(migrated: Original, tmp_path: Path) -> AsyncIterator[Appliance]:
    settings = migrated.copy(tmp_path, public_url="https://isp.example", isp_name="Isp", customer_moves=2)
    async with open_appliance(settings, clock=lambda: MORNING) as opened:
        await import_estate(opened, ESTATE)
        yield opened


def nine(appliance: Appliance, days: int) -> datetime:
    local = appliance.clock().astimezone(appliance.zone) + timedelta(days=days)
    return local.replace(hour=9, minute=0, second=0, microsecond=0)


async def visit_of(appliance: Appliance, visit_id: int) -> VisitRecord:
    async with appliance.database.read() as db:
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id)


async def awaited(appliance: Appliance, days: int = 3) -> VisitRecord:
    """A visit without an order, which a run waits for."""
    run_id = await waiting(appliance, "T-1")
    async with appliance.database.begin() as db:
        booked = await appliance.services(db).ticketing_service.schedule_installation(
            customer_id=CUSTOMER,
            installation_address="here",
            technician_id=7,
            scheduled_date=nine(appliance, days),
            request_id="T-1/visit",
        )
        db.add(needs(appliance, run_id, booked["visit_id"]))
        waits = {"waiting_for": "visit", "waiting_on": str(booked["visit_id"])}
        await db.execute(update(RunRow).where(RunRow.id == run_id).values(**waits, wake_at=nine(appliance, 14)))
    return await visit_of(appliance, booked["visit_id"])


async def repair(appliance: Appliance, *, window_minutes: int = 0) -> tuple[JobRecord, VisitRecord]:
    """A visit that dispatch has booked, as a job that needs a skill; Theo alone has it besides."""
    async with appliance.database.begin() as db:
        people = Technicians(db, tenant_id=appliance.tenant_id)
        await people.register(technician_id=7, name="Tess Kaminski", skills=["splicing"])
        await people.register(technician_id=8, name="Theo", skills=["splicing"])
        await people.register(technician_id=9, name="Uma")
        jobs = Jobs(db, tenant_id=appliance.tenant_id)
        job = await jobs.define(name="repair", duration_minutes=60, window_minutes=window_minutes, skills=["splicing"])
        booked = await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER, technician_id=7, starts_at=nine(appliance, 3), address="here", job="repair", by="nora"
        )
    return job, booked


async def link_to(appliance: Appliance, visit: VisitRecord) -> str:
    """The token of a link to it."""
    async with appliance.database.begin() as db:
        address = await appliance.links.issue(
            db, LinkTo("move_visit", str(visit["visit_id"]), visit["starts_at"] - NOTICE)
        )
    return address.rpartition("/")[2]


async def move(appliance: Appliance, visit: VisitRecord, starts_at: datetime) -> VisitRecord:
    """As the page's button does it: it looks, and then moves, in one transaction with the use of a link."""
    token = await link_to(appliance, visit)
    async with appliance.database.read() as db:
        chosen = await appliance.customer_slots(db).choose(seen=visit, starts_at=starts_at)
    async with appliance.database.begin() as db:
        await appliance.links.use(db, token)
        return await appliance.customer_slots(db).move(chosen, by="one-time link")


async def mails(appliance: Appliance) -> list[str]:
    async with appliance.database.read() as db:
        return list(await db.scalars(select(Mail.text).order_by(Mail.id)))


@pytest.mark.both_databases
async def test_a_customer_moves_their_visit_and_is_written_the_new_time_with_the_next_link(
    appliance: Appliance,
) -> None:
    visit = await awaited(appliance)
    moved = await move(appliance, visit, nine(appliance, 4))
    assert (moved["starts_at"], moved["technician_id"]) == (nine(appliance, 4), 7)
    assert moved["ends_at"] - moved["starts_at"] == visit["ends_at"] - visit["starts_at"]
    [first] = await mails(appliance)
    assert re.search(r"https://isp\.example/links/v1\.move_visit\.", first)
    again = await move(appliance, moved, nine(appliance, 5))
    last = (await mails(appliance))[1]
    assert "/links/" not in last and "tell us in good time" in last  # it was the second of two
    with pytest.raises(VisitNotMovable, match="as often as they may"):
        await move(appliance, again, nine(appliance, 6))
    assert await visit_of(appliance, visit["visit_id"]) == again
    async with appliance.database.read() as db:
        notes = list(await db.scalars(select(VisitReport.note)))
    assert notes == ["the customer chose another time, by the link in their mail"] * 2


@pytest.mark.both_databases
async def test_a_time_that_was_taken_meanwhile_is_refused_with_free_ones_each_once(appliance: Appliance) -> None:
    _, visit = await repair(appliance)
    wanted = nine(appliance, 4)
    async with appliance.database.begin() as db:
        for technician_id in (7, 8):
            await appliance.dispatch_desk(db).book(
                customer_id=CUSTOMER,
                technician_id=technician_id,
                starts_at=wanted,
                address="there",
                job="repair",
                by="nora",
            )
    with pytest.raises(NobodyFree) as refused:
        await move(appliance, visit, wanted)
    await appliance.alternatives.tell(refused.value)
    told = [each["starts_at"] for each in refused.value.alternatives]
    assert told == [wanted + timedelta(hours=away) for away in (-1, 1, 1.5)]
    assert await visit_of(appliance, visit["visit_id"]) == visit
    async with appliance.database.begin() as db:  # nothing was used up
        own = await appliance.customer_slots(db).look(visit["visit_id"])
    assert (own.standing.left, own.standing.why_not) == (2, None)


async def test_who_has_the_skills_comes_whoever_it_is_and_no_override_is_made(appliance: Appliance) -> None:
    _, visit = await repair(appliance)
    wanted = nine(appliance, 4)
    async with appliance.database.begin() as db:
        await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER, technician_id=7, starts_at=wanted, address="there", job="repair", by="nora"
        )
    moved = await move(appliance, visit, wanted)
    assert (moved["technician_name"], moved["override_reason"]) == ("Theo", None)
    async with appliance.database.begin() as db:
        planning = Planning(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        for technician_id in (7, 8):
            await planning.take_leave(
                technician_id=technician_id,
                starts_at=nine(appliance, 5),
                ends_at=nine(appliance, 7),
                reason="holiday",
            )
    with pytest.raises(NobodyFree):
        await move(appliance, moved, nine(appliance, 6))


async def test_a_visit_that_is_no_job_stays_with_its_technician(appliance: Appliance) -> None:
    visit = await awaited(appliance)
    wanted = nine(appliance, 4)
    async with appliance.database.begin() as db:
        await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=8, name="Theo")
        calendar = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        await calendar.book(
            customer_id=CUSTOMER, technician_id=7, starts_at=wanted, duration_minutes=60, address="there"
        )
    with pytest.raises(NobodyFree):
        await move(appliance, visit, wanted)
    async with appliance.database.read() as db:
        own = await appliance.customer_slots(db).look(visit["visit_id"])
    assert {each["technician_id"] for each in own.times} == {7}


async def test_what_is_offered_keeps_to_the_notice_and_to_the_time_in_which_the_run_keeps_its_addresses(
    appliance: Appliance,
) -> None:
    visit, given_back = await awaited(appliance), nine(appliance, 14)
    seen, page = list[datetime](), None
    async with appliance.database.read() as db:
        slots = appliance.customer_slots(db)
        while True:
            own = await slots.look(visit["visit_id"], starts_after=page)
            seen += [each["starts_at"] for each in own.times]
            assert all(each["ends_at"] <= given_back for each in own.times)
            if (page := own.later_from) is None:
                break
    assert min(seen) >= appliance.clock() - timedelta(minutes=1) + NOTICE
    assert seen == sorted(set(seen)) and visit["starts_at"] not in seen
    assert max(seen) >= given_back - timedelta(days=4)
    for refused in (nine(appliance, 20), nine(appliance, 4) + timedelta(minutes=7), appliance.clock() + NOTICE / 2):
        with pytest.raises(NobodyFree):
            await move(appliance, visit, refused)


async def test_the_time_that_a_visit_has_is_neither_offered_in_the_place_of_another_nor_taken_for_a_move(
    appliance: Appliance,
) -> None:
    _, visit = await repair(appliance)
    nobodys = visit["starts_at"] + timedelta(minutes=7)
    with pytest.raises(NobodyFree) as refused:
        await move(appliance, visit, nobodys)
    await appliance.alternatives.tell(refused.value)
    told = [each["starts_at"] - visit["starts_at"] for each in refused.value.alternatives]
    assert told == [timedelta(minutes=minutes) for minutes in (30, -30, 60)]
    with pytest.raises(NoTimeChosen, match=f"No other time was chosen for visit {visit['visit_id']}"):
        await move(appliance, visit, visit["starts_at"])
    assert await visit_of(appliance, visit["visit_id"]) == visit


async def test_a_visit_stays_as_long_as_it_was_booked_whatever_its_job_takes_by_now(appliance: Appliance) -> None:
    _, visit = await repair(appliance, window_minutes=30)
    wanted = nine(appliance, 4)
    async with appliance.database.begin() as db:
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="repair", duration_minutes=30, skills=["splicing"])
        for technician_id in (7, 8):
            await appliance.dispatch_desk(db).book(
                customer_id=CUSTOMER,
                technician_id=technician_id,
                starts_at=wanted + timedelta(minutes=30),
                address="there",
                job="repair",
                by="nora",
            )
    async with appliance.database.read() as db:
        own = await appliance.customer_slots(db).look(visit["visit_id"])
    assert {each["ends_at"] - each["starts_at"] for each in own.times} == {timedelta(hours=1)}
    assert {each["arrives_until"] - each["starts_at"] for each in own.times} == {timedelta(minutes=30)}
    assert wanted not in [each["starts_at"] for each in own.times]
    with pytest.raises(NobodyFree):  # half an hour would be free then
        await move(appliance, visit, wanted)
    moved = await move(appliance, visit, own.times[-1]["starts_at"])
    assert moved["ends_at"] == own.times[-1]["ends_at"]


async def test_a_visit_is_put_off_no_further_than_four_weeks(appliance: Appliance) -> None:
    _, visit = await repair(appliance)
    with pytest.raises(NobodyFree):
        await move(appliance, visit, nine(appliance, FURTHEST.days + 1))
    assert (await move(appliance, visit, nine(appliance, FURTHEST.days - 1)))["sequence"] == 1


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("starts_at = '{soon}', ends_at = '{later}'", "too_late"),
        ("state = 'scanned', scanned_serial = 'HWTC4A2B9C01'", "over"),
        ("state = 'cancelled'", "over"),
    ],
)
async def test_a_visit_that_begins_soon_or_is_not_to_come_any_more_moves_no_more(
    appliance: Appliance, change: str, why: str
) -> None:
    visit = await awaited(appliance)
    soon = appliance.clock() + NOTICE - timedelta(minutes=1)
    written = {name: at.strftime("%Y-%m-%d %H:%M:%S.%f%z") for name, at in (("soon", soon), ("later", soon + NOTICE))}
    if not appliance.database.is_postgresql:
        written = {name: at.removesuffix("+0000") for name, at in written.items()}
    async with appliance.database.begin() as db:
        await db.execute(text(f"UPDATE visit SET {change.format(**written)}"))
    now = await visit_of(appliance, visit["visit_id"])
    async with appliance.database.read() as db:
        own = await appliance.customer_slots(db).look(visit["visit_id"])
        assert await appliance.services(db).ticketing_service.move_link(visit_id=visit["visit_id"]) is None
    assert (own.standing.why_not, own.times) == (why, [])
    async with appliance.database.read() as db:
        with pytest.raises(VisitNotMovable) as refused:
            await appliance.customer_slots(db).choose(seen=now, starts_at=nine(appliance, 5))
    assert refused.value.why == why


@pytest.mark.both_databases
async def test_a_visit_that_changed_since_it_was_seen_is_not_moved(appliance: Appliance) -> None:
    seen = await awaited(appliance)
    async with appliance.database.begin() as db:
        await appliance.dispatch_desk(db).reschedule(
            visit_id=seen["visit_id"], technician_id=7, starts_at=nine(appliance, 5), reason="van broken", by="nora"
        )
    with pytest.raises(VisitChanged):
        await move(appliance, seen, nine(appliance, 4))
    assert (await visit_of(appliance, seen["visit_id"]))["starts_at"] == nine(appliance, 5)


async def test_of_an_order_the_installation_s_run_writes_and_else_the_desk(appliance: Appliance) -> None:
    deployment = await scheduled(appliance, nine(appliance, 3))
    visit = await visit_of(appliance, deployment["visit_id"])
    moved = await move(appliance, visit, nine(appliance, 4))
    assert len(await mails(appliance)) == 1
    run_id = await waiting(appliance, "T-1")
    async with appliance.database.begin() as db:
        row = {"state": "completed", "effect": "transactional", "key": "T-1/visit", "started_at": appliance.clock()}
        db.add(StepRow(run_id=run_id, step="schedule_installation", round=1, **row))
    assert await install(appliance, nine(appliance, 4), "T-1/visit", ORDER) == moved["visit_id"]
    joined = await visit_of(appliance, moved["visit_id"])
    await move(appliance, joined, nine(appliance, 5))
    assert len(await mails(appliance)) == 1  # its run is told by the calendar, and writes


async def test_where_no_link_leads_here_or_none_may_be_used_mails_have_none(
    migrated_sqlite: Original, tmp_path: Path
) -> None:
    unmoved: dict[str, Any] = {"public_url": "https://isp.example", "customer_moves": 0}
    for name, settings in (("unreached", dict[str, Any]()), ("unmoved", unmoved)):
        async with open_appliance(migrated_sqlite.copy(tmp_path / name, **settings)) as appliance:
            await import_estate(appliance, ESTATE)
            visit = await awaited(appliance)
            async with appliance.database.read() as db:
                assert await appliance.services(db).ticketing_service.move_link(visit_id=visit["visit_id"]) is None


async def test_a_link_leads_to_the_visit_that_its_order_has_now_and_all_moves_of_an_order_count(
    appliance: Appliance,
) -> None:
    first = await install(appliance, nine(appliance, 3), "T-1/visit/1", ORDER)
    moved = await move(appliance, await visit_of(appliance, first), nine(appliance, 4))
    async with appliance.database.begin() as db:  # its run goes back, and joins anew
        await appliance.services(db).ticketing_service.release_visit(visit_id=first, reason="moved")
    second = await install(appliance, moved["starts_at"], "T-1/visit/2", ORDER)
    assert second != first
    async with appliance.database.read() as db:
        slots = appliance.customer_slots(db)
        assert (await slots.visit(first))["visit_id"] == second
        assert (await slots.look(first)).standing.left == 1


@pytest.mark.both_databases
async def test_of_two_customers_who_want_the_same_time_at_once_one_has_it(appliance: Appliance) -> None:
    async with appliance.database.begin() as db:
        calendar = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        booked = [
            await calendar.book(
                customer_id=CUSTOMER,
                technician_id=7,
                starts_at=nine(appliance, days),
                duration_minutes=120,
                address="here",
            )
            for days in (3, 4)
        ]
    outcomes = await asyncio.gather(
        *(move(appliance, visit, nine(appliance, 5)) for visit in booked), return_exceptions=True
    )
    [refused] = [each for each in outcomes if isinstance(each, BaseException)]
    assert isinstance(refused, NobodyFree | TechnicianBusy)
    async with appliance.database.read() as db:
        calendar = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        then = await calendar.visits(starts_at=nine(appliance, 5), ends_at=nine(appliance, 6))
    assert [each["starts_at"] for each in then] == [nine(appliance, 5)]
