"""A walled garden over a plan that addresses its lines: what the real FreeRADIUS says of both, and to open sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import update

from radius import FramedAddresses, GardenUnfit, PlanRefused, PlanTerms
from radius.tables import FormerPlanTerms, Plan
from radius.testing import LabSession
from tests.radius.conftest import ADDRESSES, PLAN, Site
from tests.radius.online import FASTER, GARDEN, Line, go_online


@pytest.fixture
async def line(site: Site) -> AsyncIterator[Line]:
    async for made in go_online(site):
        yield made


async def define(site: Site, name: str, **terms: Any) -> None:
    async with site.database.begin() as db:
        given = {"download_kbps": 100_000, "upload_kbps": 20_000, **terms}
        await site.service(db).define_plan(name=name, terms=PlanTerms(**given))
    await site.projector.project_plans()


async def test_a_session_goes_on_in_a_policy_garden_with_the_pools_of_its_plan(line: Line) -> None:
    site = line.site
    pools = {"ipv4_pool": "cgnat", "ipv6_delegated_pool": "homes"}
    await define(site, PLAN, **pools)
    async with site.database.begin() as db:  # no session of these tests can have begun before a plan was changed
        a_week_ago = datetime.now(UTC) - timedelta(days=7)
        await db.execute(update(FormerPlanTerms).values(since=a_week_ago, until=a_week_ago))
        await db.execute(update(Plan).values(updated_at=a_week_ago))
    subscriber = await site.active(FramedAddresses())
    pooled = Line(site, line.nas, subscriber, LabSession("nobody"))
    pooled.session = LabSession.after(subscriber["username"], await pooled.login())
    await line.nas.accounting_start(pooled.session)

    told = await pooled.changes.deliver((await pooled.act("suspend", garden=GARDEN))["change_id"])

    inside = await pooled.login()
    assert [inside.attributes[name] for name in ("Framed-Pool", "Mikrotik-Delegated-IPv6-Pool")] == [
        ("cgnat",),
        ("homes",),
    ]
    assert (inside.rate_limit, inside.attributes["Mikrotik-Address-List"]) == ("500k/1000k", ("unpaid",))
    assert [one["said"] for one in told["sessions"]] == ["changed"]


async def test_in_a_garden_a_line_stays_in_its_vrf_and_asks_the_gardens_name_servers_if_it_has_some(site: Site) -> None:
    await define(site, PLAN, vrf="home", dns_ipv4=("192.0.2.1",), dns_ipv6=("2001:db8::1",))
    await define(site, GARDEN, download_kbps=1000, upload_kbps=500, garden_filter="unpaid")
    subscriber = await site.active()
    nas = await site.nas("huawei")
    line = Line(site, nas, subscriber, LabSession("nobody"))
    await line.act("suspend", garden=GARDEN)
    await site.projector.project_subscriber(line.id)
    kept = ("Huawei-VPN-Instance", "Huawei-Primary-DNS", "Huawei-DNS-Server-IPv6-address")

    inside = await line.login()
    assert (inside.code, inside.framed_ip_address) == ("Access-Accept", ADDRESSES.ipv4)
    assert [inside.attributes.get(name) for name in kept[:2]] == [("home",), ("192.0.2.1",)]
    assert inside.attributes["Huawei-Output-Average-Rate"] == ("1000000",)
    assert "Fall-Through" not in inside.attributes

    await define(site, GARDEN, download_kbps=1000, upload_kbps=500, garden_filter="unpaid", dns_ipv4=("192.0.2.99",))
    async with site.database.begin() as db:
        assert (await site.service(db).subscriber(subscriber_id=line.id))["projected"] is False
    await site.projector.project_subscriber(line.id)
    inside = await line.login()
    assert [inside.attributes.get(name) for name in kept] == [("home",), ("192.0.2.99",), None]
    assert await site.projector.drift() == []


async def test_a_garden_lets_nobody_in_where_what_stays_of_the_plan_cannot_be_told(site: Site) -> None:
    # no Huawei can be told its cap, nor its rate; its VRF one can
    rate = {"download_kbps": 10_000_000, "upload_kbps": 10_000_000}
    await define(site, PLAN, **rate, vrf="home", session_cap_megabytes=100, where_untold="refuse_login")
    await define(site, GARDEN, download_kbps=1000, upload_kbps=500, garden_filter="unpaid")
    subscriber = await site.active()
    name, password = subscriber["username"], await site.password(subscriber)
    huawei, mikrotik = await site.nases(["huawei", "mikrotik"])
    async with site.database.begin() as db:
        untold = [await site.service(db).untold_plans(plan=PLAN, over=over) for over in (None, GARDEN)]
    assert [[each["nas"] for each in of_one] for of_one in untold] == [[huawei.name, mikrotik.name], [mikrotik.name]]
    assert untold[1][0]["faults"] == ["a NAS of dialect mikrotik cannot be told a VRF"]
    assert [(await nas.login(name, password)).code for nas in (huawei, mikrotik)] == ["Access-Reject"] * 2
    line = Line(site, huawei, subscriber, LabSession("nobody"))
    await line.act("suspend", garden=GARDEN)
    await site.projector.project_subscriber(line.id)

    inside, outside = [await nas.login(name, password) for nas in (huawei, mikrotik)]

    assert (inside.code, inside.attributes["Huawei-VPN-Instance"]) == ("Access-Accept", ("home",))
    assert (outside.code, outside.first("Reply-Message")) == (
        "Access-Reject",
        "No rate is known for this line at this NAS.",
    )
    assert await site.projector.drift() == []


async def test_what_is_not_told_to_every_nas_is_no_garden(line: Line) -> None:
    terms = {"download_kbps": 1000, "upload_kbps": 500, "garden_filter": "unpaid"}
    await define(line.site, GARDEN, **terms, where_untold="refuse_login")
    with pytest.raises(GardenUnfit, match=r"Garden garden is not told to every NAS \(where_untold\)"):
        await line.act("suspend", garden=GARDEN)
    await define(line.site, GARDEN, **terms)
    await line.act("suspend", garden=GARDEN)
    with pytest.raises(PlanRefused, match="it serves 1 subscribers in place of their own plan"):
        await define(line.site, GARDEN, **terms, where_untold="refuse_login")


async def test_a_garden_of_another_access_is_refused(line: Line) -> None:
    await define(line.site, FASTER, access="ipoe")
    with pytest.raises(GardenUnfit, match="is for ipoe lines"):
        await line.act("suspend", garden=FASTER)
    await line.act("suspend", garden=GARDEN)
    with pytest.raises(GardenUnfit):
        await line.act("change_plan", plan=FASTER)


async def test_a_plan_is_no_garden_for_who_has_it(line: Line) -> None:
    with pytest.raises(GardenUnfit, match=f"Plan {PLAN} can't be a walled garden for who has it"):
        await line.act("suspend", garden=PLAN)
    await line.act("suspend", garden=GARDEN)
    with pytest.raises(GardenUnfit, match=f"Plan {GARDEN} can't be"):
        await line.act("change_plan", plan=GARDEN)
