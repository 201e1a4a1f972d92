"""NASes, logins and diagnoses over HTTP."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from radius.logins.tables import radius_login
from radius.projection.freeradius_tables import radacct
from tests.support.api import Api, told_of
from tests.support.healthy_estate import vandal

ADD = {"name": "bng-9", "address": "198.51.100.9", "dialect": "mikrotik", "reason": "new street"}
DONE = "c1001-s1@isp.example"


async def test_a_nas_is_added_and_rotated_and_its_secret_is_shown_once(api: Api) -> None:
    added = await api.post("/nas", ADD, role="noc", key="k1")
    assert added.status_code == 201, added.text
    assert (added.json()["is_new"], len(added.json()["secret"])) == (True, 32)
    repeated = await api.post("/nas", ADD, role="noc", key="k1")
    assert (repeated.status_code, repeated.json()["secret"]) == (201, None)
    same = await api.post("/nas", ADD, role="noc")
    assert (same.status_code, same.json()["is_new"], same.json()["secret"]) == (200, False, None)
    other = await api.post("/nas", {**ADD, "dialect": "cisco"})
    assert (other.status_code, other.json()["code"]) == (409, "radius.nas_name_taken")
    wish = {"coa_port": 1700, "coa": {"keys": ["Acct-Session-Id"], "per_second": 200}, "reason": "its vendor says so"}
    changed = await api.post("/nas/bng-9/change", wish, role="noc")
    coa = {"keys": ["Acct-Session-Id"], "event_timestamp": True, "per_second": 200, "may_end": True}
    assert (changed.json()["nas"]["coa_port"], changed.json()["nas"]["coa"]) == (1700, coa)
    count = len(await api.audit(limit=200))
    again = await api.post("/nas/bng-9/change", {**wish, "address": "198.51.100.9"})
    assert (again.json()["nas"]["version"], len(await api.audit(limit=200))) == (2, count)
    back = await api.post("/nas/bng-9/change", {"coa": {"keys": [], "per_second": 0}, "reason": "no more"})
    assert back.json()["nas"]["coa"] == {**coa, "keys": [], "per_second": None}
    for wrong in ({"reason": "x", "coa": {"keys": ["Class"]}}, {"reason": " "}, {"reason": "x", "secret": "mine"}):
        assert (await api.post("/nas/bng-9/change", wrong)).status_code == 422
    assert (await api.post("/nas/nowhere/change", wish)).status_code == 404
    address = added.headers["location"]
    rotated = await api.post(f"{address}/rotate-secret", {"reason": "left the company"})
    assert rotated.json()["secret"] != added.json()["secret"]
    assert rotated.json()["taken_up"] == {"earliest": None, "latest": None}  # the worker carries it over

    shown = (await api.get(address)).json()
    assert (shown["nas"]["name"], shown["nas"]["projected"], "secret" in shown) == ("bng-9", False, False)
    assert "bng-9" in [each["name"] for each in (await api.get("/nas", role="read-only")).json()["items"]]
    assert (await api.get("/nas/nowhere")).json()["code"] == "radius.nas_unknown"
    assert (await api.post("/nas", ADD, role="dispatch")).status_code == 403
    kept = str(await api.audit())
    assert "left the company" in kept
    assert not [each for each in (added, rotated) if each.json()["secret"] in kept]


@pytest.mark.both_databases
async def test_a_nas_that_freeradius_knows_is_adopted_without_its_secret_being_shown(any_api: Api) -> None:
    theirs, settings = "theirs-since-2009", any_api.appliance.settings
    assert (await any_api.post("/nas", ADD)).status_code == 201
    refused = await any_api.post("/nas/bng-9/adopt", {"reason": "ours"})
    assert (refused.status_code, refused.json()["code"]) == (409, "radius.nothing_to_adopt")
    with vandal(settings.radius_database_url, settings.radius_database_schema) as hand:
        hand.execute(
            f"INSERT INTO nas (nasname, shortname, type, secret) VALUES ('198.51.100.9', 'hall-9', 'other', '{theirs}')"
        )
    adopted = await any_api.post("/nas/bng-9/adopt", {"reason": "ours"}, role="noc")
    assert (adopted.status_code, adopted.json()["nas"]["version"], theirs in adopted.text) == (200, 2, False)
    count = len(await any_api.audit(limit=200))
    again = await any_api.post("/nas/bng-9/adopt", {"reason": "ours"})
    assert (again.json()["nas"], len(await any_api.audit(limit=200))) == (adopted.json()["nas"], count)
    assert [each.json()["is_new"] for each in (adopted, again)] == [True, False]
    assert (await any_api.audit())[0]["action"] == "nas adopt"
    assert theirs not in str(await any_api.audit(limit=200))
    assert (await any_api.post("/nas/bng-9/adopt", {"reason": "ours"}, role="dispatch")).status_code == 403
    assert (await any_api.post("/nas/nowhere/adopt", {"reason": "ours"})).status_code == 404
    assert list(told_of(await any_api.post("/nas/nowhere/adopt", {}))) == ["#/reason", "name"]


async def test_what_a_nas_calls_itself_is_said_and_refused_where_it_cannot_be(api: Api) -> None:
    [there] = (await api.get("/nas")).json()["items"]
    made = await api.post("/nas", {**ADD, "calls_itself": ["2001:DB8::9"]})
    assert made.json()["nas"]["calls_itself"] == ["2001:db8::9"]
    changed = await api.post("/nas/bng-9/change", {"calls_itself": ["10.255.0.9"], "reason": "its loopback"})
    assert (changed.json()["nas"]["calls_itself"], changed.json()["sessions_to_be_found"]) == (["10.255.0.9"], 0)
    both = {"calls_itself": ["2001:db8::9", "10.255.0.9"], "reason": "and its IPv6 address"}
    version = (await api.post("/nas/bng-9/change", both)).json()["nas"]["version"]
    turned = (await api.post("/nas/bng-9/change", {**both, "calls_itself": ["10.255.0.9", "2001:db8::9"]})).json()
    assert (turned["nas"]["calls_itself"], turned["nas"]["version"]) == (["10.255.0.9", "2001:db8::9"], version)
    for unsayable in ("::10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0"):
        refused = await api.post("/nas/bng-9/change", {"calls_itself": [unsayable], "reason": "so"})
        assert "no NAS can say that in NAS-IPv6-Address" in refused.text, unsayable
    told = told_of(await api.post("/nas/bng-9/change", {"calls_itself": [there["address"], "here"]}))
    assert list(told) == ["#/reason", "#/calls_itself"]
    taken = {**ADD, "name": "bng-8", "address": "10.255.0.9"}
    assert "is what NAS bng-9 calls itself" in (await api.post("/nas", taken)).text
    nothing = await api.post("/nas/bng-9/change", {"calls_itself": [], "reason": "no more"})
    assert nothing.json()["nas"]["calls_itself"] == []


async def test_an_address_is_changed_under_open_sessions_only_where_they_may_be_left(any_api: Api) -> None:
    api = any_api
    [nas] = (await api.get("/nas")).json()["items"]
    moment = api.appliance.clock()
    session = {"acctsessionid": "S-1", "username": DONE, "nasipaddress": nas["address"], "acctstarttime": moment}
    others: tuple[dict[str, Any], ...] = ({"nasipaddress": "10.9.9.9"}, {"acctstoptime": moment})
    async with api.appliance.radius_database.begin() as db:
        await db.execute(delete(radacct))
        for number, each in enumerate(({}, {}, *others)):
            await db.execute(insert(radacct).values({**session, **each, "acctuniqueid": f"u-{number}"}))
    where = f"/nas/{nas['name']}/change"
    wish = {"address": "198.51.100.77", "reason": "another network"}
    refused = await api.post(where, wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "radius.nas_sessions_open")
    assert f"2 sessions are open under {nas['address']}:" in refused.json()["detail"]
    assert (await api.get(f"/nas/{nas['name']}")).json()["nas"] == nas
    assert (await api.post(where, {"coa_port": 1700, "reason": "moved"})).json()["sessions_left"] == 0
    changed = (await api.post(where, {**wish, "leave_sessions": True})).json()
    assert (changed["nas"]["address"], changed["sessions_left"]) == ("198.51.100.77", 2)
    entry = (await api.audit(subject=f"nas/{nas['nas_id']}", limit=200))[0]
    assert (entry["before"]["version"], entry["before"]["coa_port"]) == (changed["nas"]["version"] - 1, 1700)
    assert (entry["before"]["ipv4"], entry["after"]["nas"]["ipv4"]) == (nas["address"], "198.51.100.77")
    assert entry["after"]["sessions_left"] == 2
    again = (await api.post(where, wish)).json()
    assert (again["nas"]["version"], again["sessions_left"]) == (changed["nas"]["version"], 0)


@pytest.mark.both_databases
async def test_a_nas_is_removed_with_its_secret_and_the_worker_takes_it_away_from_freeradius(any_api: Api) -> None:
    api, appliance, where = any_api, any_api.appliance, "/nas/bng-9/remove"
    wish = {"reason": "scrapped"}
    assert (await api.post(where, wish)).json()["code"] == "radius.nas_unknown"
    added = (await api.post("/nas", ADD)).json()
    await appliance.projections.catch_up()
    session = {"acctsessionid": "S-1", "acctuniqueid": "u-1", "username": DONE, "nasipaddress": ADD["address"]}
    async with appliance.radius_database.begin() as db:
        await db.execute(delete(radacct))
        await db.execute(insert(radacct).values(**session, acctstarttime=appliance.clock()))
    assert (await api.post(where, wish, role="dispatch")).status_code == 403
    assert list(told_of(await api.post(where, {}))) == ["#/reason"]
    refused = await api.post(where, wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "radius.nas_sessions_open")
    assert refused.json()["detail"] == (
        "At NAS bng-9 1 session is open under 198.51.100.9: when it is removed no suspension and no other plan reaches"
        " it (CoA, Disconnect), nor does FreeRADIUS hear when it ends. Remove it when they are over, or with"
        " --leave-sessions (leave_sessions in the API)."
    )
    shown = (await api.get("/nas/bng-9")).json()["nas"]
    removed = await api.post(where, {**wish, "leave_sessions": True}, role="noc", key="k1")
    assert (removed.status_code, removed.json()) == (200, {"nas": shown, "sessions_left": 1})
    repeated = await api.post(where, {**wish, "leave_sessions": True}, role="noc", key="k1")
    assert repeated.json() == removed.json()
    assert (await api.get("/nas/bng-9")).status_code == 404
    [entry, *_] = await api.audit(subject=f"nas/{shown['nas_id']}", limit=200)
    assert (entry["action"], entry["before"]["ipv4"]) == ("nas remove", ADD["address"])
    assert entry["after"] == {"nas": "bng-9", "removed": True, "sessions_left": 1}
    assert added["secret"] not in str(await api.audit(limit=200))
    assert [drift.awaiting_projection for drift in await appliance.projector.drift()] == [True]
    await appliance.projections.catch_up()
    assert await appliance.projector.drift() == []
    again = (await api.post("/nas", ADD)).json()
    assert again["nas"]["nas_id"] > shown["nas_id"] and again["secret"] != added["secret"]


async def test_logins_and_diagnoses_are_read_by_whoever_reads_subscribers(api: Api) -> None:
    found = await api.get(f"/subscribers/{DONE}/logins?limit=1", role="dispatch")
    [login] = found.json()["items"]
    assert (login["accepted"], login["username"], login["reason"]) == (True, DONE, None)
    assert (await api.get("/subscribers/nobody/logins")).status_code == 404
    async with api.appliance.database.begin() as db:
        await api.appliance.subscriber_desk(db).rename(DONE, username="anna@isp.example", cpe_by_hand=True)
    assert (await api.get("/subscribers/anna@isp.example/logins")).json()["items"] == [login]
    assert (await api.get(f"/subscribers/{DONE}/logins")).status_code == 404
    async with api.appliance.database.begin() as db:
        await api.appliance.subscriber_desk(db).rename("anna@isp.example", username=DONE, cpe_by_hand=True)
    diagnosis = (await api.get(f"/subscribers/{DONE}/diagnosis", role="dispatch")).json()
    assert diagnosis["verdict"] == diagnosis["findings"][0]["sentence"]
    assert "cause" not in {each["weight"] for each in diagnosis["findings"]}
    nobody = (await api.get("/subscribers/nobody/diagnosis")).json()
    assert [each["code"] for each in nobody["findings"]] == ["user_unknown"]
    keep = timedelta(days=api.appliance.settings.login_keep_days)
    async with api.appliance.radius_database.begin() as db:
        await db.execute(update(radius_login).values(happened_at=api.appliance.clock() - keep - timedelta(hours=1)))
    assert await api.appliance.forget_old_logins() >= 1
    assert (await api.get(f"/subscribers/{DONE}/logins")).json()["items"] == []
    for address in ("/logins/unknown-users", "/logins/unknown-nases"):
        assert (await api.get(address, role="read-only")).status_code == 200
        assert (await api.get(address, role="technician")).status_code == 403


async def test_what_is_malformed_of_a_nas_hides_nothing_else_that_is_wrong(api: Api) -> None:
    [nas] = (await api.get("/nas")).json()["items"]
    wrong = {"name": "bng 9", "address": nas["address"], "dialect": "cisko", "coa": {"keys": ["NAS-Port-Id"]}}
    told = told_of(await api.post("/nas", wrong))
    assert list(told) == ["#/coa/keys/0", "#/reason", "#/name", "#/address", "#/dialect"]
    told = told_of(await api.post("/nas", {**ADD, "name": nas["name"], "coa_port": 0}))
    assert (list(told), told["#/name"].split()[:4]) == (["#/coa_port", "#/name"], ["There", "is", "a", "NAS"])
    told = told_of(await api.post(f"/nas/{nas['name']}/change", {"address": "1.2.3.400", "dialect": "mikrotik"}))
    assert list(told) == ["#/reason", "#/address"]
    assert list(told_of(await api.post("/nas/nowhere/change", {"dialect": "cisko"}))) == [
        "#/reason",
        "name",
        "#/dialect",
    ]
    assert list(told_of(await api.post("/nas/nowhere/rotate-secret", {}))) == ["#/reason", "name"]
    assert list(told_of(await api.post("/sessions/close", {"nas": "nowhere"}))) == ["#/reason", "#/nas"]
    told = told_of(await api.get("/sessions?nas=nowhere&plan=fibre&limit=x"))
    assert list(told) == ["limit", "nas", "plan"]
