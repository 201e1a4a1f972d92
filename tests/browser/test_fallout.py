"""A broken order at the console, as somebody in the NOC has it at three in the morning."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from playwright.async_api import expect

from tests.support.browser import Machine
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")

REFUSED = "line profile fiber-300 is not configured"


@asynccontextmanager
async def refused_by_the_olt(lab: JourneyLab) -> AsyncIterator[tuple[Installation, Household]]:
    """An installation that is held, since the OLT says no; it is over afterwards, whatever came of it."""
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    lab.world.olt.refuse(house.serial, REFUSED)
    await run.plug_and_scan(house)
    await run.until_held()
    try:
        yield run, house
    finally:
        lab.world.olt.refuse(house.serial, None)
        if (await run.view()).summary.state == "held":
            await run.roll_back("the test is over")
        await run.until_ended()


async def test_a_run_shows_its_plan_from_the_first_second_and_moves_by_itself(
    lab: JourneyLab, machine: Machine
) -> None:
    house = lab.household()
    run = await lab.order(house)
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go(f"/runs/{run.id}")
        steps = nora.page.locator(".step")
        planned = [step.name for step in (await run.view()).steps]
        assert await steps.count() == len(planned)
        await expect(nora.page.locator("#live")).to_have_text("live")
        await expect(nora.page.locator(".lead .chip")).to_contain_text("waits")
        await run.plug_and_scan(house)
        await expect(nora.page.locator(".lead .chip")).to_contain_text("completed")
        states = await steps.locator(".chip").all_inner_texts()
        assert all("completed" in state or "skipped" in state for state in states), states
        await machine.picture(nora, "run-completed")


async def test_a_broken_run_is_found_retried_after_a_preview_and_seen_to_be_live(
    lab: JourneyLab, machine: Machine
) -> None:
    async with refused_by_the_olt(lab) as (run, house), machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.page.get_by_role("link", name="Fallout queue").click()
        await expect(nora.page.get_by_role("heading", level=1)).to_have_text("Fallout queue")
        card = nora.page.locator("li.card", has=nora.page.get_by_role("link", name=f"Run {run.id} ")).first
        await expect(card).to_contain_text(REFUSED)
        await machine.picture(nora, "queue")
        await nora.page.get_by_role("link", name=f"Look and decide: run {run.id}").click()
        await expect(nora.page.locator("section[aria-label='Why it is held']")).to_contain_text(REFUSED)
        await expect(nora.page.locator("dl.facts")).to_contain_text(house.serial)
        await machine.picture(nora, "run-held")
        await nora.page.get_by_role("link", name="Retry", exact=True).click()
        await expect(nora.page.locator(".touches")).to_contain_text("is tried again")
        await machine.picture(nora, "preview-retry")
        lab.world.olt.refuse(house.serial, None)  # somebody configures the profile
        await nora.page.get_by_role("button", name="Retry").click()
        await expect(nora.page.locator(".box.good")).to_contain_text("Asked for")
        await expect(nora.page.locator(".lead .chip")).to_contain_text("completed")
    assert (await run.view()).summary.state == "completed"


async def test_who_sees_what_has_moved_since_decides_nothing(lab: JourneyLab, machine: Machine) -> None:
    async with refused_by_the_olt(lab) as (run, house), machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go(f"/runs/{run.id}/acts/roll-back")
        await nora.page.get_by_label("Why").fill("the customer has moved")
        lab.world.olt.refuse(house.serial, None)
        await run.retry()
        await run.until_ended()
        await nora.page.get_by_role("button", name="Roll back").click()
        await expect(nora.page.get_by_role("alert")).to_contain_text("is not as you have seen it any more")
        nora.complaints.clear()  # the browser tells its console of the 409
    assert (await run.view()).summary.state == "completed"


async def test_all_that_are_held_for_the_same_reason_are_retried_at_once(lab: JourneyLab, machine: Machine) -> None:
    async with AsyncExitStack() as stack, machine.looker() as nora:
        broken = [await stack.enter_async_context(refused_by_the_olt(lab)) for _ in range(2)]
        await nora.sign_in("nora")
        await nora.go("/queue")
        group = nora.page.locator("section[aria-labelledby=reasons] li.card", has_text=REFUSED)
        await expect(group).to_contain_text("2 runs")
        await group.get_by_role("link", name="Retry").click()
        await expect(nora.page.get_by_text(f"Run {broken[0][0].id}")).to_be_visible()
        await machine.picture(nora, "preview-many")
        for _run, house in broken:
            lab.world.olt.refuse(house.serial, None)
        await nora.page.get_by_role("button", name="Retry: all 2").click()
        await expect(nora.page.locator(".lead")).to_contain_text("2 runs of 2 were taken up")
        for run, _house in broken:
            assert (await run.until_ended()).summary.state == "completed"
        await nora.go("/queue")
        await expect(nora.page.locator(".box.good")).to_contain_text("All quiet")


async def test_the_queue_shows_by_itself_what_has_just_been_held(lab: JourneyLab, machine: Machine) -> None:
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go("/queue")
        await expect(nora.page.locator("#live")).to_have_text("live")
        async with refused_by_the_olt(lab) as (run, _house):
            await expect(nora.page.get_by_role("link", name=f"Run {run.id} ").first).to_be_visible()
        await expect(nora.page.locator(".box.good")).to_contain_text("All quiet")


async def test_a_held_run_is_handed_over_noted_and_rolled_back(lab: JourneyLab, machine: Machine) -> None:
    async with refused_by_the_olt(lab) as (run, _house), machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go(f"/runs/{run.id}")
        await nora.page.get_by_role("link", name="Hand over").click()
        await nora.page.get_by_label("Why").fill("needs the access team")
        await nora.page.get_by_role("button", name="Hand over").click()
        await expect(nora.page.locator("section[aria-label='Why it is held']")).to_contain_text("Handed over to ")
        await nora.page.get_by_role("link", name="Note").click()
        await nora.page.get_by_label("Note").fill("the vendor was called")
        await nora.page.get_by_role("button", name="Note").click()
        await expect(nora.page.locator(".log")).to_contain_text("nora: the vendor was called")
        await nora.page.get_by_role("link", name="Roll back").click()
        await expect(nora.page.get_by_text("Given back:")).to_be_visible()
        await machine.picture(nora, "preview-roll-back")
        await nora.page.get_by_label("Why").fill("the customer has moved")
        await nora.page.get_by_role("button", name="Roll back").click()
        await expect(nora.page.locator(".lead .chip")).to_contain_text("failed")
    assert (await run.states())["allocate_resources"] == "undone"


@pytest.mark.either_database
async def test_every_page_is_clean_for_axe_and_fits(lab: JourneyLab, machine: Machine) -> None:
    async with refused_by_the_olt(lab) as (run, _house), machine.looker() as nora:
        held = (await run.view()).summary
        same = f"journey={held.journey}&step={held.current_step}&code={held.reason_code}"
        verbs = ("retry", "retry-from", "skip", "roll-back", "hand-over", "note")
        paths = ["/queue", "/runs", f"/runs/{run.id}", "/visits", f"/queue/acts/skip?{same}"]
        paths += [f"/runs/{run.id}/acts/{verb}" for verb in verbs]
        await nora.go("/sign-in")
        assert await machine.look(nora, "sign-in") == {}
        await nora.sign_in("nora")
        for path in paths:
            await nora.go(path)
            name = path.partition("?")[0].replace(f"/runs/{run.id}", "/run").strip("/").replace("/", "-")
            assert await machine.look(nora, name) == {}, path


async def test_the_slash_leads_to_the_search_and_the_page_can_be_used_without_a_mouse(
    lab: JourneyLab, machine: Machine
) -> None:
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.page.keyboard.press("Tab")
        await expect(nora.page.locator(":focus")).to_have_text("To the content")
        await nora.page.keyboard.press("Enter")
        await nora.page.keyboard.press("/")
        await expect(nora.page.locator(":focus")).to_have_attribute("name", "q")
        menu = nora.page.locator("details", has_text="Network")
        await menu.locator("summary").focus()
        await nora.page.keyboard.press("Enter")
        await nora.page.keyboard.press("Tab")
        await expect(menu.get_by_role("link", name="Sessions")).to_be_focused()
        await nora.page.keyboard.press("Escape")
        await expect(menu.locator("summary")).to_be_focused()
        await expect(menu.get_by_role("link", name="Sessions")).to_be_hidden()
        await nora.page.keyboard.press("Enter")
        await nora.page.keyboard.press("Shift+Tab")
        await expect(menu.get_by_role("link", name="Sessions")).to_be_hidden()


async def test_who_is_signed_out_elsewhere_is_led_away_from_a_live_page(lab: JourneyLab, machine: Machine) -> None:
    async with machine.looker() as ada:
        await ada.sign_in("ada")
        await expect(ada.page.locator("#live")).to_have_text("live")
        other = await ada.page.context.new_page()
        await other.goto(machine.base + "/runs")
        await other.get_by_role("button", name="Sign out").click()
        await ada.page.wait_for_url("**/sign-in?next=*")
