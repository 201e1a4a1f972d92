"""The dispatch board: a day's lanes, and a visit that is moved by a form, or told why not and what else fits."""

from __future__ import annotations

import html
import re
from datetime import datetime, timedelta
from typing import Any

from provisioning.days import day_of
from provisioning.field import Technicians, VisitRecord, Visits
from tests.support.console import Console, Person

ANNA, BERT = 801, 802
LOCAL = "%Y-%m-%dT%H:%M"


async def book(console: Console, technician_id: int, at: datetime) -> VisitRecord:
    appliance = console.appliance
    async with appliance.database.begin() as db:
        for number, name in ((ANNA, "Anna"), (BERT, "Bert")):
            await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=number, name=name)
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).book(
            customer_id=1001, technician_id=technician_id, starts_at=at, duration_minutes=60, address="Lindenweg 4"
        )


def in_two_days(console: Console, hour: int) -> datetime:
    """An hour of the day after tomorrow, by the ISP's clock."""
    local = console.appliance.clock().astimezone(console.appliance.zone) + timedelta(days=2)
    return local.replace(hour=hour, minute=0, second=0, microsecond=0)


async def move(person: Person, visit: VisitRecord, technician: int, at: datetime, /, **more: str) -> Any:
    page = f"/dispatch/visits/{visit['visit_id']}"
    seen = re.search(r'name="seen" value="([^"]+)"', (await person.get(page)).text)
    assert seen is not None
    form = {"seen": html.unescape(seen[1]), "technician": str(technician), "at": at.strftime(LOCAL), "reason": "a swap"}
    return await person.send(page, {**form, **more})


async def stored(console: Console, visit: VisitRecord) -> VisitRecord:
    appliance = console.appliance
    async with appliance.database.read() as db:
        return await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).visit(visit["visit_id"])


async def test_the_board_has_a_lane_per_technician_with_visits_and_gaps_in_the_order_of_time(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    page = (await person.get("/dispatch", params={"day": at.date().isoformat()})).text
    lane = page.partition(f'id="lane-{ANNA}"')[2].partition("</section>")[0]
    assert re.findall(r"(?:free |<strong>)(\d\d:\d\d to \d\d:\d\d)", lane) == [
        "08:00 to 10:00",
        "10:00 to 11:00",
        "11:00 to 18:00",
    ]
    assert f'data-visit="{visit["visit_id"]}"' in lane
    assert (await person.get("/dispatch")).status_code == 200
    assert (await person.get("/dispatch", params={"day": "never"})).status_code == 422


async def test_a_visit_is_moved_with_a_reason_and_stands_on_its_new_day(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    answer = await move(person, visit, BERT, at + timedelta(days=1, hours=2))
    day = day_of(at + timedelta(days=1, hours=2), console.appliance.zone)
    assert (answer.status_code, answer.headers["location"]) == (303, f"/dispatch?day={day}#visit-{visit['visit_id']}")
    moved = await stored(console, visit)
    assert (moved["technician_name"], moved["starts_at"]) == ("Bert", at + timedelta(days=1, hours=2))
    audit = await (await console.somebody("admin")).get("/audit", params={"subject": f"visit/{visit['visit_id']}"})
    assert "visits reschedule" in audit.text
    assert "a swap" in audit.text


async def test_what_does_not_fit_is_refused_with_who_is_in_the_way_and_what_is_free(console: Console) -> None:
    at = in_two_days(console, 10)
    visit, other = await book(console, ANNA, at), await book(console, BERT, at)
    person = await console.somebody("dispatch")
    refused = await move(person, visit, BERT, at + timedelta(minutes=30))
    assert refused.status_code == 409
    assert "Technician Bert is busy" in refused.text
    offers = re.findall(r'<li class="card good"><a href="([^"]+)">', refused.text)
    assert offers
    assert await stored(console, visit) == visit
    chosen = html.unescape(offers[0])
    form = (await person.get(chosen)).text
    assert 'value="a swap"' in form
    technician = re.search(r'<option value="(\d+)" selected', form)
    time = re.search(r'name="at" value="([^"]+)"', form)
    assert technician is not None and time is not None
    taken = await move(person, visit, int(technician[1]), datetime.fromisoformat(time[1]))
    assert taken.status_code == 303
    assert (await stored(console, visit))["starts_at"].astimezone(console.appliance.zone).strftime(LOCAL) == time[1]
    assert await stored(console, other) == other


async def test_a_move_of_what_looks_otherwise_by_now_or_lacks_anything_is_refused(console: Console) -> None:
    at = in_two_days(console, 10)
    visit = await book(console, ANNA, at)
    person = await console.somebody("dispatch")
    stale = await move(person, visit, BERT, at, seen='"other"')
    assert stale.status_code == 409
    assert "you have seen it" in stale.text.replace("&#39;", "'")
    empty = await move(person, visit, BERT, at, technician="x", at="soon", reason="")
    assert empty.status_code == 422
    for fault in ("is no technician", "is no time", "is missing"):
        assert fault in empty.text
    rule_broken = await move(person, visit, BERT, at, override_reason="because")
    assert rule_broken.status_code == 403
    assert await stored(console, visit) == visit
