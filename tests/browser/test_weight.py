"""What a page weighs when nothing of it is known to the browser, and how soon something of it is seen."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from playwright.async_api import Response

from acs import Group, Pace
from provisioning.console.navigation import PLACES
from tests.support.browser import PATIENCE_MS, Looker, Machine
from tests.support.lab import JourneyLab
from tests.support.technician import open_day, visited_today

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAVIEST = 200 * 1024
LATEST_PAINT_MS = 1000
LOOKS = 3
"""A page may be looked at so often until it was painted in time: other tests have the machine as well."""
PAINT = """() => new Promise(told => new PerformanceObserver(seen => {
    const [first] = seen.getEntriesByName("first-contentful-paint");
    if (first) told(first.startTime);
}).observe({type: "paint", buffered: true}))"""
"""The browser tells of it a little later than it was. Waiting for it by Playwright would need a policy that lets pages
make scripts of text."""


@pytest.mark.second_half
@pytest.mark.either_database
async def test_every_place_is_light_and_soon_seen(machine: Machine) -> None:
    async with machine.looker() as ada:
        await ada.sign_in("ada")
        for place in PLACES:
            await is_light_and_soon_seen(ada, place.path)


@pytest.mark.second_half
@pytest.mark.either_database
async def test_every_page_behind_a_place_is_light_and_soon_seen(lab: JourneyLab, machine: Machine) -> None:
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    visit_id = (await run.result("schedule_installation"))["visit_id"]
    await run.plug_and_scan(house)
    await run.until_ended()
    async with lab.appliance.database.begin() as db:
        [subscriber] = await lab.appliance.services(db).radius_service.subscribers(customer_id=house.customer_id)
        await lab.appliance.campaigns(db).plan_template(
            name="heavy", template="tr181-pppoe", group=Group(template="tr181-pppoe"), by="ada", pace=Pace()
        )
    number = subscriber["subscriber_id"]
    day = (lab.clock.now() + timedelta(days=1)).astimezone(lab.appliance.zone).date()
    async with machine.looker() as ada:
        await ada.sign_in("ada")
        for path in (
            f"/runs/{run.id}",
            f"/subscribers/{number}",
            f"/subscribers/{number}/timeline",
            f"/subscribers/{number}/acts/suspend",
            f"/customers/{house.customer_id}",
            f"/devices/{house.serial}",
            "/pools/of?pool=north-v4",
            "/campaigns",
            "/campaigns/heavy",
            f"/dispatch?day={day}",
            f"/dispatch/visits/{visit_id}",
            f"/search?q={house.serial}",
            f"/sessions/of?username={subscriber['username']}",
        ):
            await is_light_and_soon_seen(ada, path)


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_technicians_day_is_light_and_soon_seen(lab: JourneyLab, machine: Machine) -> None:
    run, _house, login, visit_id = await visited_today(lab)
    async with machine.looker() as tess:
        await open_day(tess, login, visit_id)
        await is_light_and_soon_seen(tess, "/field")
    await run.cancel("the test is over")


async def is_light_and_soon_seen(looker: Looker, path: str) -> None:
    """The times are printed: they are the machine's of the day (`pytest -s`)."""
    for _ in range(LOOKS):
        weight, paint_ms = await weighed(looker, path)
        print(f"{path}: {weight / 1024:.0f} KB, first paint after {paint_ms:.0f} ms")  # noqa: T201
        assert 0 < weight < HEAVIEST, path
        if paint_ms < LATEST_PAINT_MS:
            break
    assert 0 < paint_ms < LATEST_PAINT_MS, path


async def weighed(looker: Looker, path: str) -> tuple[int, float]:
    """How many octets came for this page and its sheets and scripts, packed as they come and as if for the first time;
    when it was painted."""
    came: list[Response] = []

    def comes(response: Response) -> None:
        came.append(response)

    await looker.page.goto("about:blank")  # nothing of the page before comes any more
    session = await looker.page.context.new_cdp_session(looker.page)
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    looker.page.on("response", comes)
    try:
        answer = await looker.go(path)
        assert answer is not None and answer.status == 200, path
        await looker.page.wait_for_load_state("load")
        async with asyncio.timeout(PATIENCE_MS / 1000):
            painted = float(await looker.page.evaluate(PAINT))
        parts = [each for each in came if "/live" not in each.url]  # the stream has no end
        weight = sum([int((await each.all_headers())["content-length"]) for each in parts])
        return weight, painted
    finally:
        looker.page.remove_listener("response", comes)
        await session.detach()
