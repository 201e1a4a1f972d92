"""The calendar feed through create, move, hand-over and cancel, as an independent reader (vobject) sees it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import vobject  # type: ignore[import-untyped]

from tests.provisioning.api.test_visits import book, in_three_days, prepared
from tests.support.api import TECHNICIAN, Api, open_api
from tests.support.appliances import Original


async def feed(api: Api, **whose: Any) -> str:
    made = await api.post("/calendar-feeds", whose, role="dispatch")
    assert made.status_code == 201, made.text
    address: str = made.json()["address"]
    return address.removeprefix("https://isp.example")


async def events(api: Api, address: str) -> dict[str, Any]:
    answer = await api.client.get(address)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    read = vobject.readOne(answer.text)
    return {event.uid.value: event for event in read.contents.get("vevent", [])}


def seen(event: Any) -> tuple[str, int, datetime]:
    return event.status.value, int(event.sequence.value), event.dtstart.value


async def test_a_calendar_shows_a_visit_booked_moved_and_called_off_under_one_uid(api: Api) -> None:
    await prepared(api)
    address = await feed(api, technician_id=TECHNICIAN)
    assert await events(api, address) == {}
    nine, two = in_three_days(api), in_three_days(api, 14)
    visit = (await book(api, nine)).json()
    [(uid, event)] = (await events(api, address)).items()
    assert uid == f"visit-{visit['visit_id']}@{api.appliance.tenant_id}.firstlight"
    assert seen(event) == ("CONFIRMED", 0, nine)
    assert (event.summary.value, event.location.value) == ("repair: 1 High Street", "1 High Street")
    path = f"/visits/{visit['visit_id']}"
    wish = {"technician_id": TECHNICIAN, "starts_at": two.isoformat(), "reason": "rain"}
    assert (await api.post(f"{path}/reschedule", wish, role="dispatch", match="*")).status_code == 200
    assert seen((await events(api, address))[uid]) == ("CONFIRMED", 1, two)
    assert (await api.post(f"{path}/cancel", {"reason": "sold"}, role="dispatch", match="*")).status_code == 200
    assert seen((await events(api, address))[uid]) == ("CANCELLED", 2, two)


async def test_who_gives_a_visit_away_reads_that_it_is_off_and_who_gets_it_that_it_is_on(api: Api) -> None:
    await prepared(api)
    known = {"technician_id": 8, "name": "Theo"}
    assert (await api.post("/technicians", known, role="dispatch")).status_code == 201
    mine, theirs = await feed(api, technician_id=TECHNICIAN), await feed(api, technician_id=8)
    nine = in_three_days(api)
    visit = (await book(api, nine)).json()
    wish = {"technician_id": 8, "starts_at": nine.isoformat(), "reason": "Tess is ill"}
    moved = await api.post(f"/visits/{visit['visit_id']}/reschedule", wish, role="dispatch", match="*")
    assert moved.status_code == 200, moved.text
    [mine_now], [theirs_now] = [(await events(api, each)).values() for each in (mine, theirs)]
    assert seen(mine_now) == ("CANCELLED", 1, nine)
    assert seen(theirs_now) == ("CONFIRMED", 1, nine)


async def test_times_are_those_of_the_technicians_zone_and_a_team_has_all_its_visits(api: Api) -> None:
    await prepared(api)
    hours = {day: ["08:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
    plan = {"team": "north", "week": hours, "time_zone": "Europe/Berlin"}
    assert (await api.post(f"/technicians/{TECHNICIAN}/plan", plan, role="dispatch")).status_code == 200
    address = await feed(api, team="north")
    noon = in_three_days(api, 12)
    assert (await book(api, noon)).status_code == 201
    text = (await api.client.get(address)).text
    assert "BEGIN:VTIMEZONE" in text and "DTSTART;TZID=Europe/Berlin:" in text
    [event] = (await events(api, address)).values()
    assert event.dtstart.value == noon
    assert event.dtstart.value.utcoffset() in (timedelta(hours=1), timedelta(hours=2))


async def test_an_address_that_is_revoked_or_made_up_opens_nothing(api: Api) -> None:
    await prepared(api)
    address = await feed(api, technician_id=TECHNICIAN)
    [known] = (await api.get("/calendar-feeds", role="dispatch")).json()["items"]
    assert address.split("/")[-1].removesuffix(".ics") not in str(known)
    gone = await api.post(f"/calendar-feeds/{known['feed_id']}/revoke", role="dispatch")
    assert gone.json()["revoked"] is True
    for each in (address, "/calendars/" + "x" * 43 + ".ics", "/calendars/x.ics"):
        assert (await api.client.get(each)).status_code == 404
    assert (await api.post("/calendar-feeds/999/revoke", role="dispatch")).status_code == 404
    neither = await api.post("/calendar-feeds", {}, role="dispatch")
    assert (neither.status_code, neither.json()["errors"][0]["field"]) == (422, "technician_id")


async def test_no_address_is_told_that_leads_nowhere(migrated_sqlite: Original, tmp_path: Path) -> None:
    async with open_api(migrated_sqlite.copy(tmp_path, isp_name="Isp")) as api:
        refused = await api.post("/calendar-feeds", {"technician_id": TECHNICIAN}, role="dispatch")
        assert (refused.status_code, refused.json()["code"]) == (409, "tenant.public_url_missing")
        assert (await api.get("/calendar-feeds", role="dispatch")).json()["items"] == []


async def test_where_technicians_live_and_why_they_are_away_is_for_who_plans_them(api: Api) -> None:
    await prepared(api)
    for path in ("/technicians", "/technicians/leave", f"/technicians/{TECHNICIAN}", "/visit-jobs"):
        seen = {role: (await api.get(path, role=role)).status_code for role in ("dispatch", "noc", "read-only")}
        assert seen == {"dispatch": 200, "noc": 200, "read-only": 403}
