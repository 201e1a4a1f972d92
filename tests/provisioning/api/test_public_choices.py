"""A customer chooses the time of their visit in a browser: once, and whoever comes too late is helped on."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from html import unescape

import httpx
from sqlalchemy import func, select

from provisioning.access.audit import AuditEntry
from provisioning.bootstrap import Appliance
from provisioning.commercial.tables import Mail
from provisioning.field import Jobs, Visit
from provisioning.links import OneTimeLinkUse
from tests.provisioning.api.test_public_visits import times
from tests.provisioning.test_order_visits import CUSTOMER, ORDER, waiting


async def invited(appliance: Appliance, language: str = "") -> str:
    """The path of the link in the mail."""
    run_id = await waiting(appliance, "T-1")
    async with appliance.database.begin() as db:
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="install", duration_minutes=60)
        await appliance.first_slots(db).invite(run_id=run_id, job="install", by="dora")
    return (await link_of(appliance)) + language


async def link_of(appliance: Appliance) -> str:
    async with appliance.database.read() as db:
        text = await db.scalar(select(Mail.text).order_by(Mail.id.desc()).limit(1))
    found: list[str] = re.findall(r"https?://\S+?(/links/\S+)", text or "")
    assert len(found) == 1, text
    return found[0]


async def counted(appliance: Appliance) -> tuple[int, int]:
    """Visits, and links that were used."""
    async with appliance.database.read() as db:
        visits = await db.scalar(select(func.count()).select_from(Visit))
        used = await db.scalar(select(func.count()).select_from(OneTimeLinkUse))
    return visits or 0, used or 0


async def test_a_time_is_chosen_once_and_the_link_then_shows_what_was_booked(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    link = await invited(appliance)
    page = await browser.get(link)
    assert page.status_code == 200 and "Choose your appointment" in page.text
    assert "Book this appointment" in page.text and "Tess" not in page.text
    assert await counted(appliance) == (0, 0)
    slot = times(page)[2]

    booked = await browser.post(link, data={"seen": "", "slot": slot.isoformat()})

    assert booked.status_code == 200 and "your appointment is booked" in booked.text
    assert await counted(appliance) == (1, 1)
    async with appliance.database.read() as db:
        visit = (await db.scalars(select(Visit))).one()
        entry = (await db.scalars(select(AuditEntry).order_by(AuditEntry.id.desc()).limit(1))).one()
    assert (visit.starts_at, visit.order_id, visit.customer_id) == (slot, ORDER, CUSTOMER)
    assert (entry.action, entry.subject, entry.actor) == ("visits book", f"visit/{visit.id}", "one-time link")
    for again in (await browser.get(link), await browser.post(link, data={"slot": slot.isoformat()})):
        assert "the appointment that you have with us" in again.text and "<form" not in again.text
    assert await counted(appliance) == (1, 1)


async def test_who_comes_too_late_or_chooses_nothing_books_nothing_and_keeps_the_link(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    link = await invited(appliance)
    slot = times(await browser.get(link))[2]
    async with appliance.database.begin() as db:
        await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER, technician_id=7, starts_at=slot, address="there", job="install", by="dora"
        )
    late = await browser.post(link, data={"slot": slot.isoformat()})
    assert late.status_code == 409 and "This time is not free any more" in late.text
    assert len(times(late)) == 3 and slot not in times(late)
    nothing = await browser.post(link, data={"slot": "whenever"})
    assert nothing.status_code == 422 and "No time was chosen, and nothing is booked yet." in nothing.text
    assert await counted(appliance) == (1, 0)
    booked = await browser.post(link, data={"slot": times(late)[0].isoformat()})
    assert booked.status_code == 200
    assert await counted(appliance) == (2, 1)


async def test_a_newer_invitation_is_the_one_that_counts_and_german_is_spoken(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    first = await invited(appliance)
    async with appliance.database.begin() as db:
        run_id = await db.scalar(select(func.max(Mail.id)))  # one run, one mail: both are number one
        await appliance.first_slots(db).invite(run_id=run_id or 0, job="install", by="dora")
    over = await browser.get(first)
    assert over.status_code == 410 and "Nothing is to be chosen here any more" in over.text
    slot = (appliance.clock() + timedelta(days=3)).replace(minute=0, second=0, microsecond=0)
    sent = await browser.post(first, data={"slot": slot.isoformat()})
    assert (sent.status_code, sent.headers["Location"]) == (303, first)
    assert "Please take the link of our newest mail" in over.text
    german = await browser.get(f"{await link_of(appliance)}?lang=de")
    assert german.status_code == 200 and "Wann dürfen wir kommen?" in unescape(german.text)
    assert await counted(appliance) == (0, 0)
    assert all(isinstance(each, datetime) for each in times(german)) and times(german)
