"""Runs over HTTP: seen, decided about once, and told things."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from provisioning.signals import DESKS, WATCHED
from tests.support.api import Api
from workflows import NO_MOMENT
from workflows.engine.steps import Wait

COMPLETED, WAITING, HELD, CANCELLED = 1, 2, 3, 4


async def test_runs_are_listed_page_by_page_and_by_what_is_asked(any_api: Api) -> None:
    first = (await any_api.get("/runs", params={"limit": 3})).json()
    assert [run["id"] for run in first["items"]] == [4, 3, 2]
    rest = (await any_api.get(first["next"])).json()
    assert ([run["id"] for run in rest["items"]], rest["next"]) == ([1], None)
    held = await any_api.get("/runs", params={"state": ["held", "cancelled"], "limit": 50})
    assert [run["id"] for run in held.json()["items"]] == [CANCELLED, HELD]
    customer = first["items"][1]["customer_id"]
    assert [run["id"] for run in (await any_api.get(f"/runs?customer={customer}")).json()["items"]] == [HELD]
    before = first["items"][1]["created_at"]
    older = await any_api.get("/runs", params={"created_before": before})
    assert [run["id"] for run in older.json()["items"]] == [WAITING, COMPLETED]
    younger = await any_api.get("/runs", params={"created_since": before, "journey": "isp_ticket_to_deployment"})
    assert [run["id"] for run in younger.json()["items"]] == [CANCELLED, HELD]


async def test_a_run_is_shown_with_its_steps_their_times_and_what_it_keeps(api: Api) -> None:
    shown = (await api.get(f"/runs/{COMPLETED}")).json()
    assert shown["run"]["state"] == "completed"
    steps = {step["name"]: step for step in shown["steps"]}
    assert steps["allocate_resources"]["finished_at"] >= steps["allocate_resources"]["started_at"]
    assert {kept["what"].split()[0] for kept in shown["kept"]} >= {"service", "subscriber", "CPE"}
    assert shown["notes"][0]["text"].startswith("started for ticket/")


async def test_of_two_who_decide_about_a_run_the_second_is_told_to_look_again(any_api: Api) -> None:
    seen = await any_api.get(f"/runs/{HELD}")
    etag = seen.headers["etag"]
    missing = await any_api.post(f"/runs/{HELD}/retry")
    assert (missing.status_code, missing.json()["code"]) == (428, "api.precondition_missing")
    first = await any_api.post(f"/runs/{HELD}/retry", match=etag)
    assert (first.status_code, first.json()["run"]["state"]) == (200, "inProgress")
    second = await any_api.post(f"/runs/{HELD}/roll-back", {"reason": "no way"}, match=etag)
    assert (second.status_code, second.json()["code"]) == (412, "api.precondition_failed")
    stood = await any_api.get(f"/runs/{HELD}")
    assert stood.headers["etag"] == first.headers["etag"] != etag
    whatever = await any_api.post(f"/runs/{HELD}/roll-back", {"reason": "no way"}, match="*")
    assert (whatever.status_code, whatever.json()["code"]) == (409, "workflow.run_not_open")


async def test_a_decision_stands_in_the_audit_with_who_for_whom_why_before_and_after(any_api: Api) -> None:
    etag = (await any_api.get(f"/runs/{HELD}")).headers["etag"]
    answer = await any_api.post(
        f"/runs/{HELD}/cancel", {"reason": "the customer has changed their mind"}, match=etag, role="noc"
    )
    assert answer.status_code == 200
    [entry] = await any_api.audit(run=HELD)
    assert entry["before"]["state"] == "held"
    assert entry["after"]["state"] == answer.json()["run"]["state"] != "held"
    told = {name: entry[name] for name in ("actor", "door", "action", "subject", "customer_id", "reason")}
    assert told == {
        "actor": "noc of the test",
        "door": "api",
        "action": "runs cancel",
        "subject": f"run/{HELD}",
        "customer_id": answer.json()["run"]["customer_id"],
        "reason": "the customer has changed their mind",
    }


async def test_a_refused_decision_leaves_nothing(api: Api) -> None:
    before = (await api.get(f"/runs/{HELD}")).json()
    answer = await api.post(f"/runs/{HELD}/skip", {"reason": "  "}, match="*")
    assert (answer.status_code, answer.json()["code"]) == (422, "workflow.input_refused")
    assert answer.json()["errors"]
    assert (await api.get(f"/runs/{HELD}")).json() == before
    assert await api.audit() == []


async def test_a_ticket_starts_one_run_by_either_address(api: Api) -> None:
    async with api.appliance.database.read() as db:
        given: Any = await db.scalar(text("SELECT input FROM run WHERE id = 1"))
    again = await api.send("POST", "/installation-tickets", content=given, headers={"Content-Type": "application/json"})
    assert (again.status_code, again.json()) == (201, {"run_id": COMPLETED, "new": False})
    assert again.headers["location"] == f"/api/v1/runs/{COMPLETED}"
    unknown = await api.post("/runs", {"journey": "tea", "input": {}})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "workflow.journey_unknown")
    faulty = await api.post("/runs", {"journey": "isp_ticket_to_deployment", "input": {"bandwidth_plan": "no-such"}})
    assert faulty.status_code == 422
    fields = {fault["field"] for fault in faulty.json()["errors"]}
    assert {"ticket_id", "customer_id", "bandwidth_plan"} <= fields, "every fault at once, of shape and of substance"


async def test_a_signal_with_a_desk_of_its_own_is_told_there(api: Api) -> None:
    for name, payload in (("visit", {}), ("payment_method", {"payment_method": "invoice"})):
        answer = await api.post(f"/runs/{WAITING}/signals", {"name": name, "payload": payload}, role="noc")
        assert (answer.status_code, answer.json()["code"]) == (422, "provisioning.invalid_request")
        assert f"`{DESKS[name][0]}`" in answer.json()["errors"][0]["detail"]


async def test_what_a_watcher_must_see_is_told_by_nobody_else(api: Api) -> None:
    seen = {
        "session_started": {
            "username": "nobody@isp.example",
            "framed_ip_address": "198.51.100.7",
            "nas_address": "192.0.2.1",
            "session_id": "1",
            "started_at": "2026-11-01T00:00:00Z",
        },
        "device_informed": {"device_id": "1", "informed_at": "2026-11-01T00:00:00Z"},
    }
    for name, payload in seen.items():
        answer = await api.post(f"/runs/{WAITING}/signals", {"name": name, "payload": payload}, role="dispatch")
        assert (answer.status_code, answer.json()["code"]) == (422, "provisioning.invalid_request")
        assert f"`firstlight runs skip {WAITING} --reason WHY`" in answer.json()["errors"][0]["detail"]


async def test_a_time_that_is_over_is_told_to_nobody(api: Api) -> None:
    told = {"name": "appointment", "payload": {"technician_id": 1, "scheduled_date": "2020-01-01T09:00:00Z"}}
    answer = await api.post(f"/runs/{WAITING}/signals", told, role="dispatch")
    assert (answer.status_code, answer.json()["code"]) == (422, "provisioning.invalid_request")
    assert answer.json()["errors"][0] == {"field": "scheduled_date", "detail": "is over already"}
    async with api.appliance.database.read() as db:
        said = f"SELECT count(*) FROM run_signal WHERE run_id = {WAITING} AND name = 'appointment'"
        assert await db.scalar(text(said)) == 0


async def test_all_faults_of_an_appointment_are_named_at_once(api: Api) -> None:
    over = {"field": "scheduled_date", "detail": "is over already"}
    nobody = {
        "field": "technician_id",
        "detail": "There is no technician 424242; choose one from the list of technicians.",
    }
    for payload, code, faults in (
        (
            {"technician_id": 424242, "scheduled_date": "2020-01-01T09:00:00Z"},
            "provisioning.invalid_request",
            [over, nobody],
        ),
        (
            {"technician_id": 424242, "scheduled_date": "soon", "visit_id": 424243},
            "workflow.input_refused",
            [
                {"field": "scheduled_date", "detail": NO_MOMENT},
                nobody,
                {"field": "visit_id", "detail": "There is no visit 424243."},
            ],
        ),
        (
            {"technician_id": "x", "scheduled_date": "2020-01-01T09:00:00Z"},
            "workflow.input_refused",
            [{"field": "technician_id", "detail": "is not a whole number"}, over],
        ),
    ):
        answer = await api.post(
            f"/runs/{WAITING}/signals", {"name": "appointment", "payload": payload}, role="dispatch"
        )
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert answer.json()["errors"] == faults


async def test_every_signal_is_a_desk_s_or_a_watcher_s_or_told_to_the_run_alone(api: Api) -> None:
    definitions = api.appliance.definitions.values()
    waits = {wait.signal for each in definitions for wait in each.steps if isinstance(wait, Wait) and wait.signal}
    assert waits - DESKS.keys() - WATCHED.keys() == {"appointment", "deployment_date"}, (
        "of when somebody comes, dispatch decides; what is about money or a record has a desk"
    )


async def test_a_key_from_outside_is_never_one_of_ours(api: Api) -> None:
    when = (api.appliance.clock() + timedelta(days=3)).isoformat()
    payload = {"technician_id": 7002, "scheduled_date": when}
    told = {"name": "appointment", "payload": payload, "key": "line/1/answer"}
    answer = await api.post(f"/runs/{WAITING}/signals", told, role="dispatch")
    assert answer.status_code == 201, answer.text
    async with api.appliance.database.read() as db:
        keys = set(await db.scalars(text(f"SELECT key FROM run_signal WHERE run_id = {WAITING}")))
    assert "told/line/1/answer" in keys and "line/1/answer" not in keys


async def test_a_partner_knows_only_the_runs_of_their_own_customers(api: Api) -> None:
    assert (await api.get("/runs", role="partner")).json() == {"items": [], "next": None}
    hidden = await api.get(f"/runs/{COMPLETED}", role="partner")
    assert (hidden.status_code, hidden.json()["code"]) == (404, "workflow.run_unknown")
    async with api.appliance.database.begin() as db:
        await db.execute(
            text("UPDATE run SET customer_id = (SELECT customer_id FROM partner_customer LIMIT 1) WHERE id = 1")
        )
    assert [run["id"] for run in (await api.get("/runs", role="partner")).json()["items"]] == [COMPLETED]
    assert (await api.get(f"/runs/{COMPLETED}", role="partner")).status_code == 200


async def test_a_decision_shows_what_it_would_touch_and_is_no_different_for_it(api: Api) -> None:
    before = (await api.get(f"/runs/{HELD}")).json()["run"]
    seen = (await api.get(f"/runs/{HELD}/preview", params={"verb": "roll-back"}, role="read-only")).json()
    assert (seen["refused"], seen["ends"], seen["step"]) == (None, "failed", "confirm_port")
    undone = {each["step"]: each["nothing_because"] for each in seen["undone"]}
    assert (undone["allocate_resources"], undone["get_site_survey"]) == (None, "a survey is only read")
    assert list(undone)[-1] == "get_site_survey"
    assert any(kept.startswith("service 3: ") for kept in seen["given_back"])
    back = (await api.get(f"/runs/{HELD}/preview", params={"verb": "retry-from", "from_step": "authorise_line"})).json()
    assert [each["step"] for each in back["undone"]][-1] == "authorise_line"
    refused = (await api.get(f"/runs/{WAITING}/preview", params={"verb": "skip"})).json()
    assert (refused["refused"], refused["undone"]) == ("The run is pending by now; this is for held runs.", [])
    unknown = await api.get(f"/runs/{HELD}/preview", params={"verb": "retry-from", "from_step": "tea"})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "workflow.step_unknown")
    assert (await api.get(f"/runs/{HELD}")).json()["run"] == before


async def test_a_held_run_is_handed_over_once_for_each_time_that_it_stands_still(any_api: Api) -> None:
    wish = {"team": "onboarding", "reason": "the fibre ends elsewhere"}
    etag = (await any_api.get(f"/runs/{HELD}")).headers["etag"]
    first = await any_api.post(f"/runs/{HELD}/hand-over", wish, match=etag, role="noc")
    assert first.status_code == 201, first.text
    ticket = (await any_api.get(f"/tickets/{first.json()['ticket_id']}")).json()
    assert (ticket["assigned_team"], ticket["customer_id"]) == ("onboarding", 1003)
    assert "the fibre ends elsewhere" in ticket["description"] and "Held meanwhile: service 3" in ticket["description"]
    again = await any_api.post(f"/runs/{HELD}/hand-over", wish, match=etag, role="noc")
    assert again.json() == first.json()
    run = (await any_api.get(f"/runs/{HELD}")).json()
    assert run["run"]["state"] == "held"
    assert run["notes"][-1]["text"].startswith("handed over to onboarding as ticket ")
    refused = await any_api.post(f"/runs/{WAITING}/hand-over", wish, match="*", role="noc")
    assert (refused.status_code, refused.json()["code"]) == (409, "workflow.run_not_open")
    noted = await any_api.post(f"/runs/{WAITING}/notes", {"text": "called twice"}, role="noc")
    assert (noted.status_code, noted.json()["notes"][-1]["text"]) == (201, "called twice")
    forged = await any_api.post(f"/runs/{WAITING}/notes", {"text": "one\ntwo"}, role="noc")
    assert forged.status_code == 422
