"""Technicians in the console: their weeks, their leave, the links to their calendars; and what is known of a visit."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from provisioning.field import Sheets, Technicians
from tests.provisioning.console.test_dispatch import ANNA, LOCAL, book, in_two_days
from tests.support.console import Console, open_console
from tests.support.healthy_estate import HealthyEstate

PAGE = f"/technicians/{ANNA}"
PICTURE = b"\x89PNG\r\n\x1a\n small"


@pytest.fixture
async def reachable(sqlite_estate: HealthyEstate, tmp_path: Path) -> AsyncIterator[Console]:
    async with open_console(sqlite_estate.copy(tmp_path / "reachable", public_url="http://isp.test")) as opened:
        yield opened


async def test_leave_is_taken_shown_on_the_board_and_withdrawn_and_refused_over_a_visit(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    whole = {"starts_at": at.replace(hour=0).strftime(LOCAL), "reason": "ill"}
    wish = {**whole, "ends_at": (at.replace(hour=0) + timedelta(days=1)).strftime(LOCAL)}
    refused = await person.send(f"{PAGE}/leave", wish, page=PAGE)
    assert (refused.status_code, f"has visits to make: {visit['visit_id']};" in refused.text) == (409, True)
    day = (at + timedelta(days=1)).date().isoformat()
    wish = {
        "starts_at": f"{day}T00:00",
        "ends_at": f"{(at + timedelta(days=2)).date().isoformat()}T00:00",
        "reason": "ill",
    }
    taken = await person.send(f"{PAGE}/leave", wish, page=PAGE)
    assert (taken.status_code, taken.headers["location"]) == (303, f"{PAGE}#leave")
    told = f"Away from {day} 00:00 to "
    assert told in (await person.get(PAGE)).text and told in (await person.get("/technicians")).text
    board = (await person.get("/dispatch", params={"day": day})).text
    assert re.search(rf"<li>Anna, away from {day} 00:00 to [^<]*: ill</li>", board)
    withdraw = re.search(rf'action="({PAGE}/leave/\d+/withdraw)"', (await person.get(PAGE)).text)
    assert withdraw is not None
    assert (await person.send(withdraw[1], page=PAGE)).status_code == 303
    assert told not in (await person.get(PAGE)).text


async def test_a_working_week_is_told_as_people_write_it_and_refused_with_its_faults(console: Console) -> None:
    await book(console, ANNA, in_two_days(console, 10))
    person, admin = await console.somebody("dispatch"), await console.somebody("admin")
    wrong = await person.send(f"{PAGE}/plan", {"mon": "early", "home_latitude": "1"}, page=PAGE)
    assert wrong.status_code == 422
    hours = {day: "08:00-12:00, 12:30-17:00" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    told = await person.send(f"{PAGE}/plan", {**hours, "time_zone": "UTC", "team": "north", "van": "M-FL 7"}, page=PAGE)
    assert told.status_code == 303, told.text
    page = (await person.get(PAGE)).text
    assert "Mon 08:00-12:00, 12:30-17:00; Tue" in page and "north · M-FL 7" in page
    assert "technicians plan" in (await admin.get("/audit", params={"subject": f"technician/{ANNA}"})).text


async def test_a_link_to_a_calendar_is_told_once_and_opens_until_it_is_revoked(reachable: Console) -> None:
    await book(reachable, ANNA, in_two_days(reachable, 10))
    person, anybody = await reachable.somebody("dispatch"), reachable.anybody()
    made = await person.send("/technicians/feeds", {"technician": str(ANNA)}, page=PAGE)
    address = re.search(r'value="http://isp\.test(/calendars/[^"]+\.ics)"', made.text)
    assert (made.status_code, address is not None) == (200, True)
    assert address is not None
    assert "BEGIN:VCALENDAR" in (await anybody.get(address[1])).text
    page = (await person.get(PAGE)).text
    assert address[1] not in page
    admin = await reachable.somebody("admin")
    assert address[1].split("/")[-1].removesuffix(".ics") not in (await admin.get("/audit")).text
    revoke = re.search(r'action="(/technicians/feeds/\d+/revoke)"', page)
    assert revoke is not None
    assert (await person.send(revoke[1], page=PAGE)).status_code == 303
    assert (await anybody.get(address[1])).status_code == 404
    assert "revoke" not in (await person.get(PAGE)).text


async def test_a_visit_has_a_page_with_its_sheet_and_photos_that_another_technician_does_not_see(
    console: Console,
) -> None:
    visit = await book(console, ANNA, in_two_days(console, 10))
    appliance, number = console.appliance, visit["visit_id"]
    kept = await appliance.photos.keep(PICTURE)
    async with appliance.database.begin() as db:
        await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=7, name="Tess")
        sheets = Sheets(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        written = {"optical_dbm": -31.5, "splitter": "SP-4", "signed_by": "Ada", "note": "the gate <sticks>"}
        await sheets.write(number, written, {})
        facts: dict[str, Any] = {"sha256": kept.sha256, "media_type": kept.media_type, "size_bytes": kept.size_bytes}
        photo = await sheets.add_photo(visit_id=number, purpose="photo", caption="the ONT", **facts)
    person, tess = await console.somebody("dispatch"), await console.somebody("technician")
    page = await person.get(f"/visits/{number}")
    plain = re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", "", page.text.replace("&lt;", "{"))))
    for said in ("-31.5 dBm", "SP-4", "Signed byAda", "the gate {sticks", "Lindenweg 4", "Search another time"):
        assert said in plain, said
    address = f"/visits/{number}/photos/{photo['photo_id']}"
    assert f'<img src="{address}" alt="Photo: the ONT"' in page.text
    picture = await person.get(address)
    assert (picture.content, picture.headers["content-type"]) == (PICTURE, "image/png")
    assert [(await tess.get(each)).status_code for each in (f"/visits/{number}", address)] == [404, 404]
    assert (
        f'href="/visits/{number}"'
        in (await person.get("/dispatch", params={"day": datetime.date(in_two_days(console, 10)).isoformat()})).text
    )
