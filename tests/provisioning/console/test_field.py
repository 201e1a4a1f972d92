"""The technician's page: whose jobs it shows to whom, what a script may send, and what a phone installs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import update

from provisioning.access import ROLES, Role
from provisioning.api import Door
from provisioning.console import field
from provisioning.console.assets import assets
from provisioning.console.doors import ScriptDoor
from provisioning.days import begin_of
from provisioning.days import day_of as the_day_of
from provisioning.field import Technicians, Visit, Visits
from provisioning.field.reports import LONGEST_NOTE
from tests.support.api import TECHNICIAN
from tests.support.console import SAME_ORIGIN, Console, Person

OTHER = 8
NAMES = {TECHNICIAN: "Tess", OTHER: "Otto"}
ENDS = ("acts", "photos")
PNG = b"\x89PNG\r\n\x1a\n" + b"\x00" * 16


async def visit_today(console: Console, technician_id: int = TECHNICIAN, customer_id: int = 1001) -> int:
    """A visit that begins soon; its number."""
    appliance = console.appliance
    async with appliance.database.begin() as db:
        technicians = Technicians(db, tenant_id=appliance.tenant_id)
        await technicians.register(technician_id=technician_id, name=NAMES[technician_id])
        booked = await Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock).book(
            customer_id=customer_id,
            technician_id=technician_id,
            starts_at=appliance.clock() + timedelta(seconds=5),
            duration_minutes=30,
            address="Lindenweg 4",
        )
    return booked["visit_id"]


async def day_of(person: Person) -> dict[str, Any]:
    answer = await person.get("/field/day")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def send(person: Person, path: str, token: str, **request: Any) -> httpx.Response:
    headers = {**SAME_ORIGIN, "X-Form-Token": token, **request.pop("headers", {})}
    return await person.client.post(path, headers=headers, **request)


def act(key: str = "k1", kind: str = "record", **content: Any) -> dict[str, Any]:
    return {"key": key, "kind": kind, "made_at": "2026-01-05T10:00:00Z", "content": content}


def scripted(console: Console) -> Iterator[tuple[str, str, str]]:
    for route in iter_route_contexts(console.app.routes):
        if isinstance(route.original_route, ScriptDoor):
            terms = route.original_route.terms
            yield terms.method, str(route.path).replace("{visit_id}", "1"), terms.permission


@pytest.mark.parametrize("role", ROLES)
async def test_a_script_gets_through_for_the_roles_that_report_from_visits_and_no_other(
    console: Console, role: Role
) -> None:
    person = await console.somebody(role)
    token = ""
    if "visits.report" in ROLES[role]:
        token = (await day_of(person))["form_token"]
    walked = list(scripted(console))
    assert {permission for _, _, permission in walked} == {"visits.report"}
    for method, path, _ in walked:
        answer = await (send(person, path, token, json={}) if method == "POST" else person.get(path))
        expected = (200, 404, 415, 422) if token else (403,)
        assert answer.status_code in expected, (method, path, answer.status_code, answer.text)
    assert len(walked) == 4


async def test_what_the_api_has_too_is_called_under_the_same_terms(console: Console) -> None:
    routes = [route.original_route for route in iter_route_contexts(console.app.routes)]
    ours = [route for route in routes if isinstance(route, ScriptDoor) and not route.terms.reads]
    assert [route.path for route in ours] == [f"/field/visits/{{visit_id}}/{end}" for end in ENDS]
    for route in ours:
        [other] = [each for each in routes if type(each) is Door and each.endpoint is route.endpoint]
        assert route.terms == replace(other.terms, keyed=False), route.path
        assert route.status_code == other.status_code


async def test_who_is_not_signed_in_is_told_so_as_a_program_is(console: Console) -> None:
    person = console.anybody()
    for method, path, _ in scripted(console):
        answer = await person.client.request(method, path, headers=SAME_ORIGIN)
        assert (answer.status_code, answer.json()["code"]) == (401, "access.session_over"), path


async def test_a_technician_has_their_own_jobs_of_today_and_the_number_of_who_is_visited(console: Console) -> None:
    own, other = await visit_today(console), await visit_today(console, OTHER)
    technician = await console.somebody("technician")
    day = await day_of(technician)
    assert [job["visit"]["visit_id"] for job in day["jobs"]] == [own]
    job = day["jobs"][0]
    assert set(job["customer"]) == {"name", "phone"}
    assert job["customer"]["name"]
    assert [tick["name"] for tick in job["ticks"]["ticks"]] == [
        "bound",
        "authorised",
        "informed",
        "configured",
        "online",
    ]
    starts_at = datetime.fromisoformat(job["visit"]["starts_at"]).astimezone(console.appliance.zone)
    assert job["begins"] == starts_at.strftime("%H:%M")
    assert (await technician.get(f"/field/visits/{own}")).json() == job
    assert (await technician.get(f"/field/visits/{other}")).status_code == 404
    dispatcher = await day_of(await console.somebody("dispatch"))
    assert {own, other} <= {job["visit"]["visit_id"] for job in dispatcher["jobs"]}


async def test_a_visit_that_nobody_has_reported_from_stays_past_midnight_with_whom_it_is_for(console: Console) -> None:
    late, appliance = await visit_today(console), console.appliance
    midnight = begin_of(the_day_of(appliance.clock(), appliance.zone), appliance.zone)
    technician = await console.somebody("technician")

    async def jobs(ended_at: datetime, state: str) -> dict[int, dict[str, Any]]:
        then = {"starts_at": ended_at - timedelta(hours=3), "ends_at": ended_at, "state": state}
        async with appliance.database.begin() as db:
            await db.execute(update(Visit).where(Visit.id == late).values(**then))
        day = await day_of(technician)
        assert day["total"] == len(day["jobs"])
        return {job["visit"]["visit_id"]: job for job in day["jobs"]}

    await jobs(midnight, "booked")
    today = await visit_today(console, customer_id=1002)
    found = await jobs(midnight, "booked")
    assert list(found) == [late, today]
    assert (found[late]["day"], found[today]["day"]) == (
        the_day_of(midnight - timedelta(hours=3), appliance.zone).isoformat(),
        (await day_of(technician))["day"],
    )
    assert found[late]["customer"] == found[late]["customer"] | {"name": "Customer 1"}
    assert list(await jobs(midnight + timedelta(seconds=1), "booked")) == [late, today]  # once, though of both days
    assert list(await jobs(midnight - field.LATE, "booked")) == [today]
    assert list(await jobs(midnight, "completed")) == [today]
    assert (await technician.get(f"/field/visits/{late}")).json()["customer"] is None
    await jobs(midnight, "booked")
    dispatcher = await day_of(await console.somebody("dispatch"))
    assert late not in {job["visit"]["visit_id"] for job in dispatcher["jobs"]}


async def test_an_act_counts_once_and_stands_in_the_audit_as_done_at_the_console(console: Console) -> None:
    visit_id = await visit_today(console)
    technician = await console.somebody("technician")
    token = (await day_of(technician))["form_token"]
    path = f"/field/visits/{visit_id}/acts"
    first = await send(technician, path, token, json=act(changes={"splitter": "S-4"}, seen={"splitter": None}))
    again = await send(technician, path, token, json=act(changes={"splitter": "S-4"}, seen={"splitter": None}))
    assert (first.json()["is_new"], again.json()["is_new"]) == (True, False)
    lost = await send(technician, path, token, json=act("k2", changes={"splitter": "S-5"}, seen={"splitter": None}))
    assert (lost.status_code, lost.json()["code"]) == (409, "field.sheet_changed")
    early = await send(technician, path, token, json=act("k3", "done"))
    assert (early.status_code, early.json()["code"]) == (409, "field.not_done")
    picture = await send(
        technician, f"/field/visits/{visit_id}/photos", token, content=PNG, headers={"Content-Type": "image/png"}
    )
    assert (picture.status_code, picture.json()["media_type"]) == (201, "image/png")
    admin = await console.somebody("admin")
    audit = (await admin.get("/audit", params={"subject": f"visit/{visit_id}"})).text
    assert audit.count("visits act") == 1
    assert "technician" in audit


def longest(page: str) -> dict[str, str]:
    """Of each field of the page's forms, by ``form.name``, the longest that can be typed there."""
    found = {}
    for form in page.split('<form class="')[1:]:
        for kind, name, most in re.findall(r'<(input|textarea) name="(\w+)"[^>]* maxlength="(\d+)"', form):
            lines = ("x" * 9 + "\n") if kind == "textarea" else "x" * 10
            found[f"{form.partition(chr(34))[0]}.{name}"] = (lines * (int(most) // 10 + 1))[: int(most) - 1] + "x"
    return found


async def test_what_can_be_typed_on_the_page_is_taken_by_the_server(console: Console) -> None:
    technician = await console.somebody("technician")
    typed = longest((await technician.get("/field")).text)
    changes = {name: typed[f"record.{name}"] for name in ("splitter", "drop_label", "note")}
    changes["signed_by"] = typed["sign.signed_by"]
    assert (len(changes["note"]), changes["note"].count("\n"), len(typed["end.note"])) == (4000, 399, 1000)
    acts = [
        act("t1", changes=changes, seen=dict.fromkeys(changes)),
        act("t2", "done", reason=typed["done.reason"]),
        act("t3", "not_feasible", note=typed["end.note"]),
        act("t4", "no_access", note=typed["end.note"]),
    ]
    for wish in acts:
        visit_id = await visit_today(console, customer_id=1001)
        token = (await day_of(technician))["form_token"]
        answer = await send(technician, f"/field/visits/{visit_id}/acts", token, json=wish)
        # Nothing was scanned, so it isn't done; and it has not begun. What each says has been read by then.
        expected = 409 if wish["kind"] in ("done", "no_access") else 200
        assert answer.status_code == expected, (wish["kind"], answer.text)
        async with console.appliance.database.begin() as db:
            visits = Visits(db, tenant_id=console.appliance.tenant_id, now=console.appliance.clock)
            if (await visits.visit(visit_id))["state"] == "booked":
                await visits.cancel(visit_id=visit_id, reason="the next one is to be booked")
    assert len(typed["move.reason"]) == LONGEST_NOTE


async def test_what_another_site_sends_or_what_has_no_token_is_refused(console: Console) -> None:
    visit_id = await visit_today(console)
    technician = await console.somebody("technician")
    token = (await day_of(technician))["form_token"]
    path = f"/field/visits/{visit_id}/acts"
    for headers in (
        {"Sec-Fetch-Site": "cross-site", "X-Form-Token": token},
        {"Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "same-origin", "X-Form-Token": "0" * len(token)},
    ):
        answer = await technician.client.post(path, json=act(changes={"note": "x"}), headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (403, "access.request_forged"), headers
    assert (await day_of(technician))["jobs"][0]["sheet"]["note"] is None


async def test_another_time_is_taken_once_and_only_of_a_visit_that_is_still_when_it_was_seen(console: Console) -> None:
    visit_id = await visit_today(console)
    technician = await console.somebody("technician")
    day = await day_of(technician)
    job, path = day["jobs"][0], f"/field/visits/{visit_id}/acts"
    at = console.appliance.clock() + timedelta(days=1)
    said = {"starts_at": at.isoformat(), "reason": "the customer asked"}
    seen = {"seen_at": job["visit"]["starts_at"]}

    async def ask(**content: str) -> tuple[int, str | None]:
        answer = await send(technician, path, day["form_token"], json=act(kind="rescheduled", **content))
        return answer.status_code, answer.json().get("code")

    assert await ask(**said, seen_at=at.isoformat()) == (409, "field.visit_changed")
    assert await ask(**{**said, "starts_at": "tomorrow"}) == (422, "provisioning.invalid_request")
    wish = act(kind="rescheduled", **said, **seen)
    moved = [await send(technician, path, day["form_token"], json=wish) for _ in range(2)]
    assert [(each.status_code, each.json()["is_new"]) for each in moved] == [(200, True), (200, False)]
    assert datetime.fromisoformat(moved[1].json()["visit"]["starts_at"]) == at
    assert moved[1].json()["visit"]["sequence"] == job["visit"]["sequence"] + 1
    assert (await day_of(technician))["jobs"] == []
    late = await send(technician, path, day["form_token"], json=act("k2", "rescheduled", **said, **seen))
    assert (late.status_code, late.json()["code"]) == (409, "field.visit_changed")


async def test_the_shell_holds_nobody_s_data_and_the_worker_keeps_all_that_it_loads(console: Console) -> None:
    technician = await console.somebody("technician")
    page = (await technician.get("/field")).text
    assert (await day_of(technician))["form_token"] not in page
    assert "of the test" not in page
    loaded = set(re.findall(r'(?:href|src|data-reader)="(/assets/[^"]+)"', page))
    worker = await console.anybody().get("/field/worker.js")
    assert worker.headers["service-worker-allowed"] == "/field"
    assert worker.headers["content-type"] == "text/javascript; charset=utf-8"
    kept = json.loads(re.findall(r"^const KEPT = (.*);$", worker.text, re.MULTILINE)[0])
    assert kept[0] == "/field"
    assert set(kept[1:]) == loaded
    assert {address.rpartition("/")[2] for address in kept[1:]} == set(field.LOADS)


async def test_the_worker_is_another_one_as_soon_as_the_shell_is(
    console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = console.anybody()
    before = (await person.get("/field/worker.js")).text
    assert (await (await console.somebody("technician")).get("/field/worker.js")).text == before
    monkeypatch.setattr(console.appliance, "isp_name", "Another ISP")
    after = (await person.get("/field/worker.js")).text
    assert "const VERSION = " in after.splitlines()[1]
    assert after.splitlines()[1] != before.splitlines()[1]
    assert after.splitlines()[2:] == before.splitlines()[2:]


async def test_a_phone_may_install_it(console: Console) -> None:
    answer = await console.anybody().get("/field/manifest.webmanifest")
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    assert (manifest["start_url"], manifest["scope"], manifest["display"]) == ("/field", "/field", "standalone")
    sizes = {icon["sizes"]: icon["src"] for icon in manifest["icons"]}
    assert {"192x192", "512x512"} <= set(sizes)
    for name in ("icon-192.png", "icon-512.png"):
        size = int(name[5:8])
        assert assets()[name].content[16:24] == size.to_bytes(4, "big") * 2  # the IHDR's width and height
        assert (await console.anybody().get(assets()[name].address)).headers["content-type"] == "image/png"


async def test_the_page_sends_no_cancellation_and_shows_no_other_technicians_times(console: Console) -> None:
    busy = await visit_today(console)
    appliance = console.appliance
    async with appliance.database.begin() as db:
        await Technicians(db, tenant_id=appliance.tenant_id).register(technician_id=OTHER, name=NAMES[OTHER])
        calendar = Visits(db, tenant_id=appliance.tenant_id, now=appliance.clock)
        taken = await calendar.visit(busy)
        later = await calendar.book(
            customer_id=1002,
            technician_id=TECHNICIAN,
            starts_at=taken["ends_at"] + timedelta(hours=1),
            duration_minutes=30,
            address="Lindenweg 5",
        )
    tess = await console.somebody("technician")
    token = (await day_of(tess))["form_token"]
    cancelled = await send(tess, f"/field/visits/{busy}/acts", token, json=act(kind="cancelled", note="too far"))
    assert cancelled.status_code == 422
    sooner = {"starts_at": (taken["starts_at"] + timedelta(minutes=10)).isoformat(), "reason": "sooner"}
    path = f"/field/visits/{later['visit_id']}/acts"
    refused = await send(tess, path, token, json=act(kind="rescheduled", **sooner))
    assert (refused.status_code, refused.json()["code"]) == (409, "field.technician_busy")
    assert {one["technician_id"] for one in refused.json()["alternatives"]} == {TECHNICIAN}
