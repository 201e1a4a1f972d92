"""The dispatch board under somebody's hands: a visit is dragged to where it fits, and to where it doesn't."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from playwright.async_api import expect

from provisioning.field import Jobs, Sheets, VisitRecord, Visits
from tests.support.browser import Machine
from tests.support.estate import Household
from tests.support.lab import JourneyLab
from tests.support.technician import PICTURE

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def book(lab: JourneyLab, house: Household, at: datetime) -> VisitRecord:
    appliance = lab.appliance
    async with appliance.database.begin() as db:
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).book(
            customer_id=house.customer_id,
            technician_id=house.technician_id,
            starts_at=at,
            duration_minutes=120,
            address=f"Lindenweg {house.number}, Northtown",
        )


async def test_a_visit_dragged_onto_a_busy_technician_is_refused_with_what_fits_and_moved_there(
    lab: JourneyLab, machine: Machine
) -> None:
    local = lab.clock.now().astimezone(lab.appliance.zone) + timedelta(days=3)
    at = local.replace(hour=10, minute=0, second=0, microsecond=0)
    visit = await book(lab, lab.household(), at)
    busy = lab.household()
    other = await book(lab, busy, at)
    async with machine.looker() as dora:
        await dora.sign_in("dora")
        await dora.go(f"/dispatch?day={at.date()}")
        await dora.page.set_viewport_size({"width": 1280, "height": 16_000})  # both lanes are seen, without scrolling
        block = dora.page.locator(f"#visit-{visit['visit_id']}")
        target = dora.page.locator(f"#visit-{other['visit_id']}")
        box = await target.bounding_box()
        assert box is not None
        await block.drag_to(target, target_position={"x": box["width"] * 0.55, "y": 10})
        await dora.page.wait_for_url("**/dispatch/visits/*")
        await expect(dora.page.get_by_label("Technician")).to_have_value(str(busy.technician_id))
        await expect(dora.page.get_by_label("When")).to_have_value(f"{at.date()}T11:00")
        await dora.page.get_by_label("Why", exact=True).fill("nearer to the depot")
        await dora.page.get_by_role("button", name="Move it").click()
        await expect(dora.page.get_by_role("alert")).to_contain_text(f"Technician {busy.technician} is busy")
        assert await machine.look(dora, "dispatch-refused") == {}
        assert [each for each in dora.complaints if "409 (Conflict)" not in each] == []
        dora.complaints.clear()
        offer = dora.page.locator("li.card.good a").first
        offered = (await offer.inner_text()).split(", ")[1]
        await offer.click()
        await dora.page.get_by_role("button", name="Move it").click()
        await dora.page.wait_for_url("**/dispatch?day=*")
        lane = dora.page.locator("section.lane", has=dora.page.locator(f"#visit-{visit['visit_id']}"))
        await expect(lane.get_by_role("heading")).to_contain_text(offered)


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_board_and_the_form_that_moves_are_clean_for_axe_and_fit(lab: JourneyLab, machine: Machine) -> None:
    local = lab.clock.now().astimezone(lab.appliance.zone) + timedelta(days=4)
    at = local.replace(hour=9, minute=0, second=0, microsecond=0)
    visit = await book(lab, lab.household(), at)
    async with machine.looker() as dora:
        await dora.sign_in("dora")
        await dora.go(f"/dispatch?day={at.date()}")
        await dora.page.locator(f"#visit-{visit['visit_id']}").get_by_role("link", name="Move").focus()
        assert await machine.look(dora, "dispatch") == {}
        await dora.page.keyboard.press("Enter")
        await dora.page.wait_for_url("**/dispatch/visits/*")
        assert await machine.look(dora, "dispatch-move") == {}


@pytest.mark.second_half
@pytest.mark.either_database
async def test_whoever_waits_for_a_time_is_invited_from_the_board_by_a_form_that_is_clean_for_axe(
    lab: JourneyLab, machine: Machine
) -> None:
    run = await lab.order(lab.household(), appointment=None)
    await run.until_waiting_for("appointment")
    async with lab.appliance.database.begin() as db:
        await Jobs(db, tenant_id=lab.appliance.tenant_id).define(
            name="install", duration_minutes=90, window_minutes=30, skills=[]
        )
    async with machine.looker() as dora:
        await dora.sign_in("dora")
        await dora.go("/dispatch")
        waits = dora.page.locator("li.card", has_text=f"Run {run.id},")
        await expect(waits).to_contain_text("not invited to choose")
        assert await machine.look(dora, "dispatch-to-agree") == {}
        await waits.get_by_role("link", name="Find a time").click()
        await dora.page.wait_for_url("**/slots")
        assert await machine.look(dora, "dispatch-slots") == {}
        await dora.go("/dispatch")
        await waits.get_by_role("link", name="Let the customer choose").click()
        await dora.page.wait_for_url("**/invite")
        assert await machine.look(dora, "dispatch-invite") == {}
        await dora.page.get_by_role("button", name="Mail the link").click()
        await dora.page.wait_for_url("**/dispatch#to-agree")
        await expect(waits).to_contain_text("not answered; the link opens until")
    await run.cancel("no time was agreed")


async def test_a_visit_is_booked_from_the_board_by_the_keyboard_and_who_comes_too_late_takes_another_time(
    lab: JourneyLab, machine: Machine
) -> None:
    house, day = lab.household(), (lab.clock.now() + timedelta(days=5)).date()
    async with lab.appliance.database.begin() as db:
        await Jobs(db, tenant_id=lab.appliance.tenant_id).define(name="repair", duration_minutes=60)
    async with machine.looker() as dora, machine.looker() as nora:
        for looker, name in ((dora, "dora"), (nora, "nora")):
            await looker.sign_in(name)
            await looker.go("/dispatch")
            await looker.page.get_by_role("link", name="Book a visit").click()
            await looker.page.get_by_label("Customer's number").fill(str(house.customer_id))
            await looker.page.get_by_label("What is to be done").select_option("repair")
            await looker.page.get_by_label("Address").fill("Lindenweg 4, Northtown")
            await looker.page.get_by_label("From").fill(day.isoformat())
            await looker.page.get_by_label("Who comes").select_option(str(house.technician_id))
            await looker.page.keyboard.press("Tab")
            await looker.page.keyboard.press("Enter")
            await looker.page.locator("li.offer").first.wait_for()
        assert await machine.look(nora, "slots") == {}
        offer = dora.page.locator("li.offer button").first
        name = (await offer.inner_text()).removeprefix("Book ")
        await offer.focus()
        await dora.page.keyboard.press("Enter")
        await dora.page.wait_for_url("**/dispatch?day=*#visit-*")
        lane = dora.page.locator(f"section.lane[data-technician='{house.technician_id}']")
        await expect(lane).to_contain_text("Lindenweg 4, Northtown")

        await nora.page.get_by_role("button", name=name).click()
        await expect(nora.page.get_by_role("alert")).to_contain_text(f"Technician {house.technician} is busy")
        assert await machine.look(nora, "no-slot") == {}
        assert [each for each in nora.complaints if "409 (Conflict)" not in each] == []
        nora.complaints.clear()
        await nora.page.locator("li.offer button").first.click()
        await nora.page.wait_for_url("**/dispatch?day=*#visit-*")


@pytest.mark.second_half
@pytest.mark.either_database
async def test_the_pages_of_technicians_and_of_a_visit_with_its_sheet_are_clean_for_axe_and_fit(
    lab: JourneyLab, machine: Machine
) -> None:
    house, appliance = lab.household(), lab.appliance
    visit = await book(lab, house, lab.clock.now() + timedelta(days=6))
    kept = await appliance.photos.keep(PICTURE.read_bytes())
    async with appliance.database.begin() as db:
        planning = appliance.planning(db)
        week = {day: ["00:00-12:00", "12:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
        number, now = house.technician_id, lab.clock.now()
        await planning.plan(technician_id=number, team="north", week=week, time_zone="Europe/Berlin")
        begins, ends = now + timedelta(days=20), now + timedelta(days=30)
        await planning.take_leave(technician_id=number, starts_at=begins, ends_at=ends, reason="holidays")
        await appliance.feeds(db).make(technician_id=number, by="dora")
        sheets = Sheets(db, tenant_id=appliance.tenant_id, now=lab.clock.now)
        written = {"optical_dbm": -31.5, "splitter": "SP-4", "drop_label": "D-17", "note": "the gate sticks"}
        await sheets.write(visit["visit_id"], {**written, "signed_by": "Ada"}, {})
        facts: dict[str, Any] = {"sha256": kept.sha256, "media_type": kept.media_type, "size_bytes": kept.size_bytes}
        await sheets.add_photo(visit_id=visit["visit_id"], purpose="photo", caption="the ONT", **facts)
    async with machine.looker() as dora:
        await dora.sign_in("dora")
        for path, name in (
            ("/technicians", "technicians"),
            (f"/technicians/{number}", "technician"),
            (f"/visits/{visit['visit_id']}", "visit"),
            (f"/dispatch/visits/{visit['visit_id']}/slots", "visit-slots"),
        ):
            await dora.go(path)
            await dora.page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
            assert await machine.look(dora, name) == {}, path
