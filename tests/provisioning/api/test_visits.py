"""Dispatch by the API: slots and their reasons, bookings that the database defends, moves, and technicians' acts."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from provisioning.field import Osrm, Visit, Visits, Ways
from tests.provisioning.test_order_visits import ORDER, told, waiting
from tests.support.api import TECHNICIAN, Api
from tests.support.router import RouterDouble

CUSTOMER = 1001
JOB = {"name": "repair", "duration_minutes": 60, "buffer_minutes": 15, "window_minutes": 60, "skills": []}
WEEK = {day: ["08:00-12:00", "13:00-17:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
HERE = {"latitude": 48.10, "longitude": 11.50}


def in_three_days(api: Api, hour: int = 9) -> datetime:
    day = api.appliance.clock() + timedelta(days=3)
    return day.replace(hour=hour, minute=0, second=0, microsecond=0)


async def prepared(api: Api, *, role: Any = "dispatch") -> None:
    assert (await api.post("/visit-jobs", JOB, role=role)).status_code == 201
    known = {"technician_id": TECHNICIAN, "name": "Tess", "skills": ["splicing"]}
    assert (await api.post("/technicians", known, role=role)).status_code == 201
    plan = {"week": WEEK, "time_zone": "UTC", "van": "M-FL 7", "home_latitude": 48.1, "home_longitude": 11.58}
    planned = await api.post(f"/technicians/{TECHNICIAN}/plan", plan, role=role)
    assert planned.status_code == 200, planned.text


async def book(api: Api, starts_at: datetime, **more: Any) -> Any:
    role, key = more.pop("role", "dispatch"), more.pop("key", None)
    wish = {
        "customer_id": CUSTOMER,
        "technician_id": TECHNICIAN,
        "starts_at": starts_at.isoformat(),
        "address": "1 High Street",
        "job": "repair",
        **HERE,
        **more,
    }
    return await api.post("/visits", wish, role=role, key=key)


async def test_slots_are_offered_the_best_first_and_in_words_why(api: Api) -> None:
    await prepared(api)
    asked = {"job": "repair", **HERE, "starts_after": in_three_days(api, 0).isoformat(), "technician": TECHNICIAN}
    answer = await api.get("/visits/slots", params=asked, role="dispatch")
    assert answer.status_code == 200, answer.text
    first = answer.json()["items"][0]
    assert (first["technician_id"], first["travel_minutes"], first["travel_by"]) == (TECHNICIAN, 9, "straight line")
    assert first["why"] == "9 min from home, no skill needed, free 08:00-12:00"
    booked = await book(api, datetime.fromisoformat(first["starts_at"]))
    assert booked.status_code == 201, booked.text
    assert booked.json()["arrives_until"] == first["arrives_until"]
    refused = await api.get("/visits/slots", params={"job": "dig"}, role="dispatch")
    assert (refused.status_code, refused.json()["code"]) == (404, "field.job_unknown")


async def test_ways_are_by_road_where_a_router_tells_them_and_what_is_booked_keeps_them_free(api: Api) -> None:
    await prepared(api)
    async with RouterDouble() as router:
        api.appliance.ways = Ways(router=Osrm(router.url))
        asked = {"job": "repair", **HERE, "starts_after": in_three_days(api, 0).isoformat(), "technician": TECHNICIAN}
        [first, *_] = (await api.get("/visits/slots", params=asked, role="dispatch")).json()["items"]
        assert (first["travel_minutes"], first["travel_by"]) == (18, "road")
        assert first["why"] == "18 min from home, no skill needed, free 08:00-12:00"
        assert "comes_from" not in first
        assert (await book(api, in_three_days(api, 8))).status_code == 201
        api.appliance.ways = Ways(router=Osrm(router.url))  # of another process, which has learned nothing yet
        elsewhere = await book(api, in_three_days(api, 10), latitude=48.1, longitude=11.58)
        assert elsewhere.status_code == 201, elsewhere.text
        before = len(router.asked)
    async with api.appliance.database.read() as db:
        held = await db.scalar(select(Visit.held_from).where(Visit.id == elsewhere.json()["visit_id"]))
    assert held == in_three_days(api, 10) - timedelta(minutes=18)
    assert before == 4  # two of the search, and two of who booked elsewhere


async def test_the_ways_to_a_moved_visit_are_asked_for_before_anybody_is_held(any_api: Api) -> None:
    api = any_api
    await prepared(api)
    assert (await book(api, in_three_days(api, 8))).status_code == 201
    visit = (await book(api, in_three_days(api, 14), latitude=48.1, longitude=11.58)).json()
    async with RouterDouble() as router:
        api.appliance.ways = Ways(router=Osrm(router.url))
        wish = {"technician_id": TECHNICIAN, "starts_at": in_three_days(api, 10).isoformat(), "reason": "a swap"}
        missing = await api.post("/visits/999/reschedule", wish, role="dispatch", match='"x"')
        assert missing.status_code == 404
        etag = (await api.get(f"/visits/{visit['visit_id']}", role="dispatch")).headers["ETag"]
        moved = await api.post(f"/visits/{visit['visit_id']}/reschedule", wish, role="dispatch", match=etag)
        assert moved.status_code == 200, moved.text
        assert len(router.asked) == 2
    async with api.appliance.database.read() as db:
        held = await db.scalar(select(Visit.held_from).where(Visit.id == visit["visit_id"]))
    assert held == in_three_days(api, 10) - timedelta(minutes=18)


async def test_a_taken_slot_is_refused_with_the_nearest_that_are_free(api: Api) -> None:
    await prepared(api)
    at = in_three_days(api)
    assert (await book(api, at)).status_code == 201
    refused = await book(api, at + timedelta(minutes=30))
    told = refused.json()
    assert (refused.status_code, told["code"]) == (409, "field.technician_busy")
    assert len(told["alternatives"]) == 3
    for one in told["alternatives"]:
        taken = await book(api, datetime.fromisoformat(one["starts_at"]), technician_id=one["technician_id"])
        assert taken.status_code == 201, taken.text
        off = {"reason": "they overlap each other"}
        freed = await api.post(f"/visits/{taken.json()['visit_id']}/cancel", off, role="dispatch", match="*")
        assert freed.status_code == 200, freed.text


async def test_out_of_hours_needs_the_permission_and_a_reason_that_stands_in_the_audit(api: Api) -> None:
    await prepared(api)
    at_night = in_three_days(api, 22)
    refused = await book(api, at_night)
    assert (refused.status_code, refused.json()["code"]) == (409, "field.outside_hours")
    assert refused.json()["alternatives"]
    forbidden = await book(api, at_night, override_reason="the line is cut")
    assert (forbidden.status_code, forbidden.json()["code"]) == (403, "access.forbidden")
    booked = await book(api, at_night, override_reason="the line is cut", role="noc")
    assert booked.status_code == 201, booked.text
    assert booked.json()["override_reason"] == "the line is cut"
    [entry] = await api.audit(limit=1)
    assert (entry["reason"], entry["subject"]) == ("the line is cut", f"visit/{booked.json()['visit_id']}")


@pytest.mark.both_databases
@pytest.mark.timeout(300)
@pytest.mark.parametrize("attempts", [100, pytest.param(1000, marks=pytest.mark.second_half)])
async def test_of_many_bookings_at_once_each_slot_has_one_winner_and_the_rest_are_told_others(
    any_api: Api, attempts: int
) -> None:
    api = any_api
    await prepared(api, role="admin")
    at, slots = in_three_days(api, 8), 4
    await api.token("dispatch")

    async def attempt(number: int) -> tuple[int, Any]:
        answer = await book(api, at + timedelta(minutes=75 * (number % slots)))
        return answer.status_code, answer.json()

    answers = await asyncio.gather(*(attempt(number) for number in range(attempts)))
    fitting = 3  # three of them, with their buffers, lie in the morning's four hours; the fourth runs into the break
    assert Counter(status for status, _ in answers) == {201: fitting, 409: attempts - fitting}
    refused = [told for status, told in answers if status == 409]
    per_slot = attempts // slots
    told_why = {"field.technician_busy": fitting * (per_slot - 1), "field.outside_hours": per_slot}
    assert Counter(told["code"] for told in refused) == told_why
    assert {len(told["alternatives"]) for told in refused} == {3}
    async with api.appliance.database.read() as db:
        kept = await Visits(db, tenant_id=api.appliance.tenant_id, now=api.appliance.clock).visits(
            technician_id=TECHNICIAN, starts_at=at, ends_at=at + timedelta(hours=10)
        )
    assert [visit["starts_at"] for visit in kept] == [at + timedelta(minutes=75 * number) for number in range(3)]


async def test_the_same_booking_again_is_answered_as_before_though_its_slot_is_taken_now(api: Api) -> None:
    await prepared(api)
    at = in_three_days(api)
    first = await book(api, at, key="once")
    again = await book(api, at, key="once")
    assert (again.status_code, again.json()) == (201, first.json())
    other = await book(api, at, key="another")
    assert (other.status_code, other.json()["code"]) == (409, "field.technician_busy")


async def test_a_visit_is_booked_for_the_run_that_waits_for_it_and_for_no_other_customer(any_api: Api) -> None:
    api = any_api
    await prepared(api)
    run_id = await waiting(api.appliance, "T-9")
    for_run = {"run_id": run_id, "customer_id": CUSTOMER}
    theirs = await book(api, in_three_days(api), **{**for_run, "customer_id": 1002})
    assert (theirs.status_code, [fault["field"] for fault in theirs.json()["errors"]]) == (422, ["customer_id"])

    booked = await book(api, in_three_days(api), **for_run)

    assert (booked.status_code, booked.json()["order_id"]) == (201, ORDER), booked.text
    assert [(run, name) for run, name, _ in await told(api.appliance) if run == run_id] == [(run_id, "appointment")]
    [entry] = await api.audit(limit=1)
    assert (entry["run_id"], entry["customer_id"]) == (run_id, CUSTOMER)
    other = await book(api, in_three_days(api, 15), run_id=3, customer_id=1003)
    assert (other.status_code, other.json()["code"]) == (409, "field.no_visit_awaited")


async def test_a_visit_moves_is_called_off_and_a_technician_moves_only_their_own(api: Api) -> None:
    await prepared(api)
    visit = (await book(api, in_three_days(api))).json()
    address = f"/visits/{visit['visit_id']}"
    wish = {"technician_id": TECHNICIAN, "starts_at": in_three_days(api, 14).isoformat(), "reason": "rain"}
    moved = await api.post(f"{address}/reschedule", wish, role="technician", match="*")
    assert moved.status_code == 200, moved.text
    assert (moved.json()["sequence"], moved.json()["state"]) == (1, "booked")
    [entry] = await api.audit(limit=1)
    assert entry["reason"] == "rain"
    assert datetime.fromisoformat(entry["before"]["starts_at"]) == in_three_days(api)
    hand_over = await api.post(f"{address}/reschedule", {**wish, "technician_id": 99}, role="technician", match="*")
    assert hand_over.status_code == 403
    stale = await api.post(f"{address}/reschedule", wish, role="dispatch", match='"of yesterday"')
    assert stale.status_code == 412
    off = await api.post(f"{address}/cancel", {"reason": "sold the house"}, role="dispatch", match="*")
    assert off.status_code == 200, off.text
    assert off.json()["report"]["outcome"] == "cancelled"
    again = await api.post(f"{address}/no-show", {"reason": "nobody there"}, role="dispatch", match="*")
    assert (again.status_code, again.json()["code"]) == (409, "field.visit_over")


async def test_a_technician_calls_no_visit_off_and_names_nobody_else_for_the_next_one(api: Api) -> None:
    await prepared(api)
    await api.post("/technicians", {"technician_id": 8, "name": "Theo"}, role="dispatch")
    visit = (await book(api, in_three_days(api))).json()
    address = f"/visits/{visit['visit_id']}"

    async def report(role: Any = "technician", **wish: Any) -> Any:
        return await api.post(f"{address}/reports", wish, role=role, match="*")

    refused = await report(outcome="cancelled", note="too far")
    assert (refused.status_code, refused.json()["code"]) == (403, "field.cancel_refused")
    assert refused.json()["detail"].startswith(f"Visit {visit['visit_id']} is called off by dispatch alone; report")
    next_time = {"technician_id": 8, "scheduled_date": in_three_days(api, 15).isoformat()}
    sent = await report(outcome="no_access", next_appointment=next_time)
    assert (sent.status_code, sent.json()["code"]) == (403, "access.forbidden")
    assert (await api.get(address, role="technician")).json()["state"] == "booked"
    own_time = {**next_time, "technician_id": TECHNICIAN}
    for path, wish in (("reports", {"outcome": "no_access"}), ("no-show", {"reason": "nobody there"})):
        too_soon = await api.post(f"{address}/{path}", wish, role="technician", match="*")
        assert (too_soon.status_code, too_soon.json()["code"]) == (409, "field.visit_not_begun"), path
    async with api.appliance.database.begin() as db:
        since = api.appliance.clock() - timedelta(minutes=1)
        await db.execute(update(Visit).where(Visit.id == visit["visit_id"]).values(starts_at=since, held_from=None))
    own = await report(outcome="no_access", next_appointment=own_time)
    assert own.status_code == 201, own.text
    visit = (await book(api, in_three_days(api))).json()
    off = await api.post(
        f"/visits/{visit['visit_id']}/reports", {"outcome": "cancelled", "note": "sold"}, role="dispatch", match="*"
    )
    assert (off.status_code, off.json()["report"]["outcome"]) == (201, "cancelled")


async def test_a_technician_who_is_refused_a_time_is_told_their_own_and_dispatch_is_told_everybodys(api: Api) -> None:
    await prepared(api)
    await api.post("/technicians", {"technician_id": 8, "name": "Theo", "skills": ["splicing"]}, role="dispatch")
    at = in_three_days(api)
    assert (await book(api, at)).status_code == 201
    moved = (await book(api, at + timedelta(hours=5))).json()
    wish = {"technician_id": TECHNICIAN, "starts_at": at.isoformat(), "reason": "sooner"}
    named = {}
    for role in ("technician", "dispatch"):
        refused = await api.post(f"/visits/{moved['visit_id']}/reschedule", wish, role=role, match="*")
        assert (refused.status_code, refused.json()["code"]) == (409, "field.technician_busy")
        named[role] = {one["technician_id"] for one in refused.json()["alternatives"]}
    assert named["technician"] == {TECHNICIAN}
    assert named["dispatch"] - {TECHNICIAN}


async def test_a_skill_that_a_visit_needs_is_taken_away_only_with_permission_and_a_reason(api: Api) -> None:
    await prepared(api)
    assert (await api.post("/visit-jobs", {**JOB, "skills": ["splicing"]}, role="dispatch")).status_code == 201
    visit = (await book(api, in_three_days(api))).json()
    less: dict[str, Any] = {"technician_id": TECHNICIAN, "name": "Tess"}
    refused = await api.post("/technicians", less, role="dispatch")
    assert (refused.status_code, refused.json()["code"]) == (409, "field.skills_needed")
    assert f"has visits that need it: {visit['visit_id']};" in refused.json()["detail"]
    because = {**less, "override_reason": "Theo goes along"}
    assert (await api.post("/technicians", because, role="dispatch")).status_code == 403
    assert (await api.post("/technicians", because, role="noc")).status_code == 201
    [entry] = await api.audit(limit=1)
    assert (entry["reason"], entry["subject"]) == ("Theo goes along", f"technician/{TECHNICIAN}")
    kept = (await api.get(f"/visits/{visit['visit_id']}", role="dispatch")).json()
    assert kept["override_reason"] == "Theo goes along"


async def test_acts_of_a_technician_count_once_and_conflicts_are_told(api: Api) -> None:
    await prepared(api)
    visit = (await book(api, in_three_days(api))).json()
    address = f"/visits/{visit['visit_id']}"
    now = api.appliance.clock().isoformat()

    async def act(key: str, kind: str, **content: Any) -> Any:
        wish = {"key": key, "kind": kind, "made_at": now, "content": content}
        return await api.post(f"{address}/acts", wish, role="technician")

    first = await act("a-1", "record", changes={"splitter": "SP-4", "optical_dbm": -19.4}, seen={"splitter": None})
    assert first.status_code == 200, first.text
    sheet = first.json()["sheet"]
    assert (sheet["splitter"], sheet["optical_verdict"], sheet["optical_limits_dbm"]) == ("SP-4", "pass", [-27.0, -8.0])
    again = await act("a-1", "record", changes={"splitter": "SP-4", "optical_dbm": -19.4}, seen={"splitter": None})
    assert (again.status_code, again.json()["is_new"]) == (200, False)
    other = await act("a-1", "record", changes={"splitter": "SP-5"})
    assert (other.status_code, other.json()["code"]) == (409, "provisioning.request_conflict")
    conflict = await act("a-2", "record", changes={"splitter": "SP-6"}, seen={"splitter": None})
    assert (conflict.status_code, conflict.json()["code"]) == (409, "field.sheet_changed")
    scanned = await act("a-3", "scanned", serial="HWTC12345678")
    assert (scanned.status_code, scanned.json()["visit"]["state"]) == (200, "scanned")
    ticks = (await api.get(f"{address}/ticks", role="technician")).json()
    assert [tick["name"] for tick in ticks["ticks"]] == ["bound", "authorised", "informed", "configured", "online"]
    assert (ticks["all_true"], ticks["run_id"], ticks["ticks"][0]["why"]) == (
        False,
        None,
        "no run waits for this visit",
    )
    refused = await act("a-4", "done")
    assert (refused.status_code, refused.json()["code"]) == (409, "field.not_done")
    done = await act("a-5", "done", reason="tested with the meter")
    assert done.status_code == 200, done.text
    assert (done.json()["visit"]["state"], done.json()["sheet"]["done_reason"]) == (
        "completed",
        "tested with the meter",
    )


async def test_every_fault_of_an_act_is_named_at_once(api: Api) -> None:
    await prepared(api)
    visit = (await book(api, in_three_days(api))).json()
    later = (api.appliance.clock() + timedelta(hours=2)).isoformat()
    wish = {"key": "a", "kind": "record", "made_at": later, "content": {"serial": "x"}}
    answer = await api.post(f"/visits/{visit['visit_id']}/acts", wish, role="technician")
    assert answer.status_code == 422
    assert [fault["field"] for fault in answer.json()["errors"]] == ["made_at", "content.serial", "content.changes"]


async def test_a_photo_is_a_file_named_by_its_hash_and_the_same_one_is_kept_once(api: Api) -> None:
    await prepared(api)
    visit = (await book(api, in_three_days(api))).json()
    address = f"/visits/{visit['visit_id']}/photos"
    picture = b"\xff\xd8\xff\xe0 a very small jpeg"
    sent: dict[str, Any] = {"content": picture, "headers": {"Content-Type": "image/jpeg"}, "role": "technician"}
    kept = await api.send("POST", f"{address}?caption=splice+tray", **sent)
    assert kept.status_code == 201, kept.text
    assert (kept.json()["media_type"], kept.json()["size_bytes"]) == ("image/jpeg", len(picture))
    assert (await api.send("POST", address, **sent)).json()["photo_id"] == kept.json()["photo_id"]
    shown = await api.get(f"{address}/{kept.json()['photo_id']}", role="technician")
    assert (shown.content, shown.headers["content-type"]) == (picture, "image/jpeg")
    refused = await api.send("POST", address, **{**sent, "content": b"<svg/>"})
    assert (refused.status_code, refused.json()["code"]) == (422, "photo.refused")
    missing = await api.get(f"{address}/999", role="technician")
    assert (missing.status_code, missing.json()["code"]) == (404, "field.photo_unknown")


@pytest.mark.both_databases
async def test_a_photo_is_bytes_whatever_it_is_called_and_fifty_are_kept_of_a_visit(any_api: Api) -> None:
    api = any_api
    await prepared(api, role="admin")
    visit = (await book(api, in_three_days(api), role="admin")).json()
    address = f"/visits/{visit['visit_id']}/photos"

    async def send(content: bytes, called: str = "image/jpeg", to: str = address) -> Any:
        return await api.send("POST", to, content=content, headers={"Content-Type": called}, role="admin")

    named_json = await send(b"\xff\xd8\xff\xe0 picture 0", "application/json")
    assert named_json.status_code == 201, named_json.text
    nested = await send(b"[" * 100_000, "application/json")
    assert (nested.status_code, nested.json()["code"]) == (422, "photo.refused")
    for number in range(1, 50):
        assert (await send(b"\xff\xd8\xff\xe0 picture %d" % number)).status_code == 201
    refused = await send(b"\xff\xd8\xff\xe0 one too many")
    assert (refused.status_code, refused.json()["code"]) == (409, "field.photos_full")
    assert (await send(b"\xff\xd8\xff\xe0 picture 7")).status_code == 201  # known already
    unknown = await send(b"\xff\xd8\xff\xe0 picture", to="/visits/999/photos")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "field.visit_unknown")
    assert (await send(b"\xff\xd8\xff\xe0 picture", to="/visits/x/photos")).status_code == 422


async def test_a_van_is_booked_in_and_out_and_a_scan_takes_out_of_it_what_was_in_it(any_api: Api) -> None:
    api = any_api
    await prepared(api)
    van = f"/technicians/{TECHNICIAN}/stock"
    booked = await api.post(van, {"serials": ["hwtc4a2b9c01", "HWTC4A2B9C02", "HWTC4A2B9C03"]}, role="dispatch")
    assert booked.status_code == 200, booked.text
    assert (await api.post(van, {"serials": ["HWTC4A2B9C04"]}, role="technician")).status_code == 403
    await api.post("/technicians", {"technician_id": 8, "name": "Theo"}, role="dispatch")
    elsewhere = await api.post("/technicians/8/stock", {"serials": ["HWTC4A2B9C01"]}, role="dispatch")
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (409, "field.stock_elsewhere")
    missing = await api.post("/technicians/8/stock/out", {"serials": ["HWTC4A2B9C01"], "reason": "x"}, role="dispatch")
    assert (missing.status_code, missing.json()["code"]) == (409, "field.stock_missing")
    first = (await api.get(f"{van}?limit=2", role="technician")).json()
    rest = (await api.get(first["next"].removeprefix("/api/v1"), role="technician")).json()
    listed = [(one["serial"], one["state"]) for one in first["items"] + rest["items"]]
    assert listed == [(f"HWTC4A2B9C0{number}", "owned") for number in (1, 2, 3)]
    assert (await api.get("/technicians/8/stock", role="technician")).status_code == 404

    assert (await api.get("/technicians/99/stock", role="dispatch")).status_code == 404

    visit_id = (await book(api, in_three_days(api))).json()["visit_id"]
    acts = f"/visits/{visit_id}/acts"
    made_at = api.appliance.clock() + timedelta(microseconds=-1)
    said = {"made_at": made_at.isoformat()}
    scan = {**said, "key": "a", "kind": "scanned", "content": {"serial": "HWTC4A2B9C01"}}
    back = {**said, "key": "b", "kind": "returned", "content": {"serial": "HWTC00000009", "note": "no light"}}
    for act in (scan, back):
        taken = await api.post(acts, act, role="technician")
        assert taken.status_code == 200, taken.text
    states = {one["serial"]: one["state"] for one in (await api.get(van, role="technician")).json()["items"]}
    assert states == {"HWTC4A2B9C02": "owned", "HWTC4A2B9C03": "owned", "HWTC00000009": "returned"}
    history = (await api.get("/technicians/stock/HWTC4A2B9C01", role="technician")).json()
    assert history["item"] | {"state": "installed", "visit_id": visit_id} == history["item"]
    assert [one["state"] for one in history["movements"]] == ["owned", "installed"]
    assert datetime.fromisoformat(history["item"]["since"]) == made_at
    assert (await api.get("/technicians/stock/HWTC00000077")).json()["code"] == "field.stock_unknown"
    await api.post("/technicians/8/stock", {"serials": ["HWTC00000088"]}, role="dispatch")
    assert (await api.get("/technicians/stock/HWTC00000088", role="technician")).status_code == 404
    assert (await api.get(f"{van}?state=installed")).json()["items"][0]["serial"] == "HWTC4A2B9C01"

    again = {"serials": ["HWTC4A2B9C01"]}
    refused = await api.post("/technicians/8/stock", again, role="dispatch")
    assert (refused.status_code, refused.json()["code"]) == (409, "field.stock_installed")
    assert f"HWTC4A2B9C01 (visit {visit_id})" in refused.json()["detail"]
    because = {**again, "reason": "came by post"}
    assert (await api.post("/technicians/8/stock", because, role="dispatch")).status_code == 200
    out = {**again, "reason": "another van"}
    assert (await api.post("/technicians/8/stock/out", out, role="dispatch")).status_code == 200
    assert (await api.post(van, again, role="dispatch")).status_code == 200
    own = (await api.get("/technicians/stock/HWTC4A2B9C01", role="technician")).json()["movements"]
    assert [(one["technician_id"], one["state"]) for one in own] == [
        (TECHNICIAN, state) for state in ("owned", "installed", "owned")
    ]
    whole = (await api.get("/technicians/stock/HWTC4A2B9C01", role="dispatch")).json()["movements"]
    assert [one["technician_id"] for one in whole] == [TECHNICIAN, TECHNICIAN, 8, 8, TECHNICIAN]
    assert whole[2]["reason"] == "came by post"
