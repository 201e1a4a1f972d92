"""Deployments: in the one calendar of visits, on the day that is wanted, and never more than a day holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import structlog
from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial import (
    CrmService,
    CustomerUnknown,
    DayFull,
    DeploymentReleased,
    DeploymentUnknown,
    NobodyAble,
    NoTechnicians,
    OrderScheduled,
    PlaceUnknown,
    SlotTaken,
)
from provisioning.commercial.partners.partner_invariants import deployments_off_their_visit
from provisioning.commercial.scheduling.ways_ahead import WaysAhead
from provisioning.commercial.tenants.tenant_tables import Deployment
from provisioning.days import UTC_DAYS
from provisioning.errors import InvalidRequest, RequestConflict
from provisioning.field import (
    LIVE_STATES,
    Jobs,
    Osrm,
    Place,
    Planning,
    Search,
    Task,
    Technician,
    Visit,
    VisitRecord,
    Visits,
    Ways,
    Whose,
)
from tests.provisioning.commercial.conftest import ON_SQLITE
from tests.support.partnership import NOW, OWN_CUSTOMER, TENANT, Partnership
from tests.support.postgres import until_it_waits_for_us
from tests.support.router import RouterDouble
from workflows.answers import ScheduledDeployment

TUESDAY = date(2026, 3, 3)
LATER = NOW + timedelta(hours=3)
ADDRESS = "1 High Street"
DOOR, NEAR, FAR = Place(48.1, 11.58), Place(48.15, 11.55), Place(48.4, 11.7)


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


async def schedule(
    isp: Partnership, order_id: int = 500, when: Any = TUESDAY, request_id: str | None = None, **more: Any
) -> ScheduledDeployment:
    wanted: dict[str, Any] = {
        "customer_id": OWN_CUSTOMER,
        "priority": "normal",
        "installation_address": "1 High Street",
    }
    now, zone = more.pop("now", NOW), more.pop("zone", "UTC")
    async with isp.begin() as db:
        return await isp.deployment(db, now, zone).schedule_deployment(
            order_id=order_id, scheduled_date=when, request_id=request_id, **wanted | more
        )


async def visit(isp: Partnership, visit_id: int) -> VisitRecord:
    async with isp.begin() as db:
        return await Visits(db, tenant_id=TENANT, now=lambda: NOW).visit(visit_id)


async def book(isp: Partnership, starts_at: datetime, technician_id: int, minutes: int = 120) -> int:
    async with isp.begin() as db:
        booked = await Visits(db, tenant_id=TENANT, now=lambda: NOW).book(
            customer_id=OWN_CUSTOMER,
            technician_id=technician_id,
            starts_at=starts_at,
            duration_minutes=minutes,
            address="2 High Street",
        )
    return booked["visit_id"]


@ON_SQLITE
async def test_a_day_gives_its_first_free_time_in_the_calendar_of_visits(isp: Partnership) -> None:
    await book(isp, at(8), technician_id=1)
    scheduled = await schedule(isp, priority="urgent", request_id="order/500")
    assert scheduled == {
        "deployment_id": scheduled["deployment_id"],
        "order_id": 500,
        "customer_id": OWN_CUSTOMER,
        "priority": "urgent",
        "technician_id": 2,
        "technician_name": "Uma",
        "visit_id": scheduled["visit_id"],
        "starts_at": at(8),
        "ends_at": at(10),
        "address": ADDRESS,
        "state": "scheduled",
        "is_made": False,
        "is_announced": False,
    }
    booked = await visit(isp, scheduled["visit_id"])
    assert (booked["state"], booked["address"], booked["starts_at"]) == ("booked", ADDRESS, at(8))
    again = await schedule(isp, priority="urgent", request_id="order/500", now=at(20))
    assert again == scheduled
    assert await schedule(isp, priority="urgent") == scheduled
    with pytest.raises(RequestConflict, match="Request order/500 already made deployment"):
        await schedule(isp, 501, priority="urgent", request_id="order/500")
    assert (await schedule(isp, 501))["starts_at"] == at(10)


async def test_no_day_holds_more_than_it_has_room_for_however_many_ask_at_once(isp: Partnership) -> None:
    answers = await asyncio.gather(*(schedule(isp, 500 + number) for number in range(12)), return_exceptions=True)
    booked = [answer for answer in answers if isinstance(answer, dict)]
    full = [answer for answer in answers if isinstance(answer, DayFull)]
    assert (len(booked), len(full)) == (10, 2)  # two technicians, five times two hours
    assert sorted((each["technician_id"], each["starts_at"]) for each in booked) == [
        (technician, at(hour)) for technician in (1, 2) for hour in (8, 10, 12, 14, 16)
    ]
    assert str(full[0]) == "No technician has room on 2026-03-03; the next day with room is 2026-03-04."
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit)) == 10
        assert await deployments_off_their_visit(db, tenant_id=TENANT) == []


async def test_an_order_is_scheduled_once_also_at_the_same_moment(isp: Partnership) -> None:
    requests = ["order/500", "order/500", "again", None]
    answers = await asyncio.gather(*(schedule(isp, request_id=request) for request in requests))
    assert all(answer == answers[0] for answer in answers)
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit)) == 1
    with pytest.raises(OrderScheduled, match="Order 500 is scheduled for 2026-03-03 08:00 UTC already"):
        await schedule(isp, when=TUESDAY + timedelta(days=1))


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
async def test_a_visit_written_past_the_calendar_is_noticed_by_the_database_and_the_next_time_is_taken(
    isp: Partnership,
) -> None:
    async with isp.begin() as db:
        row = {"tenant_id": TENANT, "customer_id": OWN_CUSTOMER, "technician_id": 1, "address": ADDRESS}
        await db.execute(insert(Visit).values(starts_at=at(8), ends_at=at(10), state="booked", booked_at=NOW, **row))
        scheduling = asyncio.create_task(schedule(isp))
        await until_it_waits_for_us(db, scheduling)
    scheduled = await scheduling
    assert (scheduled["technician_id"], scheduled["starts_at"]) == (2, at(8))


@ON_SQLITE
async def test_a_moment_is_for_whoever_is_free_then(isp: Partnership) -> None:
    first = await schedule(isp, 500, at(9, 10))
    assert (first["technician_id"], first["starts_at"]) == (1, at(9, 10))
    assert (await schedule(isp, 501, at(9, 10)))["technician_id"] == 2
    with pytest.raises(
        SlotTaken, match="free at 2026-03-03 10:00 UTC; the next time with room is 2026-03-03 11:15 UTC"
    ):
        await schedule(isp, 502, at(10))
    await book(isp, at(11, 10), technician_id=1, minutes=6 * 60)
    await book(isp, at(11, 30), technician_id=2, minutes=6 * 60)
    with pytest.raises(SlotTaken, match="the next time with room is 2026-03-04 08:00 UTC"):
        await schedule(isp, 502, at(10))


@ON_SQLITE
async def test_a_moment_that_a_visit_past_the_calendar_has_taken_is_not_named_as_the_next_one(isp: Partnership) -> None:
    async with isp.begin() as db:
        for technician_id in (1, 2):
            begun = at(8) - timedelta(days=9)  # further back than a search looks
            row = {"starts_at": begun, "ends_at": at(9), "address": "2 High Street", "technician_id": technician_id}
            await db.execute(
                insert(Visit).values(tenant_id=TENANT, customer_id=OWN_CUSTOMER, state="booked", **row, booked_at=begun)
            )
    with pytest.raises(SlotTaken, match="free at 2026-03-03 08:00 UTC; the next time with room is 2026-03-03 08:30"):
        await schedule(isp, when=at(8))


@ON_SQLITE
async def test_a_visit_that_nobody_is_able_to_make_names_the_skill_and_no_days(isp: Partnership) -> None:
    await describe(isp, 500)
    async with isp.begin() as db:
        planning = Planning(db, tenant_id=TENANT, now=lambda: NOW)
        for technician_id, name in ((1, "Tom"), (2, "Uma")):
            await planning.register(technician_id=technician_id, name=name, skills=[])
    for when in (TUESDAY, at(14)):
        with pytest.raises(NobodyAble, match="No technician has what the visit needs: splicing"):
            await schedule(isp, when=when)


@ON_SQLITE
async def test_days_and_hours_are_those_of_the_isps_zone(isp: Partnership) -> None:
    auckland = await schedule(isp, zone="Pacific/Auckland", when=date(2026, 3, 4))
    assert auckland["starts_at"] == datetime(
        2026, 3, 3, 19, 0, tzinfo=UTC
    )  # 8 o'clock on the 4th, thirteen hours ahead
    with pytest.raises(InvalidRequest, match="scheduled_date is over already"):
        await schedule(isp, 501, zone="Pacific/Auckland", when=date(2026, 3, 3), now=at(12))  # it is the 4th there


@ON_SQLITE
async def test_a_released_deployment_frees_its_technician_and_its_request_is_over(isp: Partnership) -> None:
    scheduled = await schedule(isp, request_id="order/500")
    async with isp.begin() as db:
        service = isp.deployment(db, LATER)
        released = await service.release_deployment(deployment_id=scheduled["deployment_id"], reason="run undone")
        again = await service.release_deployment(deployment_id=scheduled["deployment_id"], reason="again")
        with pytest.raises(DeploymentUnknown):
            await service.release_deployment(deployment_id=99, reason="x")
        row = await db.get(Deployment, scheduled["deployment_id"])
    assert released == again == scheduled | {"state": "released"}
    assert row is not None
    assert (row.released_at, row.release_reason) == (LATER, "run undone")
    assert (await visit(isp, scheduled["visit_id"]))["state"] == "cancelled"
    with pytest.raises(DeploymentReleased, match=r"was released \(run undone\)"):
        await schedule(isp, request_id="order/500")
    anew = await schedule(isp, request_id="order/500 anew")
    assert (anew["starts_at"], anew["deployment_id"] != scheduled["deployment_id"]) == (at(8), True)


@ON_SQLITE
@pytest.mark.parametrize("outcome", ["cancelled", "no_access"])
async def test_an_order_whose_visit_came_to_nothing_is_scheduled_anew(isp: Partnership, outcome: Any) -> None:
    first = await schedule(isp)
    async with isp.begin() as db:
        await Visits(db, tenant_id=TENANT, now=lambda: first["starts_at"]).report(
            visit_id=first["visit_id"], outcome=outcome, note="nobody there"
        )
    second = await schedule(isp, when=TUESDAY + timedelta(days=1))
    assert second["deployment_id"] != first["deployment_id"]
    async with isp.begin() as db:
        row = await db.get(Deployment, first["deployment_id"])
        assert row is not None
        assert (row.state, row.release_reason) == ("released", f"visit {first['visit_id']} is {outcome}")


@ON_SQLITE
async def test_the_place_is_the_newest_surveys_or_somebody_must_name_one(isp: Partnership) -> None:
    with pytest.raises(PlaceUnknown, match="Nobody knows where order 500 is to be deployed: customer 42"):
        await schedule(isp, installation_address=None)
    async with isp.begin() as db:
        for number, day in ((1, 1), (2, 2)):
            await CrmService(db, tenant_id=TENANT, now=lambda: NOW).record_site_survey(
                customer_id=OWN_CUSTOMER,
                service_location=f"LOC-{number}",
                result="feasible",
                surveyed_at=NOW - timedelta(days=10 - day),
            )
    scheduled = await schedule(isp, installation_address=None)
    assert (await visit(isp, scheduled["visit_id"]))["address"] == "LOC-2"


@ON_SQLITE
async def test_what_cannot_be_scheduled_is_refused_and_nobody_is_booked(isp: Partnership) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await schedule(isp, 0, datetime(2026, 3, 3, 8, 0), customer_id=-1, priority="asap", request_id="a\nb")  # noqa: DTZ001
    assert [fault.field for fault in refused.value.faults] == [
        "scheduled_date",
        "priority",
        "order_id",
        "customer_id",
        "request_id",
    ]
    for when, reason in (
        (NOW.date() - timedelta(days=1), "is over already"),
        (NOW, "is over already"),
        (date.max, "lies more than two years ahead"),
        ("2026-03-03", "is not a date and time"),
    ):
        with pytest.raises(InvalidRequest, match=f"scheduled_date {reason}"):
            await schedule(isp, when=when)
    with pytest.raises(CustomerUnknown):
        await schedule(isp, customer_id=99)
    async with isp.begin() as db:
        await db.execute(delete(Technician))
    with pytest.raises(NoTechnicians):
        await schedule(isp)
    async with isp.begin() as db:
        assert await db.scalar(select(func.count()).select_from(Visit).where(Visit.state.in_(LIVE_STATES))) == 0


async def describe(isp: Partnership, order_id: int, address: str = ADDRESS) -> None:
    """Dispatch has booked a job of four hours at the door for this order, and nobody was at home. Tom lives next to it,
    Uma far away; Una has not learnt it."""
    async with isp.begin() as db:
        planning = Planning(db, tenant_id=TENANT, now=lambda: NOW)
        for technician_id, name, home in ((1, "Tom", DOOR), (2, "Uma", FAR)):
            await planning.register(technician_id=technician_id, name=name, skills=["splicing"])
            await planning.plan(technician_id=technician_id, home_latitude=home.latitude, home_longitude=home.longitude)
        await planning.register(technician_id=3, name="Una")
        kind = await Jobs(db, tenant_id=TENANT).define(name="inst", duration_minutes=240, skills=["splicing"])
        calendar = Visits(db, tenant_id=TENANT, now=lambda: NOW)
        booked = await calendar.book(
            customer_id=OWN_CUSTOMER,
            technician_id=1,
            starts_at=at(8, day=TUESDAY - timedelta(days=1)) + timedelta(hours=4),
            duration_minutes=240,
            address=ADDRESS,
            whose=Whose("dispatch", order_id),
            task=Task(kind, DOOR),
        )
        there = Visits(db, tenant_id=TENANT, now=lambda: booked["starts_at"])
        await there.report(visit_id=booked["visit_id"], outcome="no_access", note="nobody there")


async def busy_nearby(isp: Partnership) -> None:
    """Tom has to do near that door in the early morning."""
    async with isp.begin() as db:
        await Visits(db, tenant_id=TENANT, now=lambda: NOW).book(
            customer_id=OWN_CUSTOMER,
            technician_id=1,
            starts_at=at(8),
            duration_minutes=60,
            address="2 High Street",
            task=Task(place=NEAR),
        )


@ON_SQLITE
async def test_an_order_that_is_scheduled_anew_is_the_job_that_it_was_ranked_as_the_board_ranks(
    isp: Partnership,
) -> None:
    await busy_nearby(isp)
    await describe(isp, 500)
    async with isp.begin() as db:
        search = Search(db, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS)
        kind = await Jobs(db, tenant_id=TENANT).job("inst")
        best = (await search.offers(job=kind, place=DOOR, starts_after=at(0), days=1))[0]
    scheduled = await schedule(isp)
    assert (scheduled["technician_id"], scheduled["starts_at"]) == (best["technician_id"], best["starts_at"])
    assert (scheduled["technician_id"], scheduled["starts_at"], scheduled["ends_at"]) == (1, at(9, 15), at(13, 15))
    booked = await visit(isp, scheduled["visit_id"])
    assert (booked["job"], booked["latitude"], booked["longitude"]) == ("inst", DOOR.latitude, DOOR.longitude)

    await describe(isp, 501)  # at a moment too, and where the address is another one nobody knows the place
    afternoon = await schedule(isp, 501, at(14))
    assert (afternoon["technician_id"], afternoon["ends_at"]) == (1, at(18))
    await describe(isp, 502)
    elsewhere = await visit(isp, (await schedule(isp, 502, installation_address="2 Back Yard"))["visit_id"])
    assert (elsewhere["job"], elsewhere["latitude"], elsewhere["technician_id"]) == ("inst", None, 2)


@ON_SQLITE
async def test_what_a_router_has_told_before_counts_and_nobody_asks_it_while_technicians_are_held(
    isp: Partnership,
) -> None:
    async with RouterDouble() as router:
        reading: list[AsyncSession] = []

        @asynccontextmanager
        async def read() -> AsyncIterator[AsyncSession]:
            async with isp.begin() as db:
                reading.append(db)
                yield db
                reading.remove(db)

        class AskedOutside(Osrm):
            async def table(self, *places: Any, **asked: Any) -> Any:
                assert reading == [], "a transaction waits for the router"
                return await super().table(*places, **asked)

        ways = Ways(router=AskedOutside(router.url, timeout_seconds=30.0))
        ahead = WaysAhead(read, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS, ways=ways)
        await ahead.to_deployment(customer_id=OWN_CUSTOMER, order_id=500, scheduled_date=TUESDAY)
        assert router.asked == []  # nobody knows where it is
        await busy_nearby(isp)
        await describe(isp, 500)
        for when in (date.max, TUESDAY - timedelta(days=30)):
            await ahead.to_deployment(customer_id=OWN_CUSTOMER, order_id=500, scheduled_date=when)
        assert router.asked == []
        await ahead.to_deployment(customer_id=OWN_CUSTOMER, order_id=500, scheduled_date=TUESDAY)
        asked = list(router.asked)
        assert len(asked) == 2 and ways.by(DOOR, FAR) == "road"
        async with isp.begin() as db:
            with structlog.testing.capture_logs() as logs:
                await isp.deployment(db, NOW, ways=ways).schedule_deployment(
                    order_id=500,
                    customer_id=OWN_CUSTOMER,
                    priority="normal",
                    scheduled_date=TUESDAY,
                    installation_address=ADDRESS,
                )
        assert router.asked == asked
        [chosen] = [line for line in logs if line["event"] == "technician chosen"]
        assert (chosen["why"], chosen["travel_by"]) == ("18 min away, has splicing, free 09:18-18:00", "road")


@ON_SQLITE
async def test_a_router_that_answers_nothing_holds_up_no_deployment_and_straight_lines_stand_in(
    isp: Partnership,
) -> None:
    await describe(isp, 500)
    async with RouterDouble() as router:
        router.hangs = True
        ways = Ways(router=Osrm(router.url, timeout_seconds=0.05))
        ahead = WaysAhead(isp.begin, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS, ways=ways)
        with structlog.testing.capture_logs() as logs:
            await ahead.to_deployment(customer_id=OWN_CUSTOMER, order_id=500, scheduled_date=at(14))
        assert [line["event"] for line in logs if line["log_level"] == "warning"] == ["no ways by road"]
        assert ways.by(DOOR, FAR) == "straight line"
    assert (await schedule(isp, 500, at(14)))["technician_id"] == 1
