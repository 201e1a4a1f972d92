"""``POST /subscribers``: one without a service, made once; and what is so already is no change for the audit."""

from __future__ import annotations

from typing import Any

import pytest

from radius import RadiusService, SubscriberView
from tests.support.api import Api, told_of

DONE = "c1001-s1@isp.example"
STRANGER: dict[str, Any] = {
    "username": "new1@isp.example",
    "customer_id": 2003,
    "plan": "fiber-300",
    "reason": "by hand",
}
WISH = {**STRANGER, "customers_elsewhere": True}


async def test_the_same_again_is_answered_200_and_is_no_change_for_the_audit(any_api: Api) -> None:
    made = await any_api.post("/subscribers", WISH)
    assert made.status_code == 201, made.text
    count = len(await any_api.audit(limit=200))
    again = await any_api.post("/subscribers", WISH)
    assert (again.status_code, again.json()) == (200, made.json())
    assert again.headers["location"] == made.headers["location"]
    assert len(await any_api.audit(limit=200)) == count


async def test_a_customer_who_is_not_registered_is_refused_with_all_else_that_is_wrong(api: Api) -> None:
    refused = await api.post("/subscribers", STRANGER)
    assert (refused.status_code, refused.json()["code"]) == (422, "radius.request_refused")
    [fault] = refused.json()["errors"]
    how = "--customers-elsewhere, customers_elsewhere in the API, if it is another system's"
    assert fault["detail"] == f"no customer 2003 is registered here ({how})"
    wrong = {**STRANGER, "plan": "fibre", "ipv4_pool": "`id`", "external_id": " x"}
    said = [each["detail"].split()[:3] for each in (await api.post("/subscribers", wrong)).json()["errors"]]
    assert said == [
        ["no", "customer", "2003"],
        ["its", "external", "id"],
        ["The", "value", "for"],
        ["There", "is", "no"],
    ]
    taken = (await api.post("/subscribers", {**STRANGER, "username": DONE})).json()["errors"]
    assert [each["detail"].split()[0] for each in taken] == ["no", "Username"]
    assert (await api.post("/subscribers", WISH)).status_code == 201
    again = (await api.post("/subscribers", STRANGER)).json()["errors"]  # its name is its own
    assert len(again) == 1


async def test_those_of_whose_password_a_hash_alone_is_known_are_a_list_of_their_own(api: Api) -> None:
    assert (await api.get("/subscribers", params={"only_hash": "true"})).json()["items"] == []
    assert len((await api.get("/subscribers", params={"only_hash": "false"})).json()["items"]) == 4


@pytest.mark.both_databases
async def test_who_asks_for_an_end_again_by_the_isps_own_id_is_answered_and_ends_nobody_else(any_api: Api) -> None:
    by_id, why = {"by": "external_id"}, {"reason": "gone"}
    await any_api.post("/subscribers", {**WISH, "external_id": "ERP 4711/a"})
    ended = await any_api.post("/subscribers/ERP 4711%2Fa/end", why, params=by_id)
    assert (ended.status_code, ended.json()["subscriber"]["state"]) == (200, "terminated")
    count = len(await any_api.audit(limit=200))
    heir = (await any_api.post("/subscribers", WISH)).json()  # who takes the name after it, and has no such number

    again = await any_api.post("/subscribers/ERP 4711%2Fa/end", why, params=by_id)
    assert (again.status_code, again.json()["subscriber"]) == (200, ended.json()["subscriber"])
    assert len(await any_api.audit(limit=200)) == count + 1  # of the one that was made
    assert (await any_api.get(f"/subscribers/{WISH['username']}")).json()["state"] == "pending"
    for act, said in (("suspend", {}), ("identify", {"external_id": None})):
        refused = await any_api.post(f"/subscribers/ERP 4711%2Fa/{act}", {**why, **said}, params=by_id)
        assert refused.json()["code"] == "radius.subscriber_unknown", act

    number = {"external_id": "ERP 4711/a", **why}
    assert (await any_api.post(f"/subscribers/{WISH['username']}/identify", number)).status_code == 200
    theirs = await any_api.post("/subscribers/ERP 4711%2Fa/end", why, params=by_id)
    assert theirs.json()["subscriber"]["subscriber_id"] == heir["subscriber_id"]  # the number is its own by now
    nobody = await any_api.post("/subscribers/ERP-9/end", why, params=by_id)
    assert (nobody.status_code, nobody.json()["code"]) == (404, "radius.subscriber_unknown")


@pytest.mark.both_databases
async def test_who_is_given_the_number_while_an_end_is_asked_for_again_is_left_alone(
    any_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_id, why = {"by": "external_id"}, {"reason": "gone"}
    await any_api.post("/subscribers", {**WISH, "external_id": "ERP-9"})
    ended = await any_api.post("/subscribers/ERP-9/end", why, params=by_id)
    heir = (await any_api.post("/subscribers", WISH)).json()
    asked = RadiusService.subscriber_last_known_as

    async def and_given_right_after(radius: RadiusService, *, external_id: str) -> SubscriberView:
        found = await asked(radius, external_id=external_id)
        await radius.give_external_id(subscriber_id=heir["subscriber_id"], external_id=external_id)
        return found

    monkeypatch.setattr(RadiusService, "subscriber_last_known_as", and_given_right_after)
    again = await any_api.post("/subscribers/ERP-9/end", why, params=by_id)
    assert (again.status_code, again.json()["subscriber"]) == (200, ended.json()["subscriber"])
    assert (await any_api.get(f"/subscribers/{WISH['username']}")).json()["state"] == "pending"


async def test_whose_end_is_asked_for_again_in_a_malformed_way_is_not_said_to_be_unknown(api: Api) -> None:
    by_id = {"by": "external_id"}
    await api.post("/subscribers", {**WISH, "external_id": "ERP-9"})
    await api.post("/subscribers/ERP-9/end", {"reason": "gone"}, params=by_id)
    assert list(told_of(await api.post("/subscribers/ERP-9/end", {}, params=by_id))) == ["#/reason"]
    assert list(told_of(await api.post("/subscribers/ERP-9/suspend", {}, params=by_id))) == ["#/reason", "username"]


async def test_one_that_was_ended_is_made_anew_and_the_audit_says_what_it_was(any_api: Api) -> None:
    await any_api.post("/subscribers", WISH)
    assert (await any_api.post(f"/subscribers/{WISH['username']}/end", {"reason": "gone"})).status_code == 200
    assert (await any_api.post("/subscribers", WISH)).status_code == 201
    [entry] = await any_api.audit(limit=1)
    assert (entry["before"]["state"], entry["after"]["state"]) == ("terminated", "pending")


@pytest.mark.both_databases
async def test_an_act_that_asks_for_what_is_so_already_leaves_no_audit_entry(any_api: Api) -> None:
    await any_api.post("/subscribers", WISH)
    line = {"station": "001a2b3c4d5e"}
    acts: dict[str, dict[str, Any]] = {
        "identify": {"external_id": "ERP-9"},
        "activate": {},
        "bind": line,
        "suspend": {},
        "resume": {},
        "change-plan": {"plan": "fiber-pool"},
        "unbind": {},
    }
    before = len(await any_api.audit(limit=200))
    for act, said in acts.items():
        for _ in range(3):
            done = await any_api.post(f"/subscribers/{WISH['username']}/{act}", {**said, "reason": "again"})
            assert done.status_code == 200, done.text
    rename = {"username": WISH["username"], "reason": "again"}
    assert (await any_api.post(f"/subscribers/{WISH['username']}/rename", rename)).status_code == 200
    entries = (await any_api.audit(limit=200))[: -before or None]
    assert [each["action"] for each in entries] == [f"subscribers {act}" for act in reversed(acts)]


async def test_ending_sessions_and_setting_right_stand_in_the_audit_each_time(api: Api) -> None:
    await api.post("/subscribers", WISH)
    before = len(await api.audit(limit=200))
    for act in ("disconnect", "disconnect", "set-right"):
        done = await api.post(f"/subscribers/{WISH['username']}/{act}", {"reason": "again"})
        assert done.status_code == 200, done.text
    assert len(await api.audit(limit=200)) == before + 3


async def test_a_rename_is_answered_again_under_the_former_name_and_all_else_is_told_the_present_one(
    any_api: Api,
) -> None:
    await any_api.post("/subscribers", WISH)
    assert (await any_api.post(f"/subscribers/{WISH['username']}/activate", {"reason": "moved in"})).status_code == 200
    former, rename = f"/subscribers/{WISH['username']}", {"username": "new2@isp.example", "reason": "married"}
    renamed = await any_api.post(f"{former}/rename", rename)
    assert renamed.status_code == 200, renamed.text
    count = len(await any_api.audit(limit=200))
    again = await any_api.post(f"{former}/rename", rename)
    assert again.json()["subscriber"] == renamed.json()["subscriber"]
    elsewhere = await any_api.post(f"{former}/rename", {**rename, "username": "new3@isp.example"})
    for refused in (
        elsewhere,
        await any_api.post(f"{former}/suspend", {"reason": "unpaid"}),
        await any_api.get(former),
    ):
        assert (refused.status_code, refused.json()["code"]) == (404, "radius.subscriber_renamed")
        assert refused.json()["detail"] == (
            "There is no RADIUS subscriber new1@isp.example any more: it was renamed, and is new2@isp.example now."
        )
    assert len(await any_api.audit(limit=200)) == count


async def test_a_line_that_logs_in_by_itself_is_refused_where_no_nas_tells_of_lines(api: Api) -> None:
    plan = {"download_kbps": 5, "upload_kbps": 5, "access": "ipoe", "reason": "new"}
    assert (await api.post("/plans/ip/define", plan)).is_success
    assert (await api.post(f"/subscribers/{DONE}/change-plan", {"plan": "ip", "reason": "new"})).is_success
    wish = {"station": "00:1A:2B:3C:4D:5E", "logs_in": True, "reason": "fibre"}
    refused = await api.post(f"/subscribers/{DONE}/bind", wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "radius.no_nas_tells_of_lines")
    nas = {"name": "bng-9", "address": "198.51.100.9", "dialect": "mikrotik", "lines": True, "reason": "new"}
    assert (await api.post("/nas", nas)).is_success
    assert (await api.post(f"/subscribers/{DONE}/bind", wish)).is_success
    refused = await api.post("/nas/bng-9/change", {"lines": False, "reason": "old"})
    assert (refused.status_code, refused.json()["code"]) == (409, "radius.nas_lines_in_use")


async def test_an_unknown_plan_has_no_list_of_subscribers(api: Api) -> None:
    refused = await api.get("/subscribers", params={"plan": "nobody"})
    assert (refused.status_code, refused.json()["code"]) == (404, "radius.plan_unknown")
    assert [each["username"] for each in (await api.get("/subscribers?plan=fiber-300")).json()["items"]]


async def test_what_is_malformed_hides_nothing_else_that_is_wrong(api: Api) -> None:
    new = {"username": DONE, "customer_id": 2003, "plan": "fibre", "external_id": " x", "ipv4_pool": "`id`"}
    told = told_of(await api.post("/subscribers", new))
    assert list(told) == ["#/reason", "#/username", "#/plan", "#/ipv4_pool", "#/external_id", "#/customer_id"]
    assert told["#/username"].startswith(f"Username {DONE} cannot be given to customer 2003")
    some = {**STRANGER, "customer_id": "many", "plan": "fibre"}
    assert list(told_of(await api.post("/subscribers", some))) == ["#/customer_id", "#/plan"]

    for act, said, places in (
        ("change-plan", {"plan": "fibre"}, ["#/reason", "#/plan"]),
        ("suspend", {"garden": "fibre", "reason": " "}, ["#/reason", "#/garden"]),
        ("rename", {"username": "c1002-s2@isp.example"}, ["#/reason", "#/username"]),
        ("rename", {"username": DONE}, ["#/reason"]),
        ("identify", {"external_id": " x"}, ["#/reason", "#/external_id"]),
        ("bind", {"logs_in": True}, ["#/reason", "#/logs_in"]),
        ("bind", {"logs_in": True, "station": 7}, ["#/reason", "#/station"]),
        ("resume", {}, ["#/reason"]),
    ):
        told = told_of(await api.post(f"/subscribers/{DONE}/{act}", said))
        assert list(told) == places, act
    nobody = told_of(await api.post("/subscribers/nobody/rename", {"username": "x@isp.example"}))
    assert list(nobody) == ["#/reason", "username"]
    nobody = told_of(await api.post("/subscribers/7777/change-plan?by=id", {"plan": "fibre"}))
    assert list(nobody) == ["#/reason", "username", "#/plan"]
