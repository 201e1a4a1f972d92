"""The technician's page where a phone has it: by TLS of the laboratory's CA; and what is left of it by plain HTTP."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import httpx
import pytest
from playwright.async_api import Locator, Page, expect

from tests.support.browser import LAN_NAME, Machine
from tests.support.console import add_user
from tests.support.lab import JourneyLab
from tests.support.labels import label_of
from tests.support.secure import SEEN, LostAnswer, Secure
from tests.support.technician import (
    PICTURE,
    TICKS,
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

SCAN_TO_GREEN = timedelta(seconds=90)
STANDS = "[location.protocol, isSecureContext, 'serviceWorker' in navigator, field.hasCamera()]"
A_MOMENT_BEFORE = """id => {
  field.clock = Date.now;
  Date.now = () => Date.parse(field.jobOf(id).visit.starts_at) - 1;
}"""
"""By its device the visit has not begun."""
SAY_DONE = """async id => {
  const act = { key: `done-too-early/${id}`, kind: "done", made_at: new Date().toISOString(), content: {} };
  const headers = { "Content-Type": "application/json" };
  const answer = await field.post(`/field/visits/${id}/acts`, JSON.stringify(act), headers);
  return [answer.status, answer.content.code];
}"""


async def until_green(page: Page | Locator) -> None:
    """Until all five ticks are green, in their order."""
    await expect(page.locator(".ticks li.good")).to_have_count(len(TICKS), timeout=60_000)
    assert [text.split()[-1] for text in await page.locator(".ticks li.good").all_inner_texts()] == TICKS


async def test_by_tls_what_is_done_in_a_cellar_arrives_once_and_both_screens_turn_green_within_ninety_seconds(
    lab: JourneyLab, secure: Secure
) -> None:
    run, house, login, visit_id = await visited_today(lab)
    lost = LostAnswer(secure.trusting())
    looker = secure.machine.looker
    async with looker() as tess, looker() as nora, looker() as dora:
        job = await open_day(tess, login, visit_id)
        assert await tess.page.evaluate(STANDS) == ["https:", True, True, True]
        cookies = [each for each in await tess.page.context.cookies() if each["httpOnly"]]
        assert cookies and all(each["secure"] for each in cookies)
        await nora.sign_in("nora")
        await nora.go(f"/runs/{run.id}")
        await expect(nora.page.locator("#live")).to_have_text("live")
        await expect(nora.page.locator(".ticks li")).to_have_count(len(TICKS))
        await dora.sign_in("dora")
        await dora.go("/dispatch")
        await expect(dora.page.locator("#live")).to_have_text("live")
        block = dora.page.locator(f"#visit-{visit_id}")
        await expect(block.locator(".chip")).to_contain_text("booked")
        await expect(block.locator(".ticks")).to_have_count(0)
        for page in (tess.page, nora.page):
            await expect(page.locator(".ticks li.good")).to_have_count(0)
        assert await tess.page.evaluate(SAY_DONE, visit_id) == [409, "field.not_done"]
        forgive(tess, "409 (Conflict)")

        await tess.page.context.set_offline(True)
        await tess.page.reload()  # in mid-job: the page and its day come from the device
        await expect(tess.page.locator("#standing")).to_contain_text("offline")
        await scan(job, house.serial)
        await keep_photo(job, "the ONT on the wall")
        await write_down(job, **{"Received power": "-19,4"})
        done = await unfold(job, "done")
        await done.get_by_role("button", name="Done").click()
        await expect(tess.page.locator("#standing")).to_have_text("offline, 4 acts wait on this device")
        await secure.machine.picture(tess, "secure-offline")

        await lab.plug(house.serial, house)
        await tess.page.route("**/acts", lost)
        await tess.page.context.set_offline(False)
        for screen in (tess.page, nora.page, block):
            await until_green(screen)
        await expect(block.locator(".chip")).to_contain_text("completed")
        assert await block.evaluate("each => each.style.flexGrow === each.dataset.minutes")
        await expect(job.locator(".done-at")).to_have_text("Done.")
        await expect(job.locator(".chip")).to_contain_text("completed")
        for act in ("scan", "done", "end"):  # they would be refused by now
            await expect(job.locator(f"[data-act={act}]")).to_be_hidden()
        await expect(tess.page.locator("#standing")).to_have_text("online, all sent")
        await secure.machine.picture(tess, "secure-green")
        await secure.machine.picture(nora, "secure-green-run")
        await secure.machine.picture(dora, "secure-green-board")
        forgive(tess, "net::ERR_CONNECTION_RESET")

    assert lost.lost == [200]
    keys = [json.loads(body)["key"] for body in lost.bodies]
    assert keys[0] == keys[1] and len(set(keys)) == len(keys) - 1 == 3
    acts = await acts_of(lab, visit_id)
    assert [(act.kind, act.key) for act in acts] == list(zip(["scanned", "record", "done"], keys[1:], strict=True))
    assert [photo.caption for photo in await photos_of(lab, visit_id)] == ["the ONT on the wall"]
    assert await scan_to_green(lab, visit_id, since=acts[0].received_at) < SCAN_TO_GREEN
    await run.until_ended()


async def scan_to_green(lab: JourneyLab, visit_id: int, *, since: datetime) -> timedelta:
    """From when the scan was received until the last tick was true, by what the product has kept of both."""
    async with lab.appliance.database.read() as db:
        ticks = await lab.appliance.field_desk(db).ticks(visit_id)
    seen = [each["at"] for each in ticks["ticks"] if each["at"] is not None]
    assert ticks["all_true"] and len(seen) == len(TICKS)
    return max(seen) - since


@pytest.mark.second_half
@pytest.mark.either_database
async def test_by_tls_the_camera_reads_a_label(lab: JourneyLab, secure: Secure) -> None:
    _run, _house, login, visit_id = await visited_today(lab)
    async with secure.machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        form = await unfold(job, "scan")
        await form.get_by_role("button", name="Scan with the camera").click()
        await expect(form.get_by_label("Serial number")).to_have_value(SEEN)
        await expect(form.get_by_role("button", name="Scan with the camera")).to_be_visible()
        assert await form.locator("video").evaluate("view => view.srcObject") is None  # it is switched off
        await expect(form.get_by_role("button", name="This ONT is connected")).to_be_focused()
        await expect(tess.page.locator("#connected-only")).to_be_hidden()


SEES_NO_CODE = """() => {
  const [dark, sees] = [new OffscreenCanvas(64, 64), window.createImageBitmap];
  dark.getContext("2d").fillRect(0, 0, 64, 64);
  window.createImageBitmap = () => sees(dark);
}"""


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_camera_is_switched_off_when_its_form_folds_and_who_was_let_in_had_access(
    lab: JourneyLab, secure: Secure
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with secure.machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        ends = await unfold(job, "end")
        await expect(ends.get_by_label("What came of it")).to_have_value("no_access")
        await tess.page.evaluate(A_MOMENT_BEFORE, visit_id)
        await ends.get_by_role("button", name="End the visit").click()
        await expect(ends.get_by_role("alert")).to_contain_text("that nobody is there can't be told before")
        await tess.page.evaluate("Date.now = field.clock")
        await tess.page.evaluate(SEES_NO_CODE)
        form = await unfold(job, "scan")
        for fold in ("by hand", "when it is kept"):
            await form.get_by_role("button", name="Scan with the camera").click()
            await expect(form.locator("video")).to_have_js_property("paused", False)
            track = await form.locator("video").evaluate_handle("view => view.srcObject.getTracks()[0]")
            assert await track.evaluate("track => track.readyState") == "live"
            if fold == "by hand":
                await form.locator("summary").click()
            else:
                await scan(job, house.serial)
            await expect(form.locator("video")).to_have_js_property("srcObject", None)
            assert await track.evaluate("track => track.readyState") == "ended"
            form = await unfold(job, "scan")
        await expect(job.locator(".chip")).to_contain_text("scanned")
        came = (await unfold(job, "end")).get_by_label("What came of it")
        await expect(came).to_have_value("not_feasible")
        await expect(came.locator("[value=no_access]")).to_be_disabled()


@pytest.mark.second_half
@pytest.mark.either_database
async def test_a_browser_that_can_keep_no_page_is_told_so_and_not_that_it_lacks_tls(
    lab: JourneyLab, secure: Secure
) -> None:
    await add_user(lab.appliance, "private", "technician", technician_id=lab.household().technician_id)
    async with secure.machine.looker() as tess:
        await tess.page.add_init_script("delete Navigator.prototype.serviceWorker")
        await tess.sign_in("private")
        await tess.go("/field")
        told = "Here this page opens with a connection alone: this browser has no service worker, which would keep it."
        await expect(tess.page.locator("#connected-only")).to_have_text(told)


NOT_TRUSTED = """navigator.serviceWorker.register = () =>
  Promise.reject(new DOMException("An SSL certificate error occurred when fetching the script.", "SecurityError"))"""


@pytest.mark.second_half
@pytest.mark.either_database
async def test_a_device_that_does_not_trust_the_certificate_is_told_that_nothing_is_kept_for_the_cellar(
    lab: JourneyLab, machine: Machine
) -> None:
    """As Chromium refuses a worker where somebody has gone past its warning of the certificate."""
    await add_user(lab.appliance, "untrusting", "technician", technician_id=lab.household().technician_id)
    async with machine.looker() as tess:
        await tess.page.add_init_script(NOT_TRUSTED)
        await tess.wear("phone-light")
        await tess.sign_in("untrusting")
        await tess.go("/field")
        told = tess.page.locator("#connected-only")
        await expect(told).to_contain_text("opens with a connection alone: the browser keeps nothing of it (An SSL")
        await expect(told).to_contain_text("does this device trust the server's certificate?")


@pytest.mark.either_database
async def test_a_client_of_the_ca_can_verify_who_answers_and_one_that_does_not_trust_it_goes_away(
    secure: Secure,
) -> None:
    base = secure.machine.base
    for host in ("127.0.0.1", "localhost"):
        async with httpx.AsyncClient(verify=secure.trusting(), trust_env=False) as client:
            answer = await client.get(base.replace("127.0.0.1", host) + "/field/manifest.webmanifest")
        assert (answer.status_code, answer.json()["scope"]) == (200, "/field")
    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(f"{base}/sign-in")


@pytest.mark.second_half
@pytest.mark.either_database
async def test_by_plain_http_in_a_network_the_label_comes_from_a_photo_and_all_else_works_with_a_connection(
    lab: JourneyLab, machine: Machine
) -> None:
    _run, house, login, visit_id = await visited_today(lab)
    async with machine.looker(LAN_NAME) as tess:
        await tess.wear("phone-light")
        await tess.sign_in(login)
        await tess.go("/field")
        await expect(tess.page.locator("#standing")).to_contain_text("online")
        job = tess.page.locator(f"#visit-{visit_id}")
        assert await tess.page.evaluate(STANDS) == ["http:", False, False, False]
        await expect(tess.page.locator("#connected-only")).to_contain_text("it came by plain HTTP")
        form = await unfold(job, "scan")
        await expect(form.get_by_role("button", name="Scan with the camera")).to_be_hidden()
        await form.get_by_label("Or a photo").set_input_files(PICTURE)
        await expect(form.get_by_role("alert")).to_contain_text("No code was found")
        await form.get_by_label("Or a photo").set_input_files(await label_of(tess.page, house.serial))
        await expect(form.get_by_label("Serial number")).to_have_value(house.serial)
        await form.get_by_role("button", name="This ONT is connected").click()
        await keep_photo(job, "the ONT on the wall")
        await expect(job.locator(".kept li.sent")).to_have_count(2)
        await machine.picture(tess, "plain-http")
        forgive(tess, "Cross-Origin-Opener-Policy header has been ignored")  # there is no such policy by plain HTTP
    assert [(act.kind, act.content) for act in await acts_of(lab, visit_id)] == [("scanned", {"serial": house.serial})]
    assert [photo.caption for photo in await photos_of(lab, visit_id)] == ["the ONT on the wall"]
