"""The first page, the one search box, and the lists, as somebody in the NOC and an administrator have them."""

from __future__ import annotations

import pytest
from playwright.async_api import Route, expect

from provisioning.console.navigation import PLACES
from tests.browser.test_fallout import REFUSED, refused_by_the_olt
from tests.support.browser import Machine
from tests.support.lab import JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOOKED_AT_ELSEWHERE = {"/dispatch", "/field"}
"""By tests of their own, filled."""


async def test_what_is_held_appears_by_itself_on_the_first_page_and_leads_to_the_run(
    lab: JourneyLab, machine: Machine
) -> None:
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await expect(nora.page.get_by_role("heading", level=1)).to_have_text("What needs a person")
        await expect(nora.page.locator("#live")).to_have_text("live")
        async with refused_by_the_olt(lab) as (run, _house):
            item = nora.page.locator("#attention li.card", has_text=REFUSED)
            await expect(item).to_contain_text("now")
            await expect(item).to_contain_text("Held meanwhile")
            await machine.picture(nora, "home")
            await item.get_by_role("link").first.click()
            await nora.page.wait_for_url(f"**/runs/{run.id}")
        await nora.go("/home")
        await expect(nora.page.locator("#attention li.card", has_text=REFUSED)).to_have_count(0)
        await expect(nora.page.locator("#figures")).to_contain_text("Runs ended")


async def test_a_page_that_lost_its_server_says_since_when_and_is_live_again_by_itself(machine: Machine) -> None:
    async with machine.looker() as nora:
        told, seen = nora.page.locator("#live"), list[str | None]()

        async def nobody_is_behind(route: Route) -> None:
            seen.append(await told.text_content() if seen else None)
            await route.fulfill(status=503)

        await nora.sign_in("nora")
        await nora.page.route("**/live?*", nobody_is_behind)
        await nora.go("/queue")
        await expect(told).to_contain_text("not live since")
        lost = await told.text_content()
        for _ in range(2):  # the second tells what stood there when the one before had failed
            async with nora.page.expect_response("**/live?*"):
                pass
        await nora.page.unroute("**/live?*")
        assert seen[1:3] == [lost, lost]
        await expect(told).to_have_text("live")
        assert all("503" in each for each in nora.complaints)
        nora.complaints.clear()


async def test_a_page_that_is_refused_asks_no_more_and_is_led_away_with_its_session(
    machine: Machine,
) -> None:
    async with machine.looker() as nora:
        told, statuses = nora.page.locator("#live"), iter([404, 404, 503])
        await nora.sign_in("nora")
        await nora.page.route("**/live?*", lambda route: route.fulfill(status=next(statuses)))
        await nora.go("/queue")
        await expect(told).to_have_text("not live: load this page anew")
        await nora.go("/queue")
        await expect(told).to_contain_text("not live since")
        await nora.page.unroute("**/live?*")
        await nora.page.context.clear_cookies()
        await nora.page.wait_for_url("**/sign-in?next=%2Fqueue")
        assert ["404" in each or "503" in each for each in nora.complaints] == [True] * 3
        nora.complaints.clear()


async def test_a_run_is_found_by_its_serial_with_the_keyboard_alone(lab: JourneyLab, machine: Machine) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await run.plug_and_scan(house)
    await run.until_ended()
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.page.keyboard.press("/")
        await nora.page.keyboard.type(house.serial)
        await nora.page.keyboard.press("Enter")
        await nora.page.wait_for_url("**/search?q=*")
        await expect(nora.page.get_by_role("heading", name="CPEs")).to_be_visible()
        await expect(nora.page.locator("li.card", has_text="Found by: its serial number")).to_be_visible()
        await machine.picture(nora, "search")
        await nora.page.keyboard.press("ArrowDown")  # nothing has the focus yet
        await expect(nora.page.locator("[data-hit]").first).to_be_focused()
        await nora.page.keyboard.press("ArrowUp")
        await expect(nora.page.get_by_role("searchbox")).to_be_focused()
        await nora.page.keyboard.press("ArrowDown")
        await nora.page.keyboard.press("Enter")
        await expect(nora.page.get_by_role("heading", level=1)).to_have_text(f"CPE {house.serial}")


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_first_page_the_search_and_every_list_are_clean_for_axe_and_fit(
    lab: JourneyLab, machine: Machine
) -> None:
    done = lab.household()
    ended = await lab.order(done)
    await ended.until_waiting_for("visit")
    await ended.plug_and_scan(done)
    await ended.until_ended()
    service = await ended.result("allocate_resources")
    async with refused_by_the_olt(lab) as (run, house), machine.looker() as ada:
        await ada.sign_in("ada")
        paths = [place.path for place in PLACES if place.path not in LOOKED_AT_ELSEWHERE]
        paths += ["/search", f"/search?q={house.serial}", f"/search?q=run+{run.id}", "/search?q=zzzzzz"]
        paths += [f"/services/{service['service_id']}", f"/devices/{done.serial}", "/pools/of?pool=north-v4"]
        paths += ["/devices?state=verified", f"/customers/{done.customer_id}", "/access-nodes/of?name=OLT-3"]
        paths += ["/notices", "/mails/1", f"/sessions/of?username={service['username']}"]
        for number, path in enumerate(paths):
            await ada.go(path)
            name = path.partition("?")[0].replace("/", "-")
            assert await machine.look(ada, f"list-{number:02}{name}") == {}, path
        await ada.page.locator("details", has_text="Network").locator("summary").click()
        assert (await ada.axe(), await ada.sideways()) == ([], 0)  # as the last guise has left it: dark, on a phone
