"""What a technician's van holds, on their page: what they scan leaves it, what they take back comes into it."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from provisioning.field import VanStock
from tests.support.browser import Machine
from tests.support.lab import JourneyLab
from tests.support.technician import open_day, scan, unfold, visited_today

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def book_in(lab: JourneyLab, technician_id: int, *serials: str) -> None:
    appliance = lab.appliance
    async with appliance.database.begin() as db:
        stock = VanStock(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        await stock.book_in(technician_id=technician_id, serials=serials, by="dora")


async def test_a_scan_leaves_the_van_and_what_is_taken_back_offline_comes_into_it(
    lab: JourneyLab, machine: Machine
) -> None:
    _, house, login, visit_id = await visited_today(lab)
    spare, old = f"ZTEG{house.number:08X}", f"ALCL{house.number:08X}"
    await book_in(lab, house.technician_id, house.serial, spare)
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        van = tess.page.get_by_role("region", name="In your van").get_by_role("listitem")
        await expect(van).to_have_text([f"{house.serial}, to be installed", f"{spare}, to be installed"])
        assert await tess.page.locator("#van-serials option").count() == 2
        await tess.page.context.set_offline(True)
        await scan(job, house.serial)
        back = await unfold(job, "back")
        await back.get_by_label("Serial number").fill(old)
        await back.get_by_label("Why, if it is broken").fill("no light")
        await back.get_by_role("button", name="It is in my van").click()
        await expect(job.locator(".kept li")).to_have_count(2)
        await expect(job.locator(".kept")).to_contain_text(f"Taken back {old}: no light: saved, will be sent")
        await tess.page.context.set_offline(False)
        await expect(van).to_have_text([f"{spare}, to be installed", f"{old}, taken back"])
        await expect(job.locator(".stock")).to_be_hidden()
        assert await machine.look(tess, "field-stock") == {}


@pytest.mark.second_half
async def test_what_was_not_in_the_van_is_connected_all_the_same_and_shown_as_such(
    lab: JourneyLab, machine: Machine
) -> None:
    _, house, login, visit_id = await visited_today(lab)
    await book_in(lab, house.technician_id, f"ZTEG{house.number:08X}")
    async with machine.looker() as tess:
        job = await open_day(tess, login, visit_id)
        await scan(job, house.serial)
        await expect(job.locator(".stock")).to_have_text(f"{house.serial} was not in this van's stock.")
        await expect(job.locator(".chip")).to_contain_text("scanned")
