"""What several used under one name, one after the other, is each one's own, for caps and for usage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import ColumnElement, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius import CapCrossing, DataCaps, SubscriberVerbs, UsageLooks, UsageView
from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_usage_counted, radius_usage_daily
from radius.sessions.usage import sessions_and_counted
from radius.sessions.usage_count import count_in
from radius.tables import FormerUsername, Subscriber
from tests.radius.caps.test_caps import SLOW, define
from tests.radius.conftest import PLAN, Site

pytestmark = pytest.mark.both_databases
MONDAY, TUESDAY, WEDNESDAY = date(2026, 11, 16), date(2026, 11, 17), date(2026, 11, 18)
CAP = 10_000
NAS = "10.255.7.1"
"""Nobody else's."""


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)


@dataclass
class Names:
    """Subscribers of one customer with a cap of 10,000 octets, made and renamed when a test says it, and their
    sessions."""

    site: Site
    now: datetime

    async def create(self, username: str, since: datetime) -> int:
        number = (await self.site.create(username))["subscriber_id"]
        async with self.site.database.begin() as db:
            await self.site.service(db).activate(subscriber_id=number)
            await db.execute(update(Subscriber).where(Subscriber.id == number).values(created_at=since))
        return number

    async def terminate(self, number: int) -> None:
        async with self.site.database.begin() as db:
            await self.site.service(db).terminate(subscriber_id=number)

    async def rename(self, number: int, username: str, when: datetime) -> None:
        async with self.site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=self.site.tenant_id, now=lambda: when, secrets=self.site.secrets)
            await verbs.rename(subscriber_id=number, username=username)
            await db.execute(update(FormerUsername).values(free_at=when))

    async def session(
        self, username: str, began: datetime, told: datetime, octets: int, *, whose: int | None = None, up: bool = False
    ) -> None:
        """``whose`` by its Class."""
        row: dict[str, Any] = {
            "acctsessionid": f"{began:%d%H%M}",
            "acctuniqueid": f"{username}-{began:%d%H%M}",
            "username": username,
            "nasipaddress": NAS,
            "acctstarttime": began,
            "acctupdatetime": told,
            "acctstoptime": None if up else told,
            "acctinputoctets": 0,
            "acctoutputoctets": octets,
            "acctsessiontime": 0,
            "class": None if whose is None else f"subscriber-{whose}",
        }
        async with self.site.radius_database.begin() as db:
            known = radacct.c.acctuniqueid == row["acctuniqueid"]
            done = await db.execute(update(radacct).where(known).values(row))
            if not done.rowcount:  # type: ignore[attr-defined]
                await db.execute(insert(radacct).values(row))

    async def count(self, now: datetime) -> None:
        """As the nightly job does; other tests' sessions are in the same table."""
        async with self.site.radius_database.begin() as db:
            rows = list(await db.execute(sessions_and_counted(self.mine)))
            await count_in(db, rows, now)

    @property
    def mine(self) -> ColumnElement[bool]:
        return radacct.c.nasipaddress == NAS

    async def forget(self) -> None:
        async with self.site.radius_database.begin() as db:
            theirs = select(radacct.c.radacctid).where(self.mine)
            await db.execute(delete(radius_usage_counted).where(radius_usage_counted.c.radacctid.in_(theirs)))
            await db.execute(delete(radacct).where(self.mine))

    @property
    def caps(self) -> DataCaps:
        async def days(_db: AsyncSession, _service_ids: Collection[int]) -> Mapping[int, int]:
            return {}

        async def tell(_db: AsyncSession, _crossing: CapCrossing) -> None:
            return None

        site = self.site
        return DataCaps(
            site.database.begin,
            site.radius_database.begin,
            read=site.database.begin,
            tenant_id=site.tenant_id,
            now=lambda: self.now,
            secrets=site.secrets,
            zone=ZoneInfo("UTC"),
            billing_days=days,
            tell=tell,
        )

    async def used(self, number: int) -> int:
        """What the cap counts."""
        found = await self.caps.of(number)
        assert found is not None
        return found["used_octets"]

    async def usage(self, number: int, first: date = MONDAY, last: date = WEDNESDAY) -> UsageView:
        async with self.site.database.begin() as db:
            names = await self.site.service(db).held_names(subscriber_id=number)
        looks = UsageLooks(self.site.radius_database.read, tenant_id=self.site.tenant_id)
        return await looks.of_user(*names, first_day=first, last_day=last)

    async def by_day(self, number: int) -> dict[date, int]:
        return {each["day"]: each["output_octets"] for each in (await self.usage(number))["days"]}


@pytest.fixture
async def names(site: Site) -> AsyncIterator[Names]:
    await define(site, SLOW, download_kbps=1000, upload_kbps=500)
    await define(site, PLAN, data_cap_octets=CAP, at_cap="throttle", cap_plan=SLOW)
    made = Names(site, at(WEDNESDAY, 12))
    yield made
    await made.forget()


@pytest.mark.parametrize("by", ["Class", "time"])
async def test_a_new_subscriber_is_not_charged_with_what_its_predecessor_used(names: Names, by: str) -> None:
    name = names.site.new_username()
    former = await names.create(name, at(MONDAY, 0))
    await names.session(name, at(MONDAY, 8), at(TUESDAY, 11), 14_000, whose=former if by == "Class" else None)
    await names.terminate(former)
    present = await names.create(name, at(TUESDAY, 12))
    assert (await names.caps.look(), await names.used(present)) == (0, 0)

    await names.session(name, at(TUESDAY, 13), at(TUESDAY, 14), 3_000, whose=present if by == "Class" else None)
    await names.session(name, at(TUESDAY, 15), at(TUESDAY, 23), 1_000, up=True)
    assert await names.used(present) == 4_000
    assert await names.by_day(present) == {TUESDAY: 4_000}
    await names.count(at(WEDNESDAY, 0, 2))
    await names.session(name, at(TUESDAY, 15), at(WEDNESDAY, 11), 1_500, up=True)
    assert await names.used(present) == 4_500
    assert await names.by_day(present) == {TUESDAY: 4_000, WEDNESDAY: 500}
    assert (await names.caps.look(), await names.used(present)) == (0, 4_500)
    assert (await names.usage(former))["output_octets"] == 14_000


async def test_what_was_used_under_a_former_name_stays_its_own_when_somebody_takes_that_name(names: Names) -> None:
    old, new = names.site.new_username(), names.site.new_username()
    renamed = await names.create(old, at(MONDAY, 0))
    await names.session(old, at(MONDAY, 8), at(MONDAY, 9), 2_000)
    await names.session(old, at(TUESDAY, 8), at(TUESDAY, 9), 4_000)
    await names.rename(renamed, new, at(TUESDAY, 10))
    for counted in (False, True):
        if counted:
            await names.count(at(WEDNESDAY, 0, 2))
        assert (await names.used(renamed), await names.by_day(renamed)) == (6_000, {MONDAY: 2_000, TUESDAY: 4_000})

    taker = await names.create(old, at(TUESDAY, 11))
    assert (await names.used(renamed), await names.by_day(renamed)) == (6_000, {MONDAY: 2_000, TUESDAY: 4_000})
    assert (await names.used(taker), await names.by_day(taker)) == (0, {})
    await names.session(old, at(TUESDAY, 12), at(TUESDAY, 13), 500)
    await names.session(old, at(WEDNESDAY, 8), at(WEDNESDAY, 9), 70)
    for counted in (False, True):
        if counted:
            await names.count(at(WEDNESDAY, 23, 59))
        assert (await names.used(renamed), await names.by_day(renamed)) == (6_000, {MONDAY: 2_000, TUESDAY: 4_000})
        assert (await names.used(taker), await names.by_day(taker)) == (570, {TUESDAY: 500, WEDNESDAY: 70})


async def test_a_session_of_the_predecessor_that_goes_on_is_charged_to_nobody_else(names: Names) -> None:
    name = names.site.new_username()
    former = await names.create(name, at(date(2026, 10, 1), 0))
    await names.session(name, at(date(2026, 10, 20), 8), at(MONDAY, 23, 58), 50_000, whose=former, up=True)
    await names.count(at(TUESDAY, 0, 2))
    await names.terminate(former)
    present = await names.create(name, at(TUESDAY, 1))
    await names.session(name, at(date(2026, 10, 20), 8), at(TUESDAY, 23, 58), 80_000, whose=former, up=True)
    await names.session(name, at(TUESDAY, 9), at(TUESDAY, 23, 59), 5_000, whose=present, up=True)
    await names.count(at(WEDNESDAY, 0, 2))
    await names.session(name, at(date(2026, 10, 20), 8), at(WEDNESDAY, 11), 90_000, whose=former, up=True)
    await names.session(name, at(TUESDAY, 9), at(WEDNESDAY, 11), 7_000, whose=present, up=True)
    assert (await names.used(present), await names.caps.look()) == (7_000, 0)
    assert await names.by_day(present) == {TUESDAY: 5_000, WEDNESDAY: 2_000}


async def test_a_predecessors_session_that_hangs_is_of_no_day_after_its_last_word(names: Names) -> None:
    name = names.site.new_username()
    first, last = date(2026, 10, 30), date(2026, 11, 4)
    former = await names.create(name, at(date(2026, 10, 1), 0))
    await names.session(name, at(date(2026, 10, 1), 8), at(first, 8), 500_000, whose=former, up=True)
    await names.terminate(former)
    present = await names.create(name, at(first, 12))
    for number, day in enumerate(first + timedelta(days=each) for each in range((last - first).days)):
        await names.session(name, at(first, 13), at(day, 23, 58), 100 * (number + 1), whose=present, up=True)
        await names.count(at(day + timedelta(days=1), 0, 2))
    november = await names.usage(present, date(2026, 11, 1), last)
    assert {each["day"].day: each["output_octets"] for each in november["days"]} == {1: 100, 2: 100, 3: 100}
    assert (await names.usage(former, date(2026, 11, 1), last))["output_octets"] == 0

    names.now = at(last, 12)
    assert await names.used(present) == 300


@pytest.mark.parametrize("last_word", [at(MONDAY, 23, 58), at(TUESDAY, 0, 3)])
async def test_what_a_hanging_session_told_around_midnight_is_charged_to_nobody_else(
    names: Names, last_word: datetime
) -> None:
    name, began = names.site.new_username(), at(date(2026, 10, 20), 8)
    former = await names.create(name, at(date(2026, 10, 1), 0))
    await names.session(name, began, at(MONDAY, 23, 55), 50_000, whose=former, up=True)
    await names.count(at(TUESDAY, 0, 2))
    await names.session(name, began, last_word, 60_000, whose=former, up=True)  # which came behind that
    await names.terminate(former)
    present = await names.create(name, at(TUESDAY, 1))
    await names.session(name, at(TUESDAY, 9), at(TUESDAY, 23, 59), 5_000, whose=present, up=True)
    await names.count(at(WEDNESDAY, 0, 2))
    await names.session(name, at(TUESDAY, 9), at(WEDNESDAY, 11), 7_000, whose=present, up=True)
    assert await names.by_day(present) == {TUESDAY: 5_000, WEDNESDAY: 2_000}


async def test_a_day_of_which_no_session_is_kept_is_of_who_had_the_name_as_it_began(names: Names) -> None:
    name = names.site.new_username()
    former = await names.create(name, at(MONDAY, 0))
    await names.terminate(former)
    present = await names.create(name, at(TUESDAY, 1))
    async with names.site.radius_database.begin() as db:
        for number, day in enumerate((MONDAY, TUESDAY, WEDNESDAY), 1):
            said = {"username": name, "day": day, "since_day": day, "output_octets": number, "input_octets": 0}
            await db.execute(insert(radius_usage_daily).values(**said, session_seconds=0))
    assert (await names.by_day(former), await names.by_day(present)) == ({MONDAY: 1, TUESDAY: 2}, {WEDNESDAY: 3})
    assert await names.used(present) == 3


async def test_what_an_import_found_in_accounting_is_the_only_holders_whenever_it_was(names: Names) -> None:
    name = names.site.new_username()
    await names.session(name, at(MONDAY, 8), at(MONDAY, 9), 2_000)
    imported = await names.create(name, at(TUESDAY, 12) + timedelta(hours=1))
    assert (await names.used(imported), await names.by_day(imported)) == (2_000, {MONDAY: 2_000})
