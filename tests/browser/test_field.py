"""A technician's day in a cellar: what is done without a connection is kept, and arrives once and in order."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Route, expect

from tests.support.browser import Machine
from tests.support.lab import JourneyLab
from tests.support.technician import (
    PICTURE,
    TICKS,
    acts_of,
    forgive,
    open_day,
    photos_of,
    scan,
    unfold,
    visited_today,
    write_down,
)

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_what_is_done_offline_arrives_once_and_in_order_and_its_ticks_turn_green(
    lab: JourneyLab, machine: Machine
) -> None:
    run, house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await expect(job.locator(".where")).to_contain_text(f"Lindenweg {house.number}")
        await expect(job.locator(".whom")).to_contain_text(house.name)
        assert await tess.page.locator("article.job").count() == 1

        await tess.page.context.set_offline(True)
        await tess.page.reload()  # the page and its day come from the device
        await expect(tess.page.locator("#standing")).to_contain_text("offline")
        await scan(job, house.serial.lower())
        await expect(job.locator(".kept")).to_contain_text(f"Scanned {house.serial.lower()}: saved, will be sent")
        photo = await unfold(job, "photo")
        await photo.get_by_label("Picture").set_input_files(PICTURE)
        await photo.get_by_label("What it shows").fill("the ONT on the wall")
        await photo.get_by_role("button", name="Keep the photo").click()
        record = await unfold(job, "record")
        await record.get_by_label("Splitter").fill("S-4")
        await record.get_by_label("Received power").fill("-19,4")
        await expect(record.locator(".verdict")).to_have_text("Passes: from -27 to -8 dBm.")
        await record.get_by_role("button", name="Write it down").click()
        done = await unfold(job, "done")
        await done.get_by_role("button", name="Done").click()
        await expect(job.locator(".kept li")).to_have_count(4)
        await tess.page.reload()
        await expect(job.locator(".kept li")).to_have_count(4)
        await expect(tess.page.locator("#standing")).to_have_text("offline, 4 acts wait on this device")
        await machine.picture(tess, "field-offline")
        assert await acts_of(lab, visit_id) == []

        await lab.plug(house.serial, house)
        await tess.page.context.set_offline(False)
        await expect(job.locator(".ticks li.good")).to_have_count(len(TICKS), timeout=60_000)
        assert [text.split()[-1] for text in await job.locator(".ticks li.good").all_inner_texts()] == TICKS
        await expect(job.locator(".done-at")).to_have_text("Done.")
        await expect(tess.page.locator("#standing")).to_have_text("online, all sent")
        await machine.picture(tess, "field-green")

    assert [(act.kind, act.content) for act in await acts_of(lab, visit_id)] == [
        ("scanned", {"serial": house.serial.lower()}),
        (
            "record",
            {
                "changes": {"optical_dbm": -19.4, "splitter": "S-4"},
                "seen": {"optical_dbm": None, "splitter": None},
            },
        ),
        ("done", {}),
    ]
    acts = await acts_of(lab, visit_id)
    assert [act.made_at for act in acts] == sorted(act.made_at for act in acts)
    assert {act.by for act in acts} == {login}
    [photo_row] = await photos_of(lab, visit_id)
    assert (photo_row.purpose, photo_row.media_type, photo_row.caption) == (
        "photo",
        "image/jpeg",
        "the ONT on the wall",
    )
    await run.until_ended()


async def test_what_somebody_else_wrote_meanwhile_is_shown_beside_the_act_and_one_decides(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.context.set_offline(True)
        await write_down(job, Splitter="S-4")
        await write_down(job, Splitter="S-4", Notes="the dog is loud")
        changes = {"splitter": "S-9"}
        async with lab.appliance.database.begin() as db:
            desk, common = lab.appliance.field_desk(db), {"kind": "record", "made_at": lab.clock.now(), "by": "dora"}
            await desk.act(visit_id=visit_id, key=f"dora/{house.number}", content={"changes": changes}, **common)  # type: ignore[arg-type]
        await tess.page.context.set_offline(False)
        refused = job.locator(".kept li.refused")
        await expect(refused).to_contain_text("splitter S-4: not taken. The record of visit")
        await expect(refused).to_contain_text("splitter is 'S-9'")
        await expect(job.locator(".kept li.waits")).to_contain_text(
            "note the dog is loud: waits until what was refused"
        )
        await machine.picture(tess, "field-conflict")
        await refused.get_by_role("button", name="Write mine all the same").click()
        await expect(job.locator(".kept li.sent")).to_have_count(2)
        await expect(refused).to_have_count(0)
        assert [complaint for complaint in tess.complaints if "409 (Conflict)" not in complaint] == []
        tess.complaints.clear()
    async with lab.appliance.database.read() as db:
        sheet = await lab.appliance.field_desk(db).sheet(visit_id)
    assert (sheet["splitter"], sheet["note"]) == ("S-4", "the dog is loud")


@pytest.mark.second_half
async def test_what_somebody_else_wrote_while_one_was_typing_is_not_written_over(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        form = await unfold(job, "record")
        await form.get_by_label("Splitter").fill("S-4")
        async with lab.appliance.database.begin() as db:
            desk, common = lab.appliance.field_desk(db), {"kind": "record", "made_at": lab.clock.now(), "by": "dora"}
            content = {"changes": {"splitter": "S-9", "note": "by the door"}}
            await desk.act(visit_id=visit_id, key=f"dora/{house.number}", content=content, **common)  # type: ignore[arg-type]
        await tess.page.evaluate("field.refresh()")
        await expect(form.get_by_label("Notes")).to_have_value("by the door")
        await write_down(job, Splitter="S-4")
        await expect(job.locator(".kept li.refused")).to_contain_text("splitter is 'S-9'")
        forgive(tess, "409 (Conflict)")
    [_, *rest] = await acts_of(lab, visit_id)
    assert rest == []


IS_EMPTY = """() => new Promise((resolve, reject) => {
  const asked = indexedDB.open("firstlight-field");
  asked.onerror = () => reject(asked.error);
  asked.onsuccess = () => {
    const counted = asked.result.transaction("kept").objectStore("kept").count();
    counted.onsuccess = () => { asked.result.close(); resolve(counted.result === 0); };
  };
})"""
MARK_KEPT = """async () => {
  const [name] = await caches.keys();
  const cache = await caches.open(name);
  const kept = await cache.match("/field");
  const marked = (await kept.text()).replace("<h1>", "<h1>Kept: ");
  await cache.put("/field", new Response(marked, { headers: kept.headers }));
}"""


@pytest.mark.second_half
async def test_the_kept_page_is_shown_whatever_the_network_would_say(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.evaluate(MARK_KEPT)
        await tess.go("/field")
        await expect(tess.page.locator("h1")).to_have_text("Kept: Today's jobs")
        await expect(job).to_be_visible()
        await expect(tess.page.locator("#standing")).to_contain_text("online")


INSTALL = """async (answers) => {
  const [handlers, outside] = [{}, window.fetch];
  const self = { addEventListener: (name, act) => (handlers[name] = act), skipWaiting: async () => {} };
  const fetch = {
    busy: async () => new Response("Busy", { status: 503 }),
    signed_out: (address) => outside(address, { credentials: "omit" }),
    well: outside.bind(window),
  }[answers];
  WORKER
  let installed = null;
  handlers.install({ waitUntil: (promise) => (installed = promise) });
  const came = await installed.then(() => "installed", (error) => error.message);
  const names = await caches.keys();
  return [came.split(":")[0], names.length, Boolean(await caches.match("/field", { cacheName: "field-anew" }))];
}"""
"""A worker of another version is installed; its page is answered so."""


@pytest.mark.second_half
@pytest.mark.either_database
async def test_a_new_worker_that_gets_no_page_takes_the_kept_one_from_nobody(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        source = await tess.page.evaluate("fetch('/field/worker.js').then(answer => answer.text())")
        worker = INSTALL.replace("WORKER", re.sub(r'VERSION = "\w+"', 'VERSION = "anew"', source))
        refused = ["The page can't be kept", 1, False]
        assert await tess.page.evaluate(worker, "busy") == refused
        assert await tess.page.evaluate(worker, "signed_out") == refused
        assert await tess.page.evaluate(worker, "well") == ["installed", 2, True]


@pytest.mark.second_half
@pytest.mark.either_database
async def test_what_is_half_typed_on_a_visit_that_has_ended_stays_past_midnight_until_it_is_kept(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    midnight_was = False

    async def ended(route: Route) -> None:
        """The day as it would be with this visit completed."""
        answer = await route.fetch()
        day = await answer.json()
        day["jobs"][0]["visit"]["state"] = "completed"
        await route.fulfill(response=answer, json={**day, "day": "2199-01-01", "jobs": []} if midnight_was else day)

    async with machine.looker() as tess:
        await tess.page.route("**/field/day", ended)
        job = await open_day(tess, login, visit_id)
        form = await unfold(job, "record")
        await form.get_by_label("Splitter").fill("S-4")
        midnight_was = True
        await tess.page.evaluate("field.refresh()")
        await expect(tess.page.locator("#lead")).to_contain_text("2199-01-01")
        await expect(form.get_by_label("Splitter")).to_have_value("S-4")
        await form.get_by_role("button", name="Write it down").click()
        await expect(tess.page.locator("#standing")).to_have_text("online, all sent")
        await tess.page.evaluate("field.refresh()")
        await expect(job).to_have_count(0)
    assert [act.content["changes"] for act in await acts_of(lab, visit_id)] == [{"splitter": "S-4"}]


STRANGER = {"owner": "otto", "visit_id": 0, "address": "Somewhere 1", "kind": "record"}
WAITING = {**STRANGER, "content": {"changes": {"note": "gate code 4711"}, "seen": {"note": None}}}


@pytest.mark.second_half
async def test_of_what_somebody_else_did_on_this_device_only_how_much_waits_is_shown(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        await tess.page.evaluate(
            "act => field.store.add(act).then(() => field.moved())", WAITING | {"visit_id": visit_id}
        )
        await tess.page.evaluate("act => field.store.add(act).then(() => field.moved())", WAITING)
        await expect(tess.page.locator("#others .kept li")).to_have_text(["2 acts wait until otto signs in"])
        assert await tess.page.locator("#others button, article .kept li").count() == 0
        assert "4711" not in await tess.page.content()
        await expect(tess.page.locator("#standing")).to_have_text("online")


async def test_signing_out_at_any_page_takes_the_day_off_the_device_and_leaves_what_waits(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await expect(job.locator(".whom")).to_contain_text(house.name)
        await tess.page.evaluate("act => field.store.add(act)", WAITING)
        elsewhere = await tess.page.context.new_page()
        await elsewhere.goto(f"{machine.base}/home")
        await elsewhere.get_by_role("button", name="Sign out").click()
        await elsewhere.get_by_label("Password").wait_for()
        await expect(tess.page.locator("#lead")).to_contain_text("There is no day on this device")
        await expect(tess.page.locator("#told")).to_contain_text("You are not signed in any more")
        assert await tess.page.locator("article.job").count() == 0
        assert await tess.page.evaluate("field.store.day()") is None
        assert [act["owner"] for act in await tess.page.evaluate("field.store.acts()")] == ["otto"]
        await tess.page.close()
        refused = "the server responded with a status of 401"  # as often as the page has asked for the day meanwhile
        tess.complaints[:] = [each for each in tess.complaints if refused not in each]


@pytest.mark.second_half
async def test_where_one_is_asked_to_sign_in_no_day_stays(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        assert await tess.page.evaluate("field.store.day().then(day => day.owner)") == login
        await tess.page.context.clear_cookies()  # as when the session has ended by itself
        await tess.go("/sign-in")
        await expect(tess.page.get_by_label("Password")).to_be_visible()
        await tess.page.wait_for_function(IS_EMPTY)


@pytest.mark.second_half
async def test_a_day_that_was_fetched_long_ago_is_not_shown_any_more(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        await tess.page.context.set_offline(True)
        await tess.page.evaluate("field.store.keepDay({...field.day, seen_at: '2026-01-01T00:00:00Z'})")
        await tess.page.reload()
        await expect(tess.page.locator("#lead")).to_contain_text("There is no day on this device")
        assert await tess.page.evaluate("field.store.day()") is None


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_page_with_every_form_open_is_clean_for_axe_and_fits(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        for act in ("scan", "record", "photo", "sign", "done", "end", "move"):
            await unfold(job, act)
        assert await machine.look(tess, "field") == {}
