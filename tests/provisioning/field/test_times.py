"""Times for somebody to choose from: each once, whoever comes; and who comes at the one that was chosen."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.commercial.mails.delivery import Begin
from provisioning.days import UTC_DAYS
from provisioning.field import Asked, Jobs, Place, Planning, Search, Task
from tests.provisioning.field.conftest import NOW, TENANT, at, book, visits

HOUR = timedelta(hours=1)


def search(db: AsyncSession) -> Search:
    return Search(db, tenant_id=TENANT, now=lambda: NOW, zone=UTC_DAYS)


async def test_each_time_is_offered_once_in_order_as_long_as_anybody_is_free(begin: Begin) -> None:
    async with begin() as db:
        await book(db, starts_at=at(8), minutes=240)
        await book(db, starts_at=at(10), minutes=480, technician_id=2)
        found = await search(db).times(Asked(at(0), 60, skills=frozenset()), days=1)
    begins = [one["starts_at"] for one in found]
    assert begins == sorted(set(begins))
    assert (begins[0], begins[-1]) == (at(8), at(17))
    assert at(10) not in begins and at(12) in begins
    assert {one["technician_id"] for one in found if one["starts_at"] < at(10)} == {2}


async def test_bounds_and_skills_and_a_technician_of_one_s_own_are_kept(begin: Begin) -> None:
    asked = Asked(at(0), 60, not_before=at(9), not_after=at(12), technician_id=2)
    async with begin() as db:
        found = await search(db).times(asked, days=3)
        none = await search(db).times(replace(asked, skills=frozenset({"splicing"})), days=3)
        near = await search(db).near(replace(asked, starts_at=at(17), each_time_once=True))
    assert [one["starts_at"] for one in found] == [at(9), at(9, 30), at(10), at(10, 30), at(11)]
    assert {one["technician_id"] for one in found} == {2}
    assert none == []
    assert [one["starts_at"] for one in near] == [at(11), at(10, 30), at(10)]


async def test_at_a_time_whoever_is_free_then_comes_and_nobody_at_one_that_was_not_offered(begin: Begin) -> None:
    async with begin() as db:
        visit = await book(db, starts_at=at(10), minutes=60)

        async def comes(starts_at: datetime, **more: object) -> int | None:
            asked = replace(Asked(starts_at, 60), **more)  # type: ignore[arg-type]
            free = await search(db).at(asked, only_offered=True)
            return free[0]["technician_id"] if free else None

        assert await comes(at(10)) == 2
        assert await comes(at(10), technician_id=1) is None
        assert await comes(at(10), technician_id=1, besides=visit["visit_id"]) == 1
        assert await comes(at(9), not_before=at(9) + HOUR / 4) is None
        assert await comes(at(9), not_after=at(9) + HOUR / 2) is None
        assert await comes(at(9), but_not_at=at(9)) is None
        assert await comes(at(9, 7)) is None  # between the quarters
        assert await comes(at(19)) is None
        assert await comes(at(17, 30)) is None  # it would end behind the hours
        assert await comes(NOW - HOUR) is None


async def test_a_moment_is_had_at_any_minute_by_whoever_is_free_and_has_the_least_way(begin: Begin) -> None:
    async with begin() as db:
        await book(db, starts_at=at(10), minutes=60)

        async def come(starts_at: datetime, **more: object) -> list[int]:
            asked = replace(Asked(starts_at, 60), **more)  # type: ignore[arg-type]
            offers = await search(db).at(asked)
            assert {each["starts_at"] for each in offers} <= {starts_at}
            return [each["technician_id"] for each in offers]

        assert await come(at(12, 7)) == [2, 1]  # Uma has less to do that day
        assert await come(at(9, 7)) == [2]
        assert await come(at(9, 7), skills=frozenset({"splicing"})) == []
        assert await come(at(11)) == [2, 1]
        assert await come(at(22)) == [2, 1]  # whose week nobody has told
        assert await come(NOW - HOUR) == []


async def test_a_time_that_was_shown_is_had_though_others_are_offered_by_now(begin: Begin) -> None:
    asked = Asked(at(0), 60, technician_id=1)
    async with begin() as db:
        assert at(9) in [one["starts_at"] for one in await search(db).times(asked, days=1)]
        await book(db, starts_at=at(8), minutes=15)  # what is offered begins at a quarter past now
        assert at(9) not in [one["starts_at"] for one in await search(db).times(asked, days=1)]
        [offer] = await search(db).at(replace(asked, starts_at=at(9)), only_offered=True)
    assert (offer["technician_id"], offer["starts_at"], offer["visits_that_day"]) == (1, at(9), 1)


async def test_who_had_a_visit_yesterday_comes_from_home_also_at_a_moment(begin: Begin) -> None:
    near, far = Place(48.10, 11.50), Place(48.10, 11.58)
    async with begin() as db:
        people = Planning(db, tenant_id=TENANT, now=lambda: NOW)
        await people.plan(technician_id=1, home_latitude=near.latitude, home_longitude=near.longitude)
        job = await Jobs(db, tenant_id=TENANT).define(name="splice", duration_minutes=60, skills=["splicing"])
        task = Task(job, far)
        wish = {"customer_id": 42, "technician_id": 1, "duration_minutes": 60, "address": "far", "task": task}
        await visits(db).book(starts_at=at(10) - timedelta(hours=20), **wish)  # type: ignore[arg-type]
        asked = Asked.of(job, near, at(10))
        [there] = await search(db).at(asked)
        [shown] = [one for one in await search(db).on_day(asked) if one["starts_at"] == at(10)]
    known = ("travel_minutes", "detour_minutes", "visits_that_day")
    assert [dict(one)[name] for one in (there, shown) for name in known] == [0, 0, 0] * 2


async def test_the_first_time_of_weeks_is_found_and_a_day_s_in_the_order_of_the_board(begin: Begin) -> None:
    async with begin() as db:
        jobs, people = Jobs(db, tenant_id=TENANT), Planning(db, tenant_id=TENANT, now=lambda: NOW)
        job = await jobs.define(name="inst", duration_minutes=60, skills=["splicing"])
        ends = at(9) + timedelta(days=20)
        await people.take_leave(technician_id=1, starts_at=NOW, ends_at=ends, reason="holiday")
        asked = Asked.of(job, None, at(0))
        first = await search(db).first(asked, days=30)
        assert first is not None
        assert (first["technician_id"], first["starts_at"]) == (1, ends)
        assert await search(db).first(asked, days=20) is None
        whole = await search(db).on_day(replace(asked, starts_at=ends))
        assert whole == await search(db).offers(job=job, place=None, starts_after=ends, days=1)


async def test_what_is_offered_beside_a_visit_out_of_hours_can_be_booked(begin: Begin) -> None:
    near, far = Place(48.10, 11.50), Place(48.10, 11.68)
    async with begin() as db:
        job = await Jobs(db, tenant_id=TENANT).define(name="splice", duration_minutes=60, buffer_minutes=15)
        wish = {"customer_id": 42, "technician_id": 1, "duration_minutes": 60, "address": "here"}
        for beside in (at(7), at(18)):
            await visits(db).book(starts_at=beside, task=Task(job, far), **wish)  # type: ignore[arg-type]
        offers = await search(db).on_day(Asked.of(job, near, at(0)))
    offered = sorted(one["starts_at"] for one in offers if one["technician_id"] == 1)
    assert (offered[0], offered[-1]) == (at(8, 45), at(16, 15))
    for starts_at in (offered[0], offered[-1]):
        async with begin() as db:
            booked = await visits(db).book(starts_at=starts_at, task=Task(job, near), **wish)  # type: ignore[arg-type]
        assert booked["starts_at"] == starts_at
