"""How what was done at a visit is sent: what holds up what, what counts as an answer, and what one decides."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import timedelta

import pytest
from playwright.async_api import Route, expect

from provisioning.field import Visits
from tests.support.browser import Machine
from tests.support.lab import JourneyLab
from tests.support.technician import (
    acts_of,
    forgive,
    keep_photo,
    open_day,
    photos_of,
    scan,
    unfold,
    visited_today,
    write_down,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.second_half
async def test_what_the_server_can_t_take_holds_up_only_what_comes_after_it_at_its_visit(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    problem = {"code": "api.unexpected_error", "detail": "Nobody has foreseen this.", "transient": False}

    async def fail(route: Route) -> None:
        await route.fulfill(status=500, json=problem, content_type="application/problem+json")

    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.route("**/photos?*", fail)
        await tess.page.context.set_offline(True)
        await keep_photo(job, "the ONT")
        await write_down(job, Splitter="S-4")
        await tess.page.context.set_offline(False)
        await expect(job.locator(".kept li.sent")).to_have_text("Written down: splitter S-4: sent")
        stuck = job.locator(".kept li.waits")
        await expect(stuck).to_contain_text("Photo: the ONT: waits to be sent. Nobody has foreseen this.")
        forgive(tess, "500 (Internal Server Error)")
        tess.page.once("dialog", lambda dialog: dialog.accept())
        await stuck.get_by_role("button", name="Take it away").click()
        await expect(stuck).to_have_count(0)
        await tess.page.unroute("**/photos?*")

        await tess.page.route("**/acts", fail)
        await tess.page.context.set_offline(True)
        await write_down(job, Splitter="S-5")
        await write_down(job, Splitter="S-6")
        await keep_photo(job, "the drop")
        await tess.page.context.set_offline(False)
        await expect(job.locator(".kept li.sent")).to_have_count(2)
        await expect(stuck).to_have_text(
            [re.compile("S-5: waits to be sent. Nobody"), re.compile("S-6: saved, will be")]
        )
        await tess.page.unroute("**/acts")
        await stuck.get_by_role("button", name="Send it again").click()
        await expect(job.locator(".kept li.sent")).to_have_count(4)
        forgive(tess, "500 (Internal Server Error)")
    assert [act.content["changes"]["splitter"] for act in await acts_of(lab, visit_id)] == ["S-4", "S-5", "S-6"]
    assert [photo.caption for photo in await photos_of(lab, visit_id)] == ["the drop"]


TAKE_REST_AWAY = """async () => {
  const [, ...rest] = await field.store.acts();
  for (const act of rest) await field.store.remove(act.number);
}"""


@pytest.mark.second_half
async def test_what_is_taken_away_while_others_are_on_their_way_is_not_sent(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        went: list[str] = []

        async def first_one(route: Route) -> None:
            went.append(route.request.post_data or "")
            if len(went) == 1:
                await tess.page.evaluate(TAKE_REST_AWAY)
            await route.continue_()

        await tess.page.route("**/acts", first_one)
        await tess.page.context.set_offline(True)
        await write_down(job, Splitter="S-4")
        await write_down(job, Notes="never mind")
        await expect(job.locator(".kept li")).to_have_count(2)
        await tess.page.context.set_offline(False)
        await expect(job.locator(".kept li")).to_have_text(["Written down: splitter S-4: sent"])
    assert len(went) == 1
    assert [act.content["changes"] for act in await acts_of(lab, visit_id)] == [{"splitter": "S-4"}]


@pytest.mark.second_half
async def test_what_was_refused_is_sent_again_under_its_key_when_the_reason_is_gone(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    went: list[str] = []

    async def refuse(route: Route) -> None:
        went.append(json.loads(route.request.post_data or "")["key"])
        problem = {"code": "field.visit_unknown", "detail": f"There is no visit {visit_id}.", "transient": False}
        await route.fulfill(status=404, json=problem, content_type="application/problem+json")

    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.route("**/acts", refuse)
        await write_down(job, Splitter="S-4")
        refused = job.locator(".kept li.refused")
        await expect(refused).to_contain_text(
            "not taken. The visit is somebody else's by now, or there is none any more."
        )
        await tess.page.unroute("**/acts")
        await refused.get_by_role("button", name="Send it again").click()
        await expect(job.locator(".kept li.sent")).to_have_text("Written down: splitter S-4: sent")
        forgive(tess, "404 (Not Found)")
    assert [act.key for act in await acts_of(lab, visit_id)] == went


@pytest.mark.second_half
async def test_what_was_answered_by_something_else_is_not_sent(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        portal = {"status": 200, "content_type": "text/html", "body": "<p>Welcome to our wireless network</p>"}
        await tess.page.route(re.compile("/acts$|/photos"), lambda route: route.fulfill(**portal))
        await write_down(job, Splitter="S-4")
        waits = job.locator(".kept li.waits")
        await expect(waits).to_contain_text("waits to be sent. Something else than Firstlight has answered.")
        await keep_photo(job, "the ONT")
        await expect(waits).to_have_count(2)
        await expect(job.locator(".kept li.sent")).to_have_count(0)
        await tess.page.unroute(re.compile("/acts$|/photos"))
        await expect(job.locator(".kept li.sent")).to_have_count(2)
    assert [act.content["changes"] for act in await acts_of(lab, visit_id)] == [{"splitter": "S-4"}]
    assert [photo.caption for photo in await photos_of(lab, visit_id)] == ["the ONT"]


@pytest.mark.second_half
async def test_a_refusal_that_is_not_ours_refuses_nothing_and_stops_all(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    answers = iter((403, 404, 408))
    went: list[int] = []

    async def refuse(route: Route) -> None:
        went.append(next(answers))
        await route.fulfill(status=went[-1], body="<h1>No</h1>", content_type="text/html")

    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.route("**/acts", refuse)
        await tess.page.context.set_offline(True)
        await write_down(job, Splitter="S-4")
        await write_down(job, Notes="up the stairs")
        await tess.page.context.set_offline(False)
        first = job.locator(".kept li").first
        for status in (403, 404, 408):
            await expect(first).to_contain_text(
                f"waits to be sent. Something else than Firstlight has answered ({status})."
            )
            if status == 408:
                await tess.page.unroute("**/acts")
            await first.get_by_role("button", name="Send it again").click()
        await expect(job.locator(".kept li.sent")).to_have_count(2)
        forgive(tess, "Failed to load resource")
    assert went == [403, 404, 408]
    assert [list(act.content["changes"]) for act in await acts_of(lab, visit_id)] == [["splitter"], ["note"]]


async def test_a_scan_that_was_refused_holds_done_back_until_the_right_one_has_arrived(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, _visit_id = await visited_today(lab, room=timedelta(hours=5))
    async with lab.appliance.database.begin() as db:
        visits = Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now)
        repair = await visits.book(
            customer_id=house.customer_id,
            technician_id=house.technician_id,
            starts_at=lab.clock.now() + timedelta(hours=4),
            duration_minutes=30,
            address="Lindenweg 4",
        )
    wrong = {"owner": login, "visit_id": repair["visit_id"], "address": "x", "kind": "scanned"}
    async with machine.looker() as tess:
        await open_day(tess, login, repair["visit_id"])
        job = tess.page.locator(f"#visit-{repair['visit_id']}")
        await tess.page.context.set_offline(True)
        form = await unfold(job, "scan")
        await form.get_by_label("Serial number").fill("HWTC/1234")
        await form.get_by_role("button", name="This ONT is connected").click()
        await expect(form.get_by_role("alert")).to_contain_text("This is no serial number: HWTC/1234.")
        await tess.page.evaluate("act => field.store.add(act)", wrong | {"content": {"serial": "HWTC/1234"}})
        done = await unfold(job, "done")
        await done.get_by_label("Why, if").fill("the port is dark")
        await done.get_by_role("button", name="Done").click()
        await tess.page.context.set_offline(False)
        await expect(job.locator(".kept li.refused")).to_contain_text("Scanned HWTC/1234: not taken.")
        await expect(job.locator(".kept li.waits")).to_contain_text(
            "Done, although: the port is dark: waits until what was refused before it"
        )
        await scan(job, house.serial)
        await expect(job.locator(".kept li.refused")).to_have_count(0)
        await expect(job.locator(".kept li.sent")).to_have_count(2)
        forgive(tess, "422 (Unprocessable")
    assert [(act.kind, act.content) for act in await acts_of(lab, repair["visit_id"])] == [
        ("scanned", {"serial": house.serial}),
        ("done", {"reason": "the port is dark"}),
    ]


@pytest.mark.second_half
async def test_what_nobody_answers_is_given_up_and_sent_again(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    asked = asyncio.Event()

    async def hang(route: Route) -> None:
        asked.set()

    async with machine.looker() as tess:
        await tess.page.clock.install()
        job = await open_day(tess, login, visit_id)
        await tess.page.route("**/acts", hang)
        await write_down(job, Splitter="S-4")
        await asyncio.wait_for(asked.wait(), 20)
        await expect(job.locator(".kept li")).to_contain_text("saved, will be sent")
        await tess.page.unroute("**/acts")
        await tess.page.clock.fast_forward(21_000)
        await expect(job.locator(".kept li")).to_have_text("Written down: splitter S-4: sent")
    assert len(await acts_of(lab, visit_id)) == 1


@pytest.mark.second_half
async def test_a_photo_that_a_proxy_finds_too_large_says_so_and_is_sent_again(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.route("**/photos?*", lambda route: route.fulfill(status=413, body="<h1>413</h1>"))
        await keep_photo(job, "the ONT")
        refused = job.locator(".kept li.refused")
        await expect(refused).to_contain_text("not taken. The proxy before Firstlight takes nothing of this size")
        await tess.page.unroute("**/photos?*")
        await refused.get_by_role("button", name="Send it again").click()
        await expect(job.locator(".kept li.sent")).to_have_text("Photo: the ONT: sent")
        forgive(tess, "status of 413")


@pytest.mark.second_half
async def test_one_insists_also_at_a_visit_of_another_day(lab: JourneyLab, machine: Machine) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with lab.appliance.database.begin() as db:
        visits = Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now)
        tomorrow = await visits.book(
            customer_id=house.customer_id,
            technician_id=house.technician_id,
            starts_at=lab.clock.now() + timedelta(days=2),
            duration_minutes=30,
            address="Lindenweg 4",
        )
    content = {"changes": {"splitter": "S-4"}, "seen": {"splitter": "S-1"}}
    act = {"owner": login, "visit_id": tomorrow["visit_id"], "address": "x", "kind": "record", "content": content}
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        await tess.page.evaluate("act => field.store.add(act).then(() => field.send())", act)
        kept = tess.page.locator("#others .kept li")
        await expect(kept).to_contain_text("not taken. The record of visit")
        await tess.page.route("**/field/visits/*", lambda route: route.fulfill(status=404, json={}))
        await kept.get_by_role("button", name="Write mine all the same").click()
        await expect(kept).to_contain_text("could not be fetched, so nothing was written")
        await tess.page.unroute("**/field/visits/*")
        await expect(tess.page.locator("#standing")).to_contain_text("online")
        await kept.get_by_role("button", name="Write mine all the same").click()
        await expect(kept).to_contain_text("splitter S-4: sent")
        forgive(tess, "404 (Not Found)")
        forgive(tess, "409 (Conflict)")
    [arrived] = await acts_of(lab, tomorrow["visit_id"])
    assert arrived.content == {"changes": {"splitter": "S-4"}, "seen": {"splitter": None}}


@pytest.mark.second_half
async def test_another_time_is_kept_without_a_connection_and_refused_with_their_own_times_when_it_does_not_fit(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    tomorrow = (lab.clock.now().astimezone(lab.appliance.zone) + timedelta(days=1)).replace(hour=9, minute=0)
    async with lab.appliance.database.begin() as db:
        calendar = Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now)
        await calendar.book(
            customer_id=house.customer_id,
            technician_id=house.technician_id,
            address="Lindenweg 9",
            starts_at=tomorrow.replace(second=0, microsecond=0),
            duration_minutes=120,
        )
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.context.set_offline(True)
        form = await unfold(job, "move")
        await form.get_by_label("New time").fill(tomorrow.strftime("%Y-%m-%dT%H:%M"))
        await form.get_by_label("Why").fill("they have to go")
        await form.get_by_role("button", name="Move the visit").click()
        await expect(job.locator(".kept li.waits")).to_contain_text("they have to go: saved, will be sent")
        await tess.page.context.set_offline(False)
        refused = job.locator(".kept > li.refused")
        await expect(refused).to_contain_text("is busy from")
        forgive(tess, "409 (Conflict)")
        assert await machine.look(tess, "field-moved-refused") == {}
        await refused.get_by_role("button", name="Take this time").first.click()
        async with lab.appliance.database.read() as db:
            before = await Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now).visit(visit_id)
        await expect(job.locator(".kept > li.sent")).to_contain_text("they have to go: sent")
    async with lab.appliance.database.read() as db:
        moved = await Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.clock.now).visit(visit_id)
    assert [act.kind for act in await acts_of(lab, visit_id)] == ["rescheduled"]
    assert (moved["technician_id"], moved["starts_at"] != before["starts_at"]) == (house.technician_id, True)
