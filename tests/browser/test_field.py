"""A technician's day in a cellar: what is done without a connection is kept, and arrives once and in order."""

from __future__ import annotations

import asyncio
import json
import re
from base64 import b64decode
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Locator, Page, Route, expect
from sqlalchemy import select

import provisioning.console
from provisioning.field import VisitAct, VisitPhoto, Visits
from tests.support.browser import Looker, Machine
from tests.support.console import add_user
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")

PICTURE = Path(provisioning.console.__file__).parent / "assets" / "icon-512.png"
TICKS = ["bound", "authorised", "informed", "configured", "online"]


async def visited_today(lab: JourneyLab) -> tuple[Installation, Household, str, int]:
    """An installation of today: its run, the household, the name under which its technician signs in, the visit."""
    house = lab.household()
    run = await lab.submit(house.ticket(lab.clock.now() + timedelta(minutes=1)))
    await run.until_waiting_for("visit")
    login = f"tess{house.number}"
    await add_user(lab.appliance, login, "technician", technician_id=house.technician_id)
    return run, house, login, (await run.result("schedule_installation"))["visit_id"]


async def open_day(tess: Looker, login: str, visit_id: int) -> Locator:
    """Signed in, on a phone, with the day on the device and the worker in its place."""
    await tess.wear("phone-light")
    await tess.sign_in(login)
    await tess.go("/field")
    await expect(tess.page.locator("#standing")).to_contain_text("online")
    await tess.page.evaluate("navigator.serviceWorker.ready.then(() => null)")
    return tess.page.locator(f"#visit-{visit_id}")


async def unfold(job: Locator, act: str) -> Locator:
    """The form of one act, open."""
    details = job.locator(f"[data-act={act}]")
    if await details.get_attribute("open") is None:
        await details.locator("summary").click()
    return details


async def scan(job: Locator, serial: str) -> None:
    form = await unfold(job, "scan")
    await form.get_by_label("Serial number").fill(serial)
    await form.get_by_role("button", name="This ONT is connected").click()


async def acts_of(lab: JourneyLab, visit_id: int) -> list[VisitAct]:
    """What has arrived, in the order in which it did."""
    async with lab.appliance.database.read() as db:
        return list(await db.scalars(select(VisitAct).where(VisitAct.visit_id == visit_id).order_by(VisitAct.id)))


async def photos_of(lab: JourneyLab, visit_id: int) -> list[VisitPhoto]:
    async with lab.appliance.database.read() as db:
        return list(await db.scalars(select(VisitPhoto).where(VisitPhoto.visit_id == visit_id).order_by(VisitPhoto.id)))


CODE_39 = {
    **{"0": "nnnwwnwnn", "1": "wnnwnnnnw", "2": "nnwwnnnnw", "3": "wnwwnnnnn", "4": "nnnwwnnnw", "5": "wnnwwnnnn"},
    **{"6": "nnwwwnnnn", "7": "nnnwnnwnw", "8": "wnnwnnwnn", "9": "nnwwnnwnn", "A": "wnnnnwnnw", "B": "nnwnnwnnw"},
    **{"C": "wnwnnwnnn", "D": "nnnnwwnnw", "E": "wnnnwwnnn", "F": "nnwnwwnnn", "H": "wnnnnwwnn", "T": "nnnnwnwwn"},
    **{"W": "wwwnnnnnn", "*": "nwnnwnwnn"},
}
"""ISO/IEC 16388: of each character five bars and the four gaps between them, narrow or wide."""
DRAW = """bars => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [bars.reduce((sum, bar) => sum + bar, 0) + 80, 160];
  const ink = canvas.getContext("2d");
  ink.fillStyle = "#fff";
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.fillStyle = "#000";
  let at = 40;
  bars.forEach((bar, number) => {
    if (number % 2 === 0) ink.fillRect(at, 20, bar, 120);
    at += bar;
  });
  return canvas.toDataURL("image/png");
}"""


async def label_of(page: Page, serial: str) -> FilePayload:
    """A photo of an ONT's label with this serial number on it."""
    bars = [{"n": 3, "w": 9}[each] for letter in f"*{serial}*" for each in CODE_39[letter] + "n"]
    drawn = await page.evaluate(DRAW, bars)
    return {"name": "label.png", "mimeType": "image/png", "buffer": b64decode(drawn.partition(",")[2])}


async def write_down(job: Locator, **fields: str) -> None:
    form = await unfold(job, "record")
    for label, value in fields.items():
        await form.get_by_label(label).fill(value)
    await form.get_by_role("button", name="Write it down").click()


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


async def test_a_label_is_read_from_its_photo_offline_and_what_is_no_label_is_told(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        label = await label_of(tess.page, house.serial)
        await tess.page.context.set_offline(True)
        await tess.page.reload()
        form = await unfold(job, "scan")
        await form.get_by_label("Or a photo").set_input_files(PICTURE)
        await expect(form.get_by_role("alert")).to_contain_text("No code was found")
        await form.get_by_label("Or a photo").set_input_files(label)
        await expect(form.get_by_label("Serial number")).to_have_value(house.serial)


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
        await expect(job.locator(".kept li.sent")).to_contain_text("note the dog is loud: sent")
        await machine.picture(tess, "field-conflict")
        await refused.get_by_role("button", name="Write mine all the same").click()
        await expect(job.locator(".kept li.sent")).to_have_count(2)
        await expect(refused).to_have_count(0)
        assert [complaint for complaint in tess.complaints if "409 (Conflict)" not in complaint] == []
        tess.complaints.clear()
    async with lab.appliance.database.read() as db:
        sheet = await lab.appliance.field_desk(db).sheet(visit_id)
    assert (sheet["splitter"], sheet["note"]) == ("S-4", "the dog is loud")


def forgive(looker: Looker, words: str) -> None:
    """What the browser complained of, and was meant to."""
    assert any(words in each for each in looker.complaints), looker.complaints
    looker.complaints[:] = [each for each in looker.complaints if words not in each]


async def keep_photo(job: Locator, caption: str) -> None:
    form = await unfold(job, "photo")
    await form.get_by_label("Picture").set_input_files(PICTURE)
    await form.get_by_label("What it shows").fill(caption)
    await form.get_by_role("button", name="Keep the photo").click()


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


STRANGER = {"owner": "otto", "visit_id": 0, "address": "Somewhere 1", "kind": "record"}
WAITING = {**STRANGER, "content": {"changes": {"note": "gate code 4711"}, "seen": {"note": None}}}


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


MARK_KEPT = """async () => {
  const [name] = await caches.keys();
  const cache = await caches.open(name);
  const kept = await cache.match("/field");
  const marked = (await kept.text()).replace("<h1>", "<h1>Kept: ");
  await cache.put("/field", new Response(marked, { headers: kept.headers }));
}"""


async def test_the_kept_page_is_shown_whatever_the_network_would_say(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await tess.page.evaluate(MARK_KEPT)
        await tess.go("/field")
        await expect(tess.page.locator("h1")).to_have_text("Kept: Today's jobs")
        await expect(job).to_be_visible()
        await expect(tess.page.locator("#standing")).to_contain_text("online")


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
        forgive(tess, "401 (Unauthorized)")


async def test_a_day_that_was_fetched_long_ago_is_not_shown_any_more(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        await tess.page.context.set_offline(True)
        await tess.page.evaluate("field.store.keepDay({...field.day, seen_at: '2026-01-01T00:00:00Z'})")
        await tess.page.reload()
        await expect(tess.page.locator("#lead")).to_contain_text("There is no day on this device")
        assert await tess.page.evaluate("field.store.day()") is None


async def test_the_page_with_every_form_open_is_clean_for_axe_and_fits(lab: JourneyLab, machine: Machine) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        for act in ("scan", "record", "photo", "sign", "done", "end", "move"):
            await unfold(job, act)
        assert await machine.look(tess, "field") == {}
