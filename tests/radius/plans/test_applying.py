"""Plans that are defined anew: what NASes would be told, who is on them, and sessions that are told of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text, update

from radius import AppliedPlan, DialectUnknown, PlanChanges, PlanRefused, PlanTerms, tell_of_plan
from radius.tables import FormerPlanTerms, Plan
from tests.radius.conftest import PLAN, Site
from tests.radius.online import FASTER, GARDEN, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


def plan_changes(line: Line) -> PlanChanges:
    site = line.site
    return PlanChanges(site.database.begin, site.radius_database.begin, tenant_id=site.tenant_id, now=line.now)


async def define(line: Line, **terms: Any) -> None:
    async with line.site.database.begin() as db:
        given = PlanTerms(**{"download_kbps": 300_000, "upload_kbps": 60_000, **terms})
        await line.site.service(db).define_plan(name=PLAN, terms=given)
    line.behind = timedelta(0)


async def test_open_sessions_of_a_plan_that_was_changed_are_counted_told_once_and_proven(line: Line) -> None:
    plans = plan_changes(line)
    assert await plans.behind(PLAN) == 0  # it has not been changed
    await line.site.active()  # who is not online
    await define(line)
    assert (await plans.behind(PLAN), await plans.behind(FASTER)) == (1, 0)
    assert await plans.apply(PLAN) == AppliedPlan(plan=PLAN, subscribers=1, sessions=1)
    assert await plans.apply(PLAN) == AppliedPlan(plan=PLAN, subscribers=0, sessions=0)

    assert await line.changes.deliver_due() == 1

    [request] = line.nas.disconnects.requests
    assert (request.code, request.attributes["Mikrotik-Rate-Limit"]) == (43, "60000k/300000k")
    assert await plans.behind(PLAN) == 0
    await define(line, upload_kbps=50_000)
    assert await plans.behind(PLAN) == 1


async def say(line: Line, dialect: str = "mikrotik", **terms: Any) -> None:
    """What the plan has said for a week, at a NAS of this dialect."""
    async with line.site.database.begin() as db:
        nas: dict[str, Any] = {
            "name": line.nas.name,
            "address": line.nas.source_address,
            "coa_port": line.nas.disconnects.port,
        }
        await line.site.service(db).define_nas(**nas, dialect=dialect)
    await define(line, **terms)
    async with line.site.database.begin() as db:
        a_week_ago = datetime.now(UTC) - timedelta(days=7)
        await db.execute(update(FormerPlanTerms).values(since=a_week_ago, until=a_week_ago))
        await db.execute(update(Plan).values(updated_at=a_week_ago))


async def asked(line: Line) -> list[tuple[int, dict[str, Any]]]:
    await plan_changes(line).apply(PLAN)
    await line.changes.deliver_due()
    return [(request.code, request.attributes) for request in line.nas.disconnects.requests]


@pytest.mark.parametrize(
    ("dialect", "former", "wanted"),
    [
        ("mikrotik", {"garden_filter": "unpaid"}, {}),
        ("juniper", {"vrf": "home"}, {"vrf": "office"}),
        ("juniper", {"vrf": "home"}, {}),
    ],
)
async def test_a_session_ends_where_its_plan_says_no_more_what_it_has(
    line: Line, dialect: str, former: dict[str, Any], wanted: dict[str, Any]
) -> None:
    await say(line, dialect, **former)
    await define(line, **wanted)
    assert [code for code, _ in await asked(line)] == [40]


async def test_another_rate_ends_no_session_where_the_former_one_is_withdrawn_by_its_value(line: Line) -> None:
    await say(line, "juniper")
    for rate in (200_000, 100_000):
        await define(line, download_kbps=rate)
        async with line.site.database.begin() as db:  # two days ago, and now
            two_days_ago = datetime.now(UTC) - timedelta(days=2)
            await db.execute(update(Plan).where(Plan.download_kbps == 200_000).values(updated_at=two_days_ago))
            former = update(FormerPlanTerms).where(FormerPlanTerms.until > two_days_ago)
            if rate == 200_000:
                await db.execute(former.values(until=two_days_ago))
    [(code, said)] = await asked(line)
    assert (code, said["ERX-Service-Activate"]) == (43, said["ERX-Service-Activate"])
    assert "200000" in str(said["ERX-Service-Deactivate"])
    assert "300000" not in str(said["ERX-Service-Deactivate"])


async def test_a_few_at_a_time_are_told_without_looking_who_is_online(line: Line) -> None:
    other = replace(line, subscriber=await line.site.active())
    await define(line)
    # who was told since has it already, and who got another password was told nothing
    await line.act("suspend", garden=GARDEN)
    await other.act("rotate_password")
    site, told = line.site, []
    for limit in (1, 5):
        async with site.database.begin() as db:
            told.append(await tell_of_plan(db, tenant_id=site.tenant_id, plan=PLAN, limit=limit, now=line.now()))
    assert [(each["subscribers"], each["sessions"]) for each in told] == [(1, None), (0, None)]
    async with site.database.begin() as db:
        await site.service(db).define_plan(name=GARDEN, terms=PlanTerms(download_kbps=64, upload_kbps=64))
        garden = await tell_of_plan(db, tenant_id=site.tenant_id, plan=GARDEN, limit=5, now=datetime.now(UTC))
        listed = {each["name"]: each for each in await site.service(db).plans()}
    assert garden["subscribers"] == 1
    assert [(listed[name]["subscribers"], listed[name]["in_garden"]) for name in (PLAN, GARDEN)] == [(2, 0), (0, 1)]


async def test_what_nases_would_be_told_is_shown_without_writing_it(site: Site) -> None:
    terms = PlanTerms(download_kbps=5_000_000, upload_kbps=1000, vrf="home")
    async with site.database.begin() as db:
        service = site.service(db)
        told = {each["dialect"]: each for each in await service.render_plan(name="new", terms=terms)}
        [every, huawei] = await service.render_plan(name="new", terms=terms, dialect="huawei")
        with pytest.raises(DialectUnknown):
            await service.render_plan(name=PLAN, dialect="cisco-from-1998")
        with pytest.raises(PlanRefused):
            await service.render_plan(name="a b", terms=terms)
        assert [plan["name"] for plan in await service.plans()] == [PLAN]
    assert every["dialect"] == "every"
    group, kept = f"{site.tenant_id}/new", f"{site.tenant_id}/new:vrf"
    assert {(row["group"], row["attribute"]) for row in every["rows"]} == {
        *((group, each) for each in ("Service-Type", "Framed-Protocol", "Acct-Interim-Interval")),
        (kept, "Fall-Through"),
    }
    assert huawei == told["huawei"]
    [fault] = huawei["faults"]
    assert (huawei["rows"], "a NAS of dialect huawei can be told 4294967 kbit/s at most" in fault) == ([], True)
    vrf = {"table": "radgroupreply", "attribute": "ERX-Virtual-Router-Name", "op": "=", "value": "home"}
    assert [row for row in told["juniper"]["rows"] if row["attribute"] == vrf["attribute"]] == [
        {**vrf, "group": f"{group}:juniper"},
        {**vrf, "group": f"{kept}:juniper"},
    ]
    assert (told["mikrotik"]["rows"], told["mikrotik"]["faults"]) == (
        [],
        ["a NAS of dialect mikrotik cannot be told a VRF"],
    )


async def test_what_is_shown_of_a_plan_is_all_that_is_written_of_it(site: Site) -> None:
    rate = {"download_kbps": 50_000, "upload_kbps": 1000, "vrf": "home", "dns_ipv4": ("192.0.2.1",)}
    plans = {
        "reject": PlanTerms(**rate, where_untold="refuse_login", second_login="reject"),  # type: ignore[arg-type]
        "allow": PlanTerms(**rate, where_untold="refuse_login", second_login="allow"),  # type: ignore[arg-type]
    }
    async with site.database.begin() as db:
        for name, terms in plans.items():
            await site.service(db).define_plan(name=name, terms=terms)
        told = {name: await site.service(db).render_plan(name=name) for name in plans}
    await site.projector.project_plans()

    for name, each in told.items():
        shown = {tuple(row.values()) for of_one in each for row in of_one["rows"]}
        written = set[tuple[str, ...]]()
        async with site.radius_database.begin() as db:
            for table in ("radgroupreply", "radgroupcheck"):
                theirs = text(f"SELECT groupname, attribute, op, value FROM {table} WHERE groupname LIKE :group")
                rows = await db.execute(theirs, {"group": f"{site.tenant_id}/{name}%"})
                written |= {(table, *row) for row in rows}
        assert shown == written
    [checked] = [row for row in told["allow"][0]["rows"] if row["table"] == "radgroupcheck"]
    assert (checked["group"], checked["attribute"]) == (f"{site.tenant_id}/allow:second-login", "Simultaneous-Use")
    [untold] = [each for each in told["reject"] if each["dialect"] == "mikrotik"]
    assert [(row["group"], row["attribute"], row["value"]) for row in untold["rows"]] == [
        (f"{site.tenant_id}/reject:{piece}:mikrotik", "Firstlight-Untold", piece) for piece in ("dns", "vrf")
    ]
