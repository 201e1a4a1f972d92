"""A technician at the page of their day, in a browser: what is done there, and what of it has arrived."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from playwright.async_api import Locator, expect
from sqlalchemy import select

import provisioning.console
from provisioning.days import day_of, end_of
from provisioning.field import VisitAct, VisitPhoto
from tests.support.browser import Looker
from tests.support.console import add_user
from tests.support.estate import Household
from tests.support.lab import Installation, JourneyLab

TICKS = ["bound", "authorised", "informed", "configured", "online"]
LONGEST_TEST = timedelta(hours=1)
"""By the laboratory's clock, which passes quicker than the real one."""
PICTURE = Path(provisioning.console.__file__).parent / "assets" / "icon-512.png"


async def visited_today(lab: JourneyLab, room: timedelta = LONGEST_TEST) -> tuple[Installation, Household, str, int]:
    """An installation of today: its run, the household, the name under which its technician signs in, the visit.

    If less than ``room`` is left of today, it is another day first: what is booked for today would be tomorrow's, or
    soon yesterday's.
    """
    over = end_of(day_of(lab.clock.now(), lab.appliance.zone), lab.appliance.zone)
    if over - lab.clock.now() < room:
        lab.clock.skip_to(over)
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
    await form.locator("form").wait_for(state="hidden")  # folded: it is kept


async def write_down(job: Locator, **fields: str) -> None:
    form = await unfold(job, "record")
    for label, value in fields.items():
        await form.get_by_label(label).fill(value)
    await form.get_by_role("button", name="Write it down").click()
    await form.locator("form").wait_for(state="hidden")  # folded: it is kept


async def keep_photo(job: Locator, caption: str) -> None:
    form = await unfold(job, "photo")
    await form.get_by_label("Picture").set_input_files(PICTURE)
    await form.get_by_label("What it shows").fill(caption)
    await form.get_by_role("button", name="Keep the photo").click()


async def acts_of(lab: JourneyLab, visit_id: int) -> list[VisitAct]:
    """What has arrived, in the order in which it did."""
    async with lab.appliance.database.read() as db:
        return list(await db.scalars(select(VisitAct).where(VisitAct.visit_id == visit_id).order_by(VisitAct.id)))


async def photos_of(lab: JourneyLab, visit_id: int) -> list[VisitPhoto]:
    async with lab.appliance.database.read() as db:
        return list(await db.scalars(select(VisitPhoto).where(VisitPhoto.visit_id == visit_id).order_by(VisitPhoto.id)))


def forgive(looker: Looker, words: str) -> None:
    """What the browser complained of, and was meant to."""
    assert any(words in each for each in looker.complaints), looker.complaints
    looker.complaints[:] = [each for each in looker.complaints if words not in each]
