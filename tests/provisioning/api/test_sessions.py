"""``/sessions``: who is online, what was used, who had an address; the same as the commands say."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, insert, update

from provisioning.bootstrap import Appliance
from radius.projection.freeradius_tables import radacct
from radius.projection.projection import class_label
from radius.sessions import looks
from radius.tables import FormerUsername
from tests.support.api import Api
from tests.support.silent_nas import silent_nas

NOW = datetime.now(UTC).replace(microsecond=0)
ANNA = "c1001-s1@isp.example"
"""Active, on a plan with an interim every 300 seconds."""


async def account_for(appliance: Appliance, *, sessions: int = 3) -> None:
    """Sessions of one an hour, the first of them over, the second silent."""
    rows: list[dict[str, Any]] = []
    for number in range(1, sessions + 1):
        began = NOW - timedelta(hours=5 - number)
        over = {"acctstoptime": began + timedelta(minutes=50), "acctterminatecause": "User-Request"}
        rows.append(
            {
                "radacctid": number,
                "acctsessionid": f"S-{number}",
                "acctuniqueid": f"u-{number}",
                "username": ANNA,
                "nasipaddress": "10.0.0.1",
                "framedipaddress": f"100.64.9.{number}",
                "delegatedipv6prefix": f"2001:db8:{number}00::/56",
                "acctstarttime": began,
                "acctupdatetime": datetime.now(UTC) if number == sessions else began + timedelta(minutes=50),
                "acctinputoctets": 5 * 2**32,
                "acctoutputoctets": 7,
                "acctsessiontime": 3000,
                **(over if number == 1 else {"acctstoptime": None, "acctterminatecause": None}),
            }
        )
    async with appliance.radius_database.begin() as db:
        await db.execute(delete(radacct))  # the one of the estate
        await db.execute(insert(radacct), rows)


async def test_sessions_are_listed_page_by_page_and_said_to_be_doubtful(any_api: Api) -> None:
    await account_for(any_api.appliance)
    page = (await any_api.get("/sessions?limit=1", role="read-only")).json()
    assert [(one["number"], one["state"]) for one in page["items"]] == [(3, "online")]
    [second] = (await any_api.get(page["next"])).json()["items"]
    assert (second["number"], second["state"], second["interval_seconds"]) == (2, "doubtful", 300)
    assert (second["input_octets"], second["delegated_prefix"]) == (5 * 2**32, "2001:db8:200::/56")
    doubtful = (await any_api.get("/sessions?nas=10.0.0.1&doubtful=true")).json()
    assert (doubtful["items"], doubtful["next"]) == ([second], None)
    assert (await any_api.get("/sessions?nas=10.0.0.9")).json()["items"] == []
    for unknown, code in (("nas=bng-1", "radius.nas_unknown"), ("plan=gold", "radius.plan_unknown")):
        refused = await any_api.get(f"/sessions?{unknown}")
        assert (refused.status_code, refused.json()["code"]) == (404, code)
    [nas] = (await any_api.get("/nas")).json()["items"]
    async with any_api.appliance.radius_database.begin() as db:
        await db.execute(update(radacct).where(radacct.c.radacctid == 2).values(nasipaddress=nas["address"]))
    for said in (nas["name"], nas["address"]):
        assert [one["number"] for one in (await any_api.get(f"/sessions?nas={said}")).json()["items"]] == [2]
    assert (await any_api.get("/sessions", role="technician")).status_code == 403


async def test_one_username_s_sessions_and_what_it_used(any_api: Api) -> None:
    await account_for(any_api.appliance)
    page = (await any_api.get(f"/sessions/of/{ANNA}?limit=2")).json()
    rest = (await any_api.get(page["next"])).json()
    assert [one["number"] for one in page["items"] + rest["items"]] == [3, 2, 1]
    assert (rest["items"][0]["state"], rest["items"][0]["terminate_cause"]) == ("closed", "User-Request")
    days = {"first": NOW.date() - timedelta(days=1), "last": NOW.date()}
    used = (await any_api.get(f"/sessions/of/{ANNA}/usage?first_day={days['first']}&last_day={days['last']}")).json()
    assert (used["input_octets"], used["output_octets"], used["across"]) == (15 * 2**32, 21, [])
    backwards = await any_api.get(f"/sessions/of/{ANNA}/usage?first_day={days['last']}&last_day={days['first']}")
    assert (backwards.status_code, backwards.json()["code"]) == (422, "radius.look_refused")
    async with any_api.appliance.radius_database.begin() as db:
        await db.execute(update(radacct).where(radacct.c.radacctid == 1).values(username="isp/o'brien"))
    for theirs in ("isp/o'brien", "isp%2Fo%27brien"):
        [one] = (await any_api.get(f"/sessions/of/{theirs}")).json()["items"]
        span = f"first_day={days['first']}&last_day={days['last']}"
        assert (await any_api.get(f"/sessions/of/{theirs}/usage?{span}")).json()["username"] == one["username"]
    nobody = await any_api.get("/sessions/of/nobody@isp.example")
    assert (nobody.status_code, nobody.json()["items"]) == (200, [])


async def test_who_had_an_address_is_told_with_the_session_that_shows_it(any_api: Api) -> None:
    await account_for(any_api.appliance)
    then = (NOW - timedelta(hours=3, minutes=30)).isoformat().replace("+00:00", "Z")
    for address in ("100.64.9.1", "2001:db8:100::17"):
        [session] = (await any_api.get(f"/sessions/who-had?address={address}&at={then}")).json()
        assert (session["username"], session["session_id"], session["nas_address"]) == (ANNA, "S-1", "10.0.0.1")
        assert (await any_api.get(f"/sessions/who-had?address={address}")).json() == []
    assert (await any_api.get("/sessions/guard")).json() == []


async def test_sessions_under_a_former_name_are_the_subscribers_by_name_number_and_own_id(any_api: Api) -> None:
    await account_for(any_api.appliance)
    number = (await any_api.get(f"/subscribers/{ANNA}")).json()["subscriber_id"]
    async with any_api.appliance.database.begin() as db:
        desk = any_api.appliance.subscriber_desk(db)
        await desk.identify(ANNA, external_id="ERP/7")
        await desk.rename(ANNA, username="anna@isp.example", cpe_by_hand=True)
    span = f"first_day={NOW.date() - timedelta(days=1)}&last_day={NOW.date()}"
    for path in (f"{number}", "anna@isp.example", "ERP/7", ANNA):
        by = {"anna@isp.example": "username", ANNA: "username", "ERP/7": "external_id"}.get(path, "id")
        page = (await any_api.get(f"/sessions/of/{path}?by={by}")).json()
        assert [one["number"] for one in page["items"]] == [3, 2, 1]
        used = (await any_api.get(f"/sessions/of/{path}/usage?by={by}&{span}")).json()
        assert used["output_octets"] == 21
    again = await any_api.get("/subscribers/ERP/7?by=external_id")
    assert again.json()["username"] == "anna@isp.example"
    assert (await any_api.get("/subscribers/ERP/7/diagnosis?by=external_id")).json()["username"] == "anna@isp.example"
    assert (await any_api.get("/sessions/of/ERP/8?by=external_id")).status_code == 404


async def test_a_session_under_a_name_that_another_has_by_now_is_its_former_holders(
    any_api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looks, "OF_SEVERAL_AT_ONCE", 2)
    await account_for(any_api.appliance)
    former = (await any_api.get(f"/subscribers/{ANNA}")).json()
    number = former["subscriber_id"]
    async with any_api.appliance.database.begin() as db:
        await any_api.appliance.subscriber_desk(db).rename(ANNA, username="anna@isp.example", cpe_by_hand=True)
        await db.execute(update(FormerUsername).values(free_at=NOW))
        made = await any_api.appliance.services(db).radius_service.create_subscriber(
            customer_id=former["customer_id"], username=ANNA, bandwidth_profile=former["plan"]
        )
    bears = radacct.c["class"]
    new = {"acctsessionid": "S-4", "acctuniqueid": "u-4", "username": ANNA, "nasipaddress": "10.0.0.1"}
    async with any_api.appliance.radius_database.begin() as db:
        await db.execute(
            update(radacct).where(radacct.c.radacctid > 1).values({bears: class_label(number, former["service_id"])})
        )
        label = class_label(made["subscriber_id"], None)
        await db.execute(insert(radacct).values({**new, "radacctid": 4, "acctstarttime": NOW, bears: label}))
    for name, its in (("anna@isp.example", [3, 2, 1]), (ANNA, [4])):
        page = (await any_api.get(f"/sessions/of/{name}?limit=3")).json()
        assert ([one["number"] for one in page["items"]], page["next"]) == (its, None), name
    two = (await any_api.get("/sessions/of/anna@isp.example?limit=2")).json()
    assert [one["number"] for one in (await any_api.get(two["next"])).json()["items"]] == [1]
    [had] = (await any_api.get("/sessions/who-had?address=100.64.9.3")).json()
    assert (had["username"], had["subscriber"]) == (ANNA, {"subscriber_id": number, "username": "anna@isp.example"})


async def test_what_is_open_at_a_nas_that_is_gone_is_closed_once_and_by_whoever_may_change_a_nas(any_api: Api) -> None:
    appliance, nas = any_api.appliance, "192.0.2.44"
    await silent_nas(appliance.radius_database, nas, ANNA, now=appliance.clock())
    wish = {"nas": nas, "reason": "taken out"}
    assert (await any_api.post("/sessions/close", wish, role="read-only")).status_code == 403
    closed = await any_api.post("/sessions/close", wish, role="noc")
    assert closed.json() == {"nas_address": nas, "closed": 1}
    [session] = (await any_api.get(f"/sessions/of/{ANNA}")).json()["items"]
    assert (session["state"], session["terminate_cause"]) == ("closed", "Lost-Carrier-Reaped")
    assert session["stopped_at"] == session["updated_at"]
    assert (await any_api.post("/sessions/close", wish)).json()["closed"] == 0
    [entry] = await any_api.audit(subject=f"nas_address/{nas}")
    assert (entry["action"], entry["reason"], entry["before"]) == ("sessions close", "taken out", {"open_sessions": 1})
    heard = await any_api.post("/sessions/close", {**wish, "nas": "192.0.2.45"})
    assert (heard.status_code, heard.json()["code"]) == (409, "radius.nas_not_silent")
    assert (await any_api.post("/sessions/close", {**wish, "nas": "nowhere"})).status_code == 404
