"""A customer chooses the time of their visit, or moves it, on a phone: by a mail's link, without mouse or script."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from provisioning.field import Jobs, VisitRecord, Visits
from tests.support.browser import PHONE, Machine
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab

pytestmark = pytest.mark.asyncio(loop_scope="session")


def in_days(lab: JourneyLab, days: int, hour: int = 10) -> datetime:
    local = lab.clock.now().astimezone(lab.appliance.zone) + timedelta(days=days)
    return local.replace(hour=hour, minute=0, second=0, microsecond=0)


async def appointed(lab: JourneyLab, days: int, **changes: Any) -> tuple[Installation, Household, str]:
    """An installation whose visit is mailed: its run, its household, and the path of the mail's link."""
    house = lab.household()
    run = await lab.submit(house.ticket(in_days(lab, days), **changes))
    await run.until_waiting_for("visit")
    return run, house, link_of(lab, house)


def link_of(lab: JourneyLab, house: Household, subject: str = "we come on") -> str:
    """The path of the newest such mail's link."""
    body = lab.mails_to(house, subject)[-1].message.get_body(("plain",))
    assert body is not None
    [address] = re.findall(r"https?://\S+/links/\S+", body.get_content())
    return str(urlsplit(address).path)


async def visit_of(lab: JourneyLab, run: Installation) -> VisitRecord:
    visit_id = (await run.result("schedule_installation"))["visit_id"]
    async with lab.appliance.database.read() as db:
        return await Visits(db, tenant_id=lab.appliance.tenant_id, now=lab.appliance.clock).visit(visit_id)


@pytest.mark.second_half
async def test_a_customer_moves_a_slot_and_the_next_mail_tells_the_new_time(lab: JourneyLab, machine: Machine) -> None:
    run, house, path = await appointed(lab, 5)
    before = await visit_of(lab, run)
    async with machine.looker() as ada:
        await ada.go(path)
        assert await machine.look(ada, "visit") == {}
        await ada.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Your appointment")
        await expect(ada.page.locator("main")).not_to_contain_text(house.technician)
        first = ada.page.locator('input[name="slot"]').first
        wanted = datetime.fromisoformat(str(await first.get_attribute("value")))
        await first.focus()
        await ada.page.keyboard.press("Space")
        await ada.page.keyboard.press("Enter")
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Thank you, your appointment is moved")
        assert await machine.look(ada, "visit-moved") == {}
    while len(lab.mails_to(house, "we come on")) < 2:  # the run joins the visit anew, and writes
        await lab.happening()
    await run.until_waiting_for("visit")
    moved = await visit_of(lab, run)
    assert (moved["starts_at"], moved["technician_id"]) == (wanted, house.technician_id)
    assert moved["starts_at"] != before["starts_at"]
    async with machine.looker() as ada:
        await ada.go(path)
        await expect(ada.page.locator("main")).to_contain_text("has moved your appointment already")
        ada.complaints.clear()
        await ada.go(link_of(lab, house))
        await expect(ada.page.locator("main")).to_contain_text("2 moves are left.")


async def test_a_slot_that_was_taken_meanwhile_shows_others_and_one_of_them_is_had(
    lab: JourneyLab, machine: Machine
) -> None:
    run, house, path = await appointed(lab, 6, order_id=None)
    before = await visit_of(lab, run)
    async with machine.looker() as ada:
        await ada.go(path)
        chosen = ada.page.locator('input[name="slot"]').nth(3)
        wanted = datetime.fromisoformat(str(await chosen.get_attribute("value")))
        async with lab.appliance.database.begin() as db:  # dispatch is quicker
            await Jobs(db, tenant_id=lab.appliance.tenant_id).define(name="survey", duration_minutes=60)
            await lab.appliance.dispatch_desk(db).book(
                customer_id=house.customer_id,
                technician_id=house.technician_id,
                starts_at=wanted,
                address="elsewhere",
                job="survey",
                by="nora",
            )
        await chosen.check()
        await ada.page.get_by_role("button", name="Move my appointment").click()
        await expect(ada.page.get_by_role("alert")).to_contain_text("It was taken meanwhile")
        assert await machine.look(ada, "visit-taken") == {}
        assert [each for each in ada.complaints if "409 (Conflict)" not in each] == []
        ada.complaints.clear()
        assert await visit_of(lab, run) == before
        other = ada.page.locator('input[name="slot"]').first
        had = datetime.fromisoformat(str(await other.get_attribute("value")))
        await other.check()
        await ada.page.get_by_role("button", name="Move my appointment").click()
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Thank you, your appointment is moved")
    assert had != wanted
    assert (await visit_of(lab, run))["starts_at"] == had


async def test_a_customer_who_is_invited_chooses_when_we_come_and_the_installation_goes_on(
    lab: JourneyLab, machine: Machine
) -> None:
    house = lab.household()
    run = await lab.submit(house.ticket(in_days(lab, 5), appointment=None))
    await run.until_waiting_for("appointment")
    async with lab.appliance.database.begin() as db:
        await Jobs(db, tenant_id=lab.appliance.tenant_id).define(name="installation", duration_minutes=90)
        await lab.appliance.first_slots(db).invite(run_id=run.id, job="installation", by="dora")
    while not lab.mails_to(house, "when may we come"):
        await lab.happening()
    path = link_of(lab, house, "when may we come")
    async with machine.looker() as ada:
        await ada.go(path)
        assert await machine.look(ada, "choice") == {}
        await ada.page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Choose your appointment")
        first = ada.page.locator('input[name="slot"]').first
        wanted = datetime.fromisoformat(str(await first.get_attribute("value")))
        await first.focus()
        await ada.page.keyboard.press("Space")
        await ada.page.keyboard.press("Enter")
        await expect(ada.page.get_by_role("heading", level=1)).to_have_text("Thank you, your appointment is booked")
        assert await machine.look(ada, "choice-booked") == {}
    await run.until_waiting_for("visit")
    visit = await visit_of(lab, run)
    assert (visit["starts_at"], visit["ends_at"] - visit["starts_at"]) == (wanted, timedelta(minutes=90))
    await run.plug_and_scan(house)
    await run.until_ended()
    assert (await run.view()).summary.state == "completed"
