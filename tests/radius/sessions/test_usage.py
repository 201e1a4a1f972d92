"""What is used is split at midnight by what is known, counted once, and never goes back; on both databases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from provisioning.database import Database
from radius import LookRefused, UsageCount, UsageLooks, UsageView, ensure_freeradius_tables
from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_usage_daily

MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
GIGABYTE = 10**9


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


@dataclass
class Books:
    """A radius database, what FreeRADIUS writes there, and the clock's nightly count."""

    database: Database
    numbers: dict[str, int] = field(default_factory=dict)

    async def told(self, session: str, when: datetime, octets: int, *, stop: bool = False, began: datetime) -> None:
        """By an interim or a Stop: its counters since it began."""
        columns: dict[str, Any] = {
            "acctupdatetime": when,
            "acctinputoctets": octets // 10,
            "acctoutputoctets": octets,
            "acctsessiontime": int((when - began).total_seconds()),
            "acctstoptime": when if stop else None,
        }
        async with self.database.begin() as db:
            if session in self.numbers:
                mine = radacct.c.radacctid == self.numbers[session]
                await db.execute(update(radacct).where(mine).values(columns))
                return
            self.numbers[session] = len(self.numbers) + 1
            who = {"acctsessionid": session, "acctuniqueid": session, "username": "anna", "nasipaddress": "10.0.0.1"}
            number = {"radacctid": self.numbers[session], "acctstarttime": began}
            await db.execute(insert(radacct).values(**who, **number, **columns))

    async def count(self, now: datetime) -> int:
        return await UsageCount(self.database.begin, now=lambda: now, at_once=2).count()

    async def used(self, first_day: date, last_day: date) -> UsageView:
        looks = UsageLooks(self.database.read, tenant_id="isp")
        return await looks.of_user("anna", first_day=first_day, last_day=last_day)

    async def by_day(self) -> dict[date, int]:
        return {one["day"]: one["output_octets"] for one in (await self.used(MONDAY, WEDNESDAY))["days"]}


@pytest.fixture
async def books(database_url: str) -> AsyncIterator[Books]:
    opened = Database(database_url)
    async with opened.engine.begin() as connection:
        await connection.run_sync(ensure_freeradius_tables)
    yield Books(opened)
    await opened.close()


@pytest.mark.both_databases
async def test_a_session_over_midnight_is_split_by_the_nightly_count(books: Books) -> None:
    began = at(MONDAY, 20)
    await books.told("long", at(MONDAY, 23, 58), 5 * GIGABYTE, began=began)
    assert await books.count(at(TUESDAY, 0, 2)) == 1
    await books.told("long", at(TUESDAY, 9), 7 * GIGABYTE, began=began)
    assert await books.by_day() == {MONDAY: 5 * GIGABYTE, TUESDAY: 2 * GIGABYTE}

    await books.told("long", at(TUESDAY, 23, 59), 9 * GIGABYTE, began=began)
    await books.told("long", at(WEDNESDAY, 0, 1), 9 * GIGABYTE + 7, stop=True, began=began)
    await books.told("short", at(WEDNESDAY, 0, 2), 1, began=at(WEDNESDAY, 0, 1))
    assert await books.count(at(WEDNESDAY, 0, 3)) == 2
    assert await books.count(at(WEDNESDAY, 0, 5)) == 0  # it is done for that night
    assert await books.by_day() == {MONDAY: 5 * GIGABYTE, TUESDAY: 4 * GIGABYTE + 7, WEDNESDAY: 1}
    assert (await books.used(TUESDAY, TUESDAY))["output_octets"] == 4 * GIGABYTE + 7
    whole = await books.used(MONDAY, WEDNESDAY)
    assert (whole["output_octets"], whole["unsplit"], whole["across"]) == (9 * GIGABYTE + 8, [], [])
    assert whole["session_seconds"] == 28 * 3600 + 60 + 60
    assert whole["input_octets"] == whole["output_octets"] // 10


async def test_what_nobody_noted_at_midnight_is_of_several_days_and_said_to_be_so(books: Books) -> None:
    began = at(MONDAY, 20)
    await books.told("long", at(TUESDAY, 15), 7 * GIGABYTE, began=began)
    for counted in (False, True):
        if counted:
            await books.count(at(TUESDAY, 15, 1))
        whole = await books.used(MONDAY, TUESDAY)
        assert (whole["output_octets"], whole["days"]) == (7 * GIGABYTE, [])
        [part] = whole["unsplit"]
        assert (part["first_day"], part["last_day"], part["output_octets"]) == (MONDAY, TUESDAY, 7 * GIGABYTE)
        tuesday = await books.used(TUESDAY, WEDNESDAY)
        assert (tuesday["output_octets"], tuesday["unsplit"]) == (0, [])
        assert tuesday["across"] == [part]


async def test_what_is_counted_never_goes_back_and_is_counted_once(books: Books) -> None:
    began = at(MONDAY, 8)
    for session in ("one", "two", "three"):
        await books.told(session, at(MONDAY, 12), 100, stop=True, began=began)
    await books.count(at(TUESDAY, 0, 2))
    await books.told("one", at(MONDAY, 12), 40, stop=True, began=began)
    await books.told("two", at(MONDAY, 12, 30), 130, stop=True, began=began)  # its Stop came late
    assert await books.by_day() == {MONDAY: 330}
    await books.count(at(WEDNESDAY, 0, 2))
    assert await books.by_day() == {MONDAY: 330}
    async with books.database.read() as db:
        [row] = await db.execute(select(radius_usage_daily))
    assert tuple(row) == ("anna", MONDAY, MONDAY, 33, 330, 3 * 4 * 3600 + 1800)


@pytest.mark.parametrize("seed", [1, 2])
async def test_whenever_it_is_counted_and_by_how_many_every_octet_is_there_once(books: Books, seed: int) -> None:
    chance = Random(seed)
    began, now = at(MONDAY, 1), at(MONDAY, 1)
    counters = dict.fromkeys(("one", "two", "three"), 0)
    for _ in range(25):
        now += timedelta(minutes=chance.randrange(1, 240))
        session = chance.choice(list(counters))
        counters[session] += chance.randrange(1000)
        await books.told(session, now, counters[session], stop=chance.random() < 0.1, began=began)
        if chance.random() < 0.4:
            await asyncio.gather(books.count(now), books.count(now))
        used = await books.used(MONDAY, MONDAY + timedelta(days=9))
        assert used["output_octets"] == sum(counters.values())
        assert used["across"] == []


@pytest.mark.parametrize(
    ("first_day", "last_day"), [(TUESDAY, MONDAY), (date(2024, 1, 1), MONDAY), (date.min, date.min)]
)
async def test_a_span_that_cannot_be_meant_is_refused(books: Books, first_day: date, last_day: date) -> None:
    with pytest.raises(LookRefused):
        await books.used(first_day, last_day)
