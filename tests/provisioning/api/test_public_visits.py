"""A customer's visit in a browser: it is shown without anybody's name, moved once by its link, and refusals help on."""

from __future__ import annotations

import asyncio
import re
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from html import unescape

import httpx
import pytest
from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.access.audit import AuditEntry
from provisioning.api import create_app
from provisioning.bootstrap import Appliance
from provisioning.commercial.tables import Customer
from provisioning.field import Asked, Jobs, Search, SlotOffer, Technicians, Visit, VisitRecord, Visits
from provisioning.links import OneTimeLinkUse
from tests.support.links import expired_link
from workflows.answers import LinkTo

CUSTOMER = 1001
STRICT = "default-src 'none'; style-src 'self'; form-action {}; base-uri 'none'; frame-ancestors 'none'"


def nine(appliance: Appliance, days: int) -> datetime:
    local = appliance.clock().astimezone(appliance.zone) + timedelta(days=days)
    return local.replace(hour=9, minute=0, second=0, microsecond=0)


async def booked(appliance: Appliance, days: int = 3) -> VisitRecord:
    async with appliance.database.begin() as db:
        await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=8, name="Theo Brandt")
        await Jobs(db, tenant_id=appliance.tenant_id).define(name="repair", duration_minutes=60, window_minutes=30)
    return await book(appliance, 7, nine(appliance, days), "Lindenweg 4 & 5")


async def book(appliance: Appliance, technician_id: int, starts_at: datetime, address: str = "there") -> VisitRecord:
    async with appliance.database.begin() as db:
        return await appliance.dispatch_desk(db).book(
            customer_id=CUSTOMER,
            technician_id=technician_id,
            starts_at=starts_at,
            address=address,
            job="repair",
            by="nora",
        )


async def link(appliance: Appliance, visit_id: int, language: str | None = None) -> str:
    async with appliance.database.begin() as db:
        to = LinkTo("move_visit", str(visit_id), appliance.clock() + timedelta(hours=10))
        return await appliance.links.issue(db, to, language=language)


async def visit_of(appliance: Appliance, visit_id: int) -> VisitRecord:
    async with appliance.database.read() as db:
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit_id)


async def uses(appliance: Appliance) -> int:
    async with appliance.database.read() as db:
        return await db.scalar(select(func.count()).select_from(OneTimeLinkUse)) or 0


def times(page: httpx.Response) -> list[datetime]:
    """What there is to choose."""
    return [datetime.fromisoformat(unescape(each)) for each in re.findall(r'name="slot" value="([^"]+)"', page.text)]


def form(page: httpx.Response, slot: datetime) -> dict[str, str]:
    """What the page's button sends."""
    [seen] = re.findall(r'name="seen" value="([^"]+)"', page.text)
    return {"seen": unescape(seen), "slot": slot.isoformat()}


async def test_a_visit_is_shown_and_moved_by_the_button_alone_and_the_audit_says_who_did_it(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    visit = await booked(appliance)
    address = await link(appliance, visit["visit_id"])
    for _ in range(2):  # mail programs look in advance
        shown = await browser.get(address)
        assert shown.status_code == 200
    assert "Lindenweg 4 &amp; 5" in shown.text and "between 9:00" in shown.text
    assert "Tess" not in shown.text and "Theo" not in shown.text and "min from" not in shown.text
    assert shown.headers["content-security-policy"] == STRICT.format("'self'")
    assert (shown.headers["cache-control"], shown.headers["referrer-policy"]) == ("no-store", "no-referrer")
    offered = times(shown)
    assert len(offered) == len(set(offered)) > 20 and visit["starts_at"] not in offered
    assert (await uses(appliance), await visit_of(appliance, visit["visit_id"])) == (0, visit)

    wanted = offered[-1]
    moved = await browser.post(address, data=form(shown, wanted))
    assert (moved.status_code, "your appointment is moved" in moved.text) == (200, True), moved.text
    assert "<form" not in moved.text and moved.headers["content-security-policy"] == STRICT.format("'none'")
    assert (await visit_of(appliance, visit["visit_id"]))["starts_at"] == wanted
    for again in (await browser.post(address, data=form(shown, offered[0])), await browser.get(address)):
        assert (again.status_code, "has moved your appointment already" in again.text) == (200, True)
    assert (await visit_of(appliance, visit["visit_id"]))["starts_at"] == wanted
    async with appliance.database.read() as db:
        [entry] = await db.scalars(select(AuditEntry).where(AuditEntry.action == "visits reschedule"))
    assert (entry.actor, entry.subject, entry.customer_id) == (
        "one-time link",
        f"visit/{visit['visit_id']}",
        CUSTOMER,
    )
    assert entry.reason == "the customer chose another time, by the link in their mail"
    assert f'"sequence": {visit["sequence"] + 1}' in str(entry.after)


async def test_a_time_that_is_taken_meanwhile_shows_the_nearest_ones_one_of_which_moves_it(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    visit = await booked(appliance)
    address = await link(appliance, visit["visit_id"])
    shown, wanted = await browser.get(address), nine(appliance, 4)
    assert wanted in times(shown)
    for technician_id in (7, 8):
        await book(appliance, technician_id, wanted)
    refused = await browser.post(address, data=form(shown, wanted))
    assert (refused.status_code, "not free any more" in refused.text) == (409, True), refused.text
    assert 'role="alert"' in refused.text and "Theo" not in refused.text and "customer 1001" not in refused.text
    nearest = times(refused)
    assert len(nearest) == len(set(nearest)) == 3 and wanted not in nearest
    assert all(abs(each - wanted) <= timedelta(hours=3) for each in nearest)
    assert (await uses(appliance), await visit_of(appliance, visit["visit_id"])) == (0, visit)
    moved = await browser.post(address, data=form(refused, nearest[0]))
    assert "your appointment is moved" in moved.text
    assert (await visit_of(appliance, visit["visit_id"]))["starts_at"] == nearest[0]


async def test_what_was_seen_of_another_state_or_chosen_of_nothing_moves_nothing(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    visit = await booked(appliance)
    address = await link(appliance, visit["visit_id"])
    shown = await browser.get(address)
    good = form(shown, times(shown)[0])
    for wrong in ({}, {"slot": "soon"}, {"slot": "2026-12-01T10:00"}, {"slot": "0001-01-01T00:00:00+00:00"}):
        answer = await browser.post(address, data={"seen": good["seen"], **wrong})
        assert (answer.status_code, "Please choose a time" in answer.text) == (422, True), wrong
    stays = await browser.post(address, data=form(shown, visit["starts_at"]))
    assert (stays.status_code, "No other time was chosen" in stays.text) == (422, True)
    assert (await uses(appliance), "Lindenweg" in stays.text) == (0, True)
    answer = await browser.post(address, content=b"\xff\xfe")
    assert answer.status_code == 422
    async with appliance.database.begin() as db:
        await appliance.dispatch_desk(db).reschedule(
            visit_id=visit["visit_id"], technician_id=8, starts_at=nine(appliance, 5), reason="ill", by="nora"
        )
    answer = await browser.post(address, data=good)
    assert (answer.status_code, "Your appointment has changed" in answer.text) == (409, True)
    assert "Lindenweg" not in answer.text and "All free times" in answer.text  # what it was is so no more
    assert (await uses(appliance), (await visit_of(appliance, visit["visit_id"]))["starts_at"]) == (
        0,
        nine(appliance, 5),
    )


async def test_a_visit_that_is_over_soon_or_moved_often_enough_says_so(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    visit = await booked(appliance)
    late = await expired_link(appliance, "move_visit", visit["visit_id"])
    old = await browser.get(late)
    assert (old.status_code, "This link is too old" in old.text, "<form" in old.text) == (200, True, False)
    assert "begins soon" not in old.text
    spare = await link(appliance, visit["visit_id"])
    for days in (4, 5, 6):
        shown = await browser.get(address := await link(appliance, visit["visit_id"]))
        moved = await browser.post(address, data=form(shown, nine(appliance, days)))
        assert "your appointment is moved" in moved.text
    often = await browser.get(spare)
    assert (often.status_code, "as often as that is possible" in often.text, times(often)) == (200, True, [])
    for gone in (late, address):  # no mail has another link
        assert "as often as that is possible" in (await browser.get(gone)).text
    refused = await browser.post(spare, data={"seen": form(shown, nine(appliance, 6))["seen"], "slot": "x"})
    assert refused.status_code == 422 and await uses(appliance) == 3
    async with appliance.database.begin() as db:
        await db.execute(text("UPDATE visit SET state = 'cancelled'"))
    for address in (spare, late):
        over = await browser.get(address)
        assert over.status_code == 410
    assert "This appointment is over" in (await browser.get(spare)).text


async def test_a_link_that_is_too_old_since_its_visit_begins_soon_says_that(
    appliance: Appliance, browser: httpx.AsyncClient
) -> None:
    visit = await booked(appliance)
    late = await expired_link(appliance, "move_visit", visit["visit_id"])
    async with appliance.database.begin() as db:
        soon = {"starts_at": appliance.clock() + timedelta(hours=2), "ends_at": appliance.clock() + timedelta(hours=3)}
        await db.execute(update(Visit).values(**soon))
    assert "begins soon" in (await browser.get(late)).text


@pytest.mark.parametrize("customer_id", [CUSTOMER, 424242])
async def test_a_mail_that_can_not_be_written_says_nothing_of_offers_and_times_and_nothing_is_moved(
    appliance: Appliance, browser: httpx.AsyncClient, customer_id: int
) -> None:
    visit = await booked(appliance)
    async with appliance.database.begin() as db:
        await db.execute(update(Visit).values(customer_id=customer_id))
        await db.execute(update(Customer).values(email="nowhere"))
    address = await link(appliance, visit["visit_id"])
    shown = await browser.get(address)
    refused = await browser.post(address, data=form(shown, times(shown)[0]))
    assert refused.status_code == (422 if customer_id == CUSTOMER else 404), refused.text
    assert not any(words in refused.text for words in ("offer", "time was chosen", "Your appointment has changed"))
    assert (await uses(appliance), (await visit_of(appliance, visit["visit_id"]))["starts_at"]) == (
        0,
        visit["starts_at"],
    )


async def test_a_time_is_looked_for_before_anything_is_locked(
    appliance: Appliance, browser: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await booked(appliance)
    address = await link(appliance, visit["visit_id"])
    shown = await browser.get(address)
    begun = list[bool]()
    looks, opens = Search.at, appliance.database.begin

    async def look(self: Search, asked: Asked, *, only_offered: bool = False) -> list[SlotOffer]:
        assert not begun
        return await looks(self, asked, only_offered=only_offered)

    def begin(*, shared: bool = False) -> AbstractAsyncContextManager[AsyncSession]:
        begun.append(shared)
        return opens(shared=shared)

    monkeypatch.setattr(Search, "at", look)
    monkeypatch.setattr(appliance.database, "begin", begin)
    stale = await browser.post(address, data={**form(shown, times(shown)[0]), "seen": "another"})
    assert (stale.status_code, begun) == (409, [])
    moved = await browser.post(address, data=form(shown, times(shown)[0]))
    assert (moved.status_code, "your appointment is moved" in moved.text, begun) == (200, True, [False])


async def test_the_same_button_twice_at_once_is_one_move(appliance: Appliance) -> None:
    visit = await booked(appliance)
    address = await link(appliance, visit["visit_id"])
    transport = httpx.ASGITransport(create_app(appliance))
    async with httpx.AsyncClient(transport=transport, base_url="https://isp.example") as client:
        shown = await client.get(address)
        sent = form(shown, nine(appliance, 4))
        answers = await asyncio.gather(*(client.post(address, data=sent) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    moved = await visit_of(appliance, visit["visit_id"])
    assert (moved["starts_at"], moved["sequence"]) == (nine(appliance, 4), visit["sequence"] + 1)


async def test_days_go_on_in_the_language_of_the_mail(appliance: Appliance, browser: httpx.AsyncClient) -> None:
    visit = await booked(appliance)
    address = await link(appliance, visit["visit_id"], language="de-AT")
    first = await browser.get(address)
    assert "Ihr Termin" in first.text and "zwischen 09:00 und 09:30" in first.text
    [later] = re.findall(r'href="(\?from=[^"]+)"', first.text)
    second = await browser.get(address.partition("?")[0] + unescape(later))
    assert "Ihr Termin" in second.text and min(times(second)) > max(times(first))
    for nonsense in ("?from=x", "?from=0001-01-01", "?from=9999-12-31"):
        assert (await browser.get(address.partition("?")[0] + nonsense)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_link_to_a_visit_that_there_is_not_shows_nothing(
    appliance: Appliance, browser: httpx.AsyncClient, method: str
) -> None:
    answer = await browser.request(method, await link(appliance, 999))
    assert answer.status_code in (404, 410) and "<form" not in answer.text
