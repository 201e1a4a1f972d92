"""The run page: the whole plan, what failed in words, results without secrets; and today's visits, each their own."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select, text, update

from provisioning.access import Permission
from provisioning.console import visits
from provisioning.console.destinations import linked, of_kept
from provisioning.field.tables import Visit
from provisioning.keeps import Kept, ways
from provisioning.ticks import has_ticks
from tests.support.command_line import parsed
from tests.support.console import Console
from workflows import show_run
from workflows.engine.tables import StepRow


async def test_a_run_shows_every_step_of_its_plan_why_it_is_held_and_what_it_keeps(any_console: Console) -> None:
    appliance = any_console.appliance
    async with appliance.database.read() as db:
        view = await show_run(db, 3, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    nora = await any_console.somebody("noc")
    page = (await nora.get("/runs/3")).text
    for step in view.steps:
        assert f"<strong>{step.name.replace('_', ' ')}</strong>" in page
    assert str(view.summary.reason) in page.replace("&#39;", "'")
    assert '<a href="/services/3">service 3</a>' in page and "c1003-s3@isp.example" in page
    assert '<a href="/customers/1003">customer 1003</a> <small>Customer 3</small>' in page
    for listed in ("/runs", "/queue"):
        assert "customer 1003, Customer 3" in (await nora.get(listed)).text
    part = (await nora.get("/runs/3/now")).text
    assert "<html" not in part and "<strong>get site survey</strong>" in part


async def test_a_run_of_an_installation_shows_its_ticks_and_what_each_is_seen_by(console: Console) -> None:
    nora = await console.somebody("noc")
    live, held = (await nora.get("/runs/1/now")).text, (await nora.get("/runs/3/now")).text
    ticks = ["bound", "authorised", "informed", "configured", "online"]
    assert re.findall(r'<li class="good" title="[^"]+">✓ (\w+)</li>', live) == ticks
    assert 'title="the CPE&#39;s Inform, as the ACS has kept it">✓ informed' in live
    seen = re.findall(r'<li class="good" title="[^"]+">✓ (\w+)</li>', held)
    waits = re.findall(r'<li title="run 3 is held at \w+: [^"]+">· (\w+)</li>', held)
    assert seen + waits == ticks and waits
    appliance = console.appliance
    async with appliance.database.read() as db:
        view = await show_run(db, 1, tenant_id=appliance.tenant_id, definitions=appliance.definitions)
    assert has_ticks(view) and not has_ticks(replace(view, steps=view.steps[:5]))  # another journey has no such steps


async def test_what_a_run_keeps_leads_to_its_pages_where_one_may_go_there(console: Console) -> None:
    page = (await (await console.somebody("noc")).get("/runs/3")).text
    assert '<a href="/customers/1003">customer 1003</a>' in page and '<a href="/subscribers/3">subscriber 3</a>' in page
    page = (await (await console.somebody("sales")).get("/runs/3")).text
    assert '<a href="/customers/1003">' in page and "subscriber 3" in page and "/subscribers/" not in page


@pytest.mark.parametrize(
    ("what", "particulars", "page"),
    [
        ("customer 7", "Grace Hopper, grace@customer.example", "/customers/7"),
        ("customer page", "https://isp.example/t/hopper", ""),  # has no page of its own, and is no customer
        ("CPE", "HWTC00000003, tr181-pppoe", "/devices/HWTC00000003"),
        ("subscription 7", "fiber-300", ""),
        ("quote 4", "accepted by Grace", "/quotes/4"),
        ("renewal quote 9", "", "/quotes/9"),
        ("visit 5", "Eva Novak", "/visits/5"),
        ("line order 5", "HWTC00000003 at OLT-1 0/1/3", "/line-orders/5"),  # is no order
        ("service 7", "198.51.100.6", ""),  # which they may not read
        ("order 24", "5.90 EUR, prepaid", ""),  # which they may not read
    ],
)
def test_what_has_a_number_leads_to_it_and_a_cpe_to_its_serial(what: str, particulars: str, page: str) -> None:
    may = {"customers.read", "devices.read", "lines.read", "quotes.read", "visits.read"}
    assert of_kept(Kept(what, particulars, "a step"), may) == page  # type: ignore[arg-type]


def test_what_a_sentence_names_by_its_number_is_a_link_for_who_may_go_there() -> None:
    told = "Line order 5 carries service 7 & <b>: `runs show 3`; order 24, visit 10 of customer 4009"
    may: set[Permission] = {"lines.read", "addresses.read", "runs.read", "customers.read"}
    assert linked("CPE 12345678", {"devices.read"}) == '<a href="/devices/12345678">CPE 12345678</a>'
    told_of_cpes = "ONT HWTC00000003 and CPE ZX-9.1; CPEs that wait, CPE settings, HWTC0000000Z and CPE H2 are none."
    assert linked(told_of_cpes, {"devices.read"}) == (
        'ONT <a href="/search/device?serial=HWTC00000003">HWTC00000003</a> and CPE'
        ' <a href="/search/device?serial=ZX-9.1">ZX-9.1</a>; CPEs that wait, CPE settings, HWTC0000000Z and CPE H2 are'
        " none."
    )
    assert linked(told_of_cpes, may) == told_of_cpes
    assert linked("service/7", may) == '<a href="/services/7">service/7</a>'
    assert linked(told, may) == (
        '<a href="/line-orders/5">Line order 5</a> carries <a href="/services/7">service 7</a> &amp; &lt;b&gt;:'
        " <code>runs show 3</code>; order 24, visit 10 of"
        ' <a href="/customers/4009">customer 4009</a>'
    )


async def test_a_cpe_that_refused_its_settings_may_be_spared_what_it_refused(console: Console) -> None:
    async with console.appliance.database.read() as db:
        held = await show_run(db, 3, tenant_id=console.appliance.tenant_id, definitions=console.appliance.definitions)
    assert ways(held) == []  # another port than the planned one is no matter of the CPE's
    bound = {"device_serial": "HWTC00000003", "template": "tr181-pppoe"}
    steps = [replace(step, result=bound if step.name == "provision_device" else step.result) for step in held.steps]
    refused = replace(held, summary=replace(held.summary, reason_code="acs.settings_refused"), steps=steps)
    [way] = ways(refused)
    assert way.command == "firstlight devices override HWTC00000003 PATH=null --reason WHY"
    bound["device_serial"] = "-ZX~9"
    [way] = ways(refused)
    typed = parsed(way.command)
    assert (typed["serial"], typed["changes"], typed["reason"]) == ("-ZX~9", ["PATH=null"], "WHY")


async def test_no_secret_of_a_result_is_shown_and_nothing_of_it_is_taken_for_markup(console: Console) -> None:
    async with console.appliance.database.begin() as db:
        one = (StepRow.run_id == 1, StepRow.step == "visit")
        told = json.loads(str(await db.scalar(select(StepRow.result).where(*one))))
        told |= {"note": "<script>alert(1)</script>"}
        await db.execute(update(StepRow).where(*one).values(result=json.dumps(told)))
    page = (await (await console.somebody("noc")).get("/runs/1")).text
    assert "<script>alert" not in page and "&lt;script&gt;alert(1)" in page
    assert "secret:subscriber" in page  # a reference, which opens nothing
    async with console.appliance.database.begin() as db:
        password = await console.appliance.vault.reveal(db, "secret:subscriber/1")
    assert password not in page


async def test_a_list_goes_on_where_its_page_ends(console: Console) -> None:
    nora = await console.somebody("noc")
    async with console.appliance.database.begin() as db:
        columns = [row[1] for row in await db.execute(text("PRAGMA table_info(run)"))]
        for number in range(100, 160):
            values = ", ".join({"id": str(number), "business_key": f"'k{number}'"}.get(c, f'"{c}"') for c in columns)
            names = ", ".join(f'"{c}"' for c in columns)
            await db.execute(text(f"INSERT INTO run ({names}) SELECT {values} FROM run WHERE id = 1"))
    first = (await nora.get("/runs")).text
    assert 'href="/runs/159"' in first and 'href="/runs/109"' not in first and 'data-topics="runs"' in first
    address = first.partition('<p><a href="/runs?')[2].partition('"')[0].replace("&amp;", "&")
    second = (await nora.get(f"/runs?{address}")).text
    assert 'href="/runs/109"' in second and 'href="/runs/3"' in second and "data-topics" not in second


async def test_only_the_newest_runs_of_all_say_that_they_are_live(console: Console) -> None:
    nora, partner = await console.somebody("noc"), await console.somebody("partner")
    assert 'data-topics="runs"' in (await nora.get("/runs")).text
    for narrowed in ("state=held", "journey=isp_ticket_to_deployment", "customer=1003"):
        page = (await nora.get(f"/runs?{narrowed}")).text
        assert "data-topics" not in page and 'id="live"' not in page, narrowed
    assert "data-topics" not in (await partner.get("/runs")).text


async def test_of_many_visits_the_number_is_that_of_the_day_and_the_list_goes_on(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visits, "ON_A_PAGE", 1)
    now = console.appliance.clock()
    async with console.appliance.database.begin() as db:
        gone = {"starts_at": now - timedelta(days=3), "ends_at": now - timedelta(days=2)}
        await db.execute(update(Visit).where(Visit.id > 2).values(**gone))
        for number in (1, 2):
            today = {"starts_at": now, "ends_at": now + timedelta(seconds=number), "technician_id": 7000 + number}
            await db.execute(update(Visit).where(Visit.id == number).values(**today))
    dispatch = await console.somebody("dispatch")
    first = (await dispatch.get("/visits")).text
    assert '<p class="lead">2 visits on ' in first and "visit 1<" in first and "visit 2<" not in first
    link = re.search(r'<a href="(/visits\?[^"]+)">Later ones', first)
    assert link is not None
    second = (await dispatch.get(link[1].replace("&amp;", "&"))).text
    assert '<p class="lead">2 visits on ' in second and "visit 2<" in second and "visit 1<" not in second
    assert "Later ones" not in second


async def test_a_technician_sees_today_s_own_visits_and_dispatch_all(console: Console) -> None:
    now = console.appliance.clock()
    today = {"starts_at": now, "ends_at": now + timedelta(minutes=1)}
    async with console.appliance.database.begin() as db:
        await db.execute(update(Visit).where(Visit.id == 2).values(**today, technician_id=7002, address="1 Own Street"))
        await db.execute(update(Visit).where(Visit.id == 1).values(starts_at=now - timedelta(days=3)))
        await db.execute(update(Visit).where(Visit.id == 1).values(ends_at=now - timedelta(days=2)))
    dispatch = (await (await console.somebody("dispatch")).get("/visits")).text
    assert "1 Own Street" in dispatch and "visit 1<" not in dispatch
    technician = await console.somebody("technician")
    assert "1 Own Street" not in (await technician.get("/visits")).text
    async with console.appliance.database.begin() as db:
        await db.execute(text("UPDATE console_user SET technician_id = 7002 WHERE login_name = 'technician'"))
    assert "1 Own Street" in (await technician.get("/visits")).text
