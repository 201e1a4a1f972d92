"""One subscriber at the console: what somebody changed behind our back is seen, fixed after a preview, and verified."""

from __future__ import annotations

import pytest
from playwright.async_api import expect
from sqlalchemy import update

from radius.projection.freeradius_tables import radreply
from tests.support.browser import Looker, Machine
from tests.support.estate import Household
from tests.support.lab import JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")

WRONG = "203.0.113.77"


async def served(lab: JourneyLab) -> tuple[int, str, Household]:
    """Somebody who is installed and online: our number, the username, the household."""
    house = lab.household()
    run = await lab.order(house)
    await run.until_waiting_for("visit")
    await run.plug_and_scan(house)
    await run.until_ended()
    async with lab.appliance.database.read() as db:
        radius = lab.appliance.services(db).radius_service
        [found] = await radius.subscribers(customer_id=house.customer_id)
    return found["subscriber_id"], found["username"], house


async def spoil(lab: JourneyLab, username: str) -> None:
    async with lab.appliance.radius_database.begin() as db:
        mine = (radreply.c.username == username, radreply.c.attribute == "Framed-IP-Address")
        await db.execute(update(radreply).where(*mine).values(value=WRONG))


async def take(nora: Looker, button: str, why: str) -> None:
    await nora.page.get_by_label("Why").fill(why)
    await nora.page.get_by_role("button", name=button).click()


async def test_what_was_changed_in_radius_is_amber_fixed_after_a_preview_and_seen_to_agree(
    lab: JourneyLab, machine: Machine
) -> None:
    number, username, house = await served(lab)
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go("/subscribers")
        await nora.page.get_by_role("link", name=username).click()
        await expect(nora.page.locator(".box.good")).to_contain_text("Everything")
        await expect(nora.page.locator("table.truth")).to_contain_text(house.serial)
        await machine.picture(nora, "subscriber-agrees")
        await spoil(lab, username)
        await nora.go(f"/subscribers/{number}")
        await expect(nora.page.locator("td.differs")).to_contain_text(WRONG)
        await machine.picture(nora, "subscriber-differs")
        await nora.page.get_by_role("link", name="Fix: set right: ipv4").click()
        await expect(nora.page.locator(".touches")).to_contain_text("are written anew")
        await machine.picture(nora, "preview-set-right")
        await take(nora, "Set right", "somebody edited radreply")
        await expect(nora.page.locator("[role=status].box")).to_contain_text("Set right:")
        await expect(nora.page.locator("td.differs")).to_have_count(0)  # by itself, once the worker has been there
        await expect(nora.page.locator("[role=status].box")).to_contain_text("FreeRADIUS shows it")
        await machine.picture(nora, "subscriber-set-right")


async def test_a_suspension_is_previewed_seen_to_end_the_session_and_taken_back(
    lab: JourneyLab, machine: Machine
) -> None:
    number, _username, _house = await served(lab)
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go(f"/subscribers/{number}")
        await nora.page.get_by_role("link", name="Suspend").click()
        await expect(nora.page.locator(".touches")).to_contain_text("refuses every login")
        await machine.picture(nora, "preview-suspend")
        await take(nora, "Suspend", "has not paid")
        login = nora.page.locator("table.truth tr", has=nora.page.get_by_role("rowheader", name="login"))
        await expect(login.locator("td").nth(1)).to_contain_text("refused")
        await expect(login.locator("td").nth(2)).to_contain_text("offline")
        await expect(nora.page.locator("#asked + .log")).to_contain_text("suspend")
        await nora.page.get_by_role("link", name="Resume").click()
        await take(nora, "Resume", "has paid")
        await expect(login.locator("td").nth(1)).to_contain_text("let in")
        await machine.picture(nora, "subscriber-resumed")


async def test_a_cpe_that_is_read_anew_is_asked_for_first_and_confirmed_when_it_has_answered(
    lab: JourneyLab, machine: Machine
) -> None:
    number, _username, house = await served(lab)
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        await nora.go(f"/subscribers/{number}")
        await nora.page.get_by_role("link", name=f"Refresh CPE {house.serial}").click()
        await nora.page.get_by_role("button", name="Refresh the CPE").click()
        await expect(nora.page.locator("[role=status].box")).to_contain_text(f"Refresh of CPE {house.serial}")
        await expect(nora.page.locator("[role=status].box")).to_contain_text("confirmed")
        await machine.picture(nora, "subscriber-refreshed")


@pytest.mark.second_half
@pytest.mark.either_database
async def test_every_page_of_a_subscriber_is_clean_for_axe_and_fits(lab: JourneyLab, machine: Machine) -> None:
    number, username, house = await served(lab)
    await spoil(lab, username)
    async with machine.looker() as nora:
        await nora.sign_in("nora")
        base = f"/subscribers/{number}"
        paths = ["/subscribers", base, f"{base}/timeline"]
        paths += [f"{base}/acts/{act}" for act in ("disconnect", "suspend", "change-plan", "set-right", "resume")]
        paths += [f"{base}/cpes/{house.serial}/acts/reboot"]
        for path in paths:
            await nora.go(path)
            name = path.replace(base, "/subscriber").strip("/").replace("/", "-")
            assert await machine.look(nora, name) == {}, path
