"""What a page weighs when nothing of it is known to the browser, and how soon something of it is seen."""

from __future__ import annotations

import pytest
from playwright.async_api import Response

from provisioning.console.navigation import PLACES
from tests.support.browser import Looker, Machine

pytestmark = pytest.mark.asyncio(loop_scope="session")

HEAVIEST = 200 * 1024
PAINT = "performance.getEntriesByType('paint').find(one => one.name === 'first-contentful-paint')?.startTime"


@pytest.mark.second_half
@pytest.mark.either_database
async def test_every_page_weighs_less_than_200_kilobytes_with_all_that_it_loads(machine: Machine) -> None:
    """The times are printed: they are the machine's of the day (`pytest -s`)."""
    async with machine.looker() as ada:
        await ada.sign_in("ada")
        for place in PLACES:
            weight, paint_ms = await weighed(ada, place.path)
            print(f"{place.path}: {weight / 1024:.0f} KB, first paint after {paint_ms:.0f} ms")  # noqa: T201
            assert 0 < weight < HEAVIEST, place.path


async def weighed(looker: Looker, path: str) -> tuple[int, float]:
    """How many octets came for this page and its sheets and scripts, as if for the first time; when it was painted."""
    came: list[Response] = []

    def comes(response: Response) -> None:
        came.append(response)

    await looker.page.goto("about:blank")  # nothing of the page before comes any more
    session = await looker.page.context.new_cdp_session(looker.page)
    await session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    looker.page.on("response", comes)
    try:
        await looker.go(path)
        await looker.page.wait_for_load_state("load")
        parts = [each for each in came if "/live" not in each.url]  # the stream has no end
        weight = sum([len(await each.body()) for each in parts])
        return weight, float(await looker.page.evaluate(PAINT) or 0)
    finally:
        looker.page.remove_listener("response", comes)
        await session.detach()
