"""What a used-up data cap does to a subscriber: to FreeRADIUS, to the session that is open, and until when."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from radius import (
    CapCrossing,
    CapPeriod,
    DataCaps,
    DataCapView,
    NoDataCap,
    PlanRefused,
    PlanTerms,
    SubscriberVerbs,
    SubscriberView,
)
from radius.caps.tables import DataCapEvent
from radius.coa.tables import SessionChange
from radius.projection.freeradius_tables import radacct
from radius.sessions.tables import radius_usage_daily
from radius.tables import FormerPlanTerms, Plan, Subscriber
from tests.radius.conftest import ADDRESSES, PLAN, Site
from tests.radius.online import FASTER, GARDEN, Line, go_online

GIGABYTE = 10**9
SLOW = "slow"
UTC_ZONE = ZoneInfo("UTC")


@dataclass
class Capped:
    """A line on a plan with a data cap, and the look of the worker. ``ahead`` moves the clock of that look."""

    line: Line
    ahead: timedelta = timedelta(0)
    told: list[CapCrossing] = field(default_factory=list)
    billing_day: int | None = None

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    @property
    def caps(self) -> DataCaps:
        site = self.line.site

        async def days(_db: AsyncSession, service_ids: Collection[int]) -> Mapping[int, int]:
            return {} if self.billing_day is None else dict.fromkeys(service_ids, self.billing_day)

        async def tell(_db: AsyncSession, crossing: CapCrossing) -> None:
            self.told.append(crossing)

        return DataCaps(
            site.database.begin,
            site.radius_database.begin,
            read=site.database.begin,
            tenant_id=site.tenant_id,
            now=self.now,
            secrets=site.secrets,
            zone=UTC_ZONE,
            billing_days=days,
            tell=tell,
        )

    async def use(self, octets: int) -> None:
        """So much in all of this month, by the session that is open."""
        async with self.line.site.radius_database.begin() as db:
            mine = update(radacct).where(radacct.c.username == self.line.subscriber["username"])
            await db.execute(mine.values(acctoutputoctets=octets, acctinputoctets=0))

    async def look(self) -> list[tuple[str, str]]:
        before = len(self.told)
        await self.caps.look()
        return [(each.kind, each.served_by) for each in self.told[before:]]

    async def stands(self) -> DataCapView:
        found = await self.caps.of(self.line.id)
        assert found is not None
        return found

    async def period(self) -> CapPeriod:
        async with self.line.site.database.begin() as db:
            return await self.caps.period_of(db, None)

    async def subscriber(self) -> SubscriberView:
        async with self.line.site.database.begin() as db:
            return await self.line.site.service(db).subscriber(subscriber_id=self.line.id)

    async def next_month(self) -> None:
        self.ahead = (await self.stands())["until"] - datetime.now(UTC) + timedelta(minutes=1)
        async with self.line.site.radius_database.begin() as db:  # what the nightly count has noted by then
            name = self.line.subscriber["username"]
            used = await db.scalar(select(radacct.c.acctoutputoctets).where(radacct.c.username == name))
            day = datetime.now(UTC).date()
            said: dict[str, Any] = {"username": name, "day": day, "since_day": day, "output_octets": used}
            await db.execute(insert(radius_usage_daily).values(**said, input_octets=0, session_seconds=0))
            await db.execute(update(radacct).where(radacct.c.username == name).values(acctoutputoctets=0))


async def define(site: Site, name: str, **terms: Any) -> None:
    async with site.database.begin() as db:
        given = {"download_kbps": 100_000, "upload_kbps": 20_000, "second_login": "allow", **terms}
        await site.service(db).define_plan(name=name, terms=PlanTerms(**given))
        a_week_ago = datetime.now(UTC) - timedelta(days=7)  # no session of these tests can have begun before
        await db.execute(update(Plan).values(updated_at=a_week_ago))
        await db.execute(update(FormerPlanTerms).values(since=a_week_ago, until=a_week_ago))


@pytest.fixture
async def capped(site: Site) -> AsyncIterator[Capped]:
    """100 GB in both directions; then a tenth of a megabit."""
    async for line in go_online(site):
        await define(site, SLOW, download_kbps=1000, upload_kbps=500)
        await define(site, PLAN, data_cap_octets=100 * GIGABYTE, at_cap="throttle", cap_plan=SLOW)
        async with site.radius_database.begin() as db:  # the month may be an hour old
            now = datetime.now(UTC)
            mine = update(radacct).where(radacct.c.username == line.subscriber["username"])
            await db.execute(mine.values(acctstarttime=now, acctupdatetime=now))
        await site.projector.project_plans()
        yield Capped(line)


async def changes(capped: Capped) -> list[str]:
    async with capped.line.site.database.begin() as db:
        return list(await db.scalars(select(SessionChange.act).order_by(SessionChange.id)))


async def test_a_used_up_cap_throttles_the_session_and_the_next_login_until_the_month_turns(capped: Capped) -> None:
    line = capped.line
    await capped.use(79 * GIGABYTE)
    assert await capped.look() == []
    await capped.use(80 * GIGABYTE)
    assert [await capped.look(), await capped.look()] == [[("warned", PLAN)], []]
    assert (await line.login()).rate_limit == "20000k/100000k"

    await capped.use(101 * GIGABYTE)
    assert [await capped.look(), await capped.look()] == [[("reached", SLOW)], []]
    line.behind = timedelta(0)
    await line.changes.deliver_due()
    [request] = line.nas.disconnects.requests
    assert (request.code, request.attributes["Mikrotik-Rate-Limit"]) == (43, "500k/1000k")
    inside = await line.login()
    assert (inside.code, inside.framed_ip_address, inside.rate_limit) == ("Access-Accept", ADDRESSES.ipv4, "500k/1000k")
    stands = await capped.stands()
    assert (stands["used_octets"], stands["allowance_octets"], stands["level"], stands["served_by"]) == (
        101 * GIGABYTE,
        100 * GIGABYTE,
        "reached",
        SLOW,
    )
    assert (await capped.subscriber())["capped"] == SLOW
    assert await line.site.projector.drift() == []

    await capped.next_month()
    assert [await capped.look(), await capped.look()] == [[("ended", PLAN)], []]
    line.behind = -capped.ahead
    await line.changes.deliver_due()
    assert line.nas.disconnects.requests[-1].attributes["Mikrotik-Rate-Limit"] == "20000k/100000k"
    assert (await line.login()).rate_limit == "20000k/100000k"
    assert (await capped.stands())["used_octets"] == 0
    async with line.site.database.begin() as db:
        noted = await db.execute(select(DataCapEvent.ordinal, DataCapEvent.kind).order_by(DataCapEvent.ordinal))
        assert [tuple(row) for row in noted] == [(1, "warned"), (2, "reached"), (3, "ended")]


async def test_a_used_up_cap_may_lead_into_a_garden_or_be_told_of_alone(capped: Capped) -> None:
    line = capped.line
    await capped.use(200 * GIGABYTE)
    await define(line.site, PLAN, data_cap_octets=100 * GIGABYTE)
    assert await capped.look() == [("reached", PLAN)]
    assert (await changes(capped)) == []

    await define(line.site, PLAN, data_cap_octets=100 * GIGABYTE, at_cap="garden", cap_plan=GARDEN)
    assert await capped.look() == []  # it was told of
    assert (await changes(capped)) == ["cap"]
    await line.site.projector.project_subscriber(line.id)
    inside = await line.login()
    assert (inside.framed_ip_address, inside.attributes["Mikrotik-Address-List"]) == (ADDRESSES.ipv4, ("unpaid",))


async def test_a_lifted_cap_is_over_for_the_month_or_for_so_many_octets(capped: Capped) -> None:
    await capped.use(101 * GIGABYTE)
    await capped.look()
    period = await capped.period()
    for _ in range(2):  # once per request
        await capped.line.act("lift_cap", period=period, octets=50 * GIGABYTE, request_id="topped up")
    assert (await capped.subscriber())["capped"] is None
    assert (await capped.stands())["allowance_octets"] == 150 * GIGABYTE
    assert await capped.look() == []
    await capped.use(151 * GIGABYTE)
    assert await capped.look() == [("reached", SLOW)]

    await capped.line.act("lift_cap", period=period)
    assert await capped.look() == []
    assert ((await capped.subscriber())["capped"], (await capped.stands())["allowance_octets"]) == (None, None)
    await capped.next_month()
    assert (await capped.stands())["allowance_octets"] == 100 * GIGABYTE
    await capped.line.act("change_plan", plan=FASTER)
    with pytest.raises(NoDataCap):
        await capped.line.act("lift_cap", period=period)


WAYS: tuple[tuple[tuple[tuple[str, dict[str, Any]], ...], tuple[str, str | None, str | None], list[str]], ...] = (
    ((("suspend", {}),), ("suspended", SLOW, None), ["cap", "suspend"]),
    ((("suspend", {}), ("resume", {})), ("active", SLOW, SLOW), ["cap", "suspend", "resume"]),
    ((("suspend", {"garden": GARDEN}),), ("suspended", SLOW, GARDEN), ["cap", "suspend"]),
    ((("change_plan", {"plan": FASTER}),), ("active", None, None), ["cap", "change_plan"]),
    # as much is used, and it is known
    ((("change_plan", {"plan": "other-100"}),), ("active", SLOW, SLOW), ["cap", "change_plan"]),
    (
        (("change_plan", {"plan": FASTER}), ("change_plan", {"plan": PLAN})),
        ("active", SLOW, SLOW),
        ["cap", "change_plan", "change_plan"],
    ),
    ((("rename", {"username": "renamed@isp.example"}),), ("active", SLOW, SLOW), ["cap", "rename"]),
    ((("terminate", {}),), ("terminated", None, None), ["cap", "terminate"]),
)


@pytest.mark.parametrize(("acts", "stands", "told"), WAYS, ids=["-".join(act for act, _ in way[0]) for way in WAYS])
async def test_whoever_is_throttled_stays_so_through_other_acts(
    capped: Capped,
    acts: tuple[tuple[str, dict[str, Any]], ...],
    stands: tuple[str, str | None, str | None],
    told: list[str],
) -> None:
    line = capped.line
    other = {"data_cap_octets": 90 * GIGABYTE, "at_cap": "throttle", "cap_plan": SLOW}
    await define(line.site, "other-100", **other)
    await line.site.projector.project_plans()
    await capped.use(101 * GIGABYTE)
    await capped.look()
    for verb, said in acts:
        await line.act(verb, **said)
    await capped.look()
    async with line.site.database.begin() as db:
        subscriber = await db.get_one(Subscriber, line.id)
        names = [
            None if number is None else (await db.get_one(Plan, number)).name
            for number in (subscriber.capped_plan_id, subscriber.over_plan_id)
        ]
    assert (subscriber.state, *names) == stands
    assert await changes(capped) == told
    await line.site.projector.project_subscriber(line.id)
    assert await line.site.projector.drift() == []


async def test_what_was_used_under_a_former_name_counts_and_what_nobody_can_split_does_not(capped: Capped) -> None:
    line, today = capped.line, datetime.now(UTC).date()
    await capped.use(60 * GIGABYTE)
    name = line.subscriber["username"]
    await line.act("rename", username=line.site.new_username())
    first = (await capped.period()).first_day
    days = {"day": today, "output_octets": 30 * GIGABYTE, "input_octets": 10 * GIGABYTE, "session_seconds": 1}
    async with line.site.radius_database.begin() as db:
        await db.execute(delete(radius_usage_daily).where(radius_usage_daily.c.username == name))
        for since in (first, first - timedelta(days=1)):
            await db.execute(insert(radius_usage_daily).values(username=name, since_day=since, **days))
    assert (await capped.stands())["used_octets"] == 100 * GIGABYTE
    assert await capped.look() == [("reached", SLOW)]


async def test_a_plan_that_cannot_serve_at_a_cap_is_refused(site: Site) -> None:
    cap = {"data_cap_octets": GIGABYTE, "at_cap": "throttle"}
    await define(site, GARDEN, download_kbps=1000, upload_kbps=500, garden_filter="unpaid")
    await define(site, "ipoe", download_kbps=1000, upload_kbps=500, access="ipoe")
    await define(site, SLOW, download_kbps=1000, upload_kbps=500)
    for terms, reason in (
        ({"at_cap": "throttle", "cap_plan": SLOW}, "need data_cap_octets"),
        ({"data_cap_octets": GIGABYTE, "cap_plan": SLOW}, "cap_plan needs at_cap"),
        (cap, "needs cap_plan"),
        ({**cap, "at_cap": "stop"}, "at_cap is 'stop'"),
        ({**cap, "cap_plan": "nothing"}, "is no plan"),
        ({**cap, "cap_plan": PLAN}, "is that plan itself"),
        ({**cap, "cap_plan": "ipoe"}, "is for ipoe lines"),
        ({**cap, "cap_plan": GARDEN}, "is a walled garden"),
        ({**cap, "at_cap": "garden", "cap_plan": SLOW}, "is no walled garden"),
        ({**cap, "cap_plan": SLOW, "download_kbps": 500}, "is faster than"),
    ):
        with pytest.raises(PlanRefused, match=reason):
            await define(site, PLAN, **terms)
    await define(site, PLAN, **cap, cap_plan=SLOW)
    with pytest.raises(PlanRefused, match=r"is not told to every NAS \(where_untold\), and would shut lines out"):
        await define(site, SLOW, download_kbps=1000, upload_kbps=500, where_untold="refuse_login")
    await define(site, PLAN, **cap, cap_plan=SLOW, where_untold="refuse_login")
    with pytest.raises(PlanRefused, match="would shut lines out"):
        await define(site, SLOW, download_kbps=1000, upload_kbps=500, where_untold="refuse_login")
    with pytest.raises(PlanRefused, match="is for ipoe lines"):
        await define(site, SLOW, download_kbps=1000, upload_kbps=500, access="ipoe")


async def test_use_of_a_month_that_is_over_or_is_another_one_by_now_throttles_nobody(capped: Capped) -> None:
    site, whole, month = capped.line.site, 101 * GIGABYTE, await capped.period()
    over = replace(month, ends=datetime.now(UTC))
    begun_since = replace(month, begins=month.begins + timedelta(hours=1))

    async def keep(period: CapPeriod, used_octets: int) -> list[str]:
        async with site.database.begin() as db:
            verbs = SubscriberVerbs(db, tenant_id=site.tenant_id, now=capped.now, secrets=site.secrets)
            kept = await verbs.keep_to_cap(subscriber_id=capped.line.id, period=period, used_octets=used_octets)
            return [each.kind for each in kept]

    assert await keep(over, whole) == []  # it turned between the look and the act
    assert await keep(month, whole) == ["reached"]
    assert await keep(month, 0) == [], "what was known of this month stays known"
    assert await keep(begun_since, 0) == ["ended"], "the subscription's own month began after the calendar's"
